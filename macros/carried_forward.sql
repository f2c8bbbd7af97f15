{% macro carried_forward(column, max_days) %}
{#- The last known value of `column` in the window `known`, when it is at most `max_days` old. -#}
case
    when date - max(case when {{ column }} is not null then date end) over known <= {{ max_days }}
        then last_value({{ column }} ignore nulls) over known
end
{%- endmacro %}
