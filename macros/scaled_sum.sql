{% macro scaled_sum(expression, scale) %}
{#- `exact_sum` at a scale: all of its decimals count, however small or large what is summed is.
    `scale` is a power of two (`power_of_two`) and the same in the whole group. -#}
{{ exact_sum('(' ~ expression ~ ') / ' ~ scale) }} * any_value({{ scale }})
{%- endmacro %}
