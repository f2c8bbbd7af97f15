{% macro carried_forward(column, max_days, over) %}
{#- The last known value of `column` in the window `over`, which must be dense in calendar days,
    when it is at most `max_days` old. -#}
last_value({{ column }} ignore nulls)
    over ({{ over }} rows between {{ max_days }} preceding and current row)
{%- endmacro %}
