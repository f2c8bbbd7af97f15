{% macro resolved(deviation, magnitude) %}
{#- A standard deviation, or NULL where it is rounding: at most 1e-12 of the largest magnitude that
    entered. A double resolves 2e-16; what sums and differences of thousands of values leave of a
    constant lies around 1e-14, what moves at all lies far above. -#}
case when {{ deviation }} > 1e-12 * {{ magnitude }} then {{ deviation }} end
{%- endmacro %}
