{% macro exact_sum(expression) %}
{#- A sum that is the same to the last bit in whatever order threads deliver the rows: fixed
    point, 18 decimals, magnitudes below 1e20. -#}
cast(sum(cast({{ expression }} as decimal(38, 18))) as double)
{%- endmacro %}
