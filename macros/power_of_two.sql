{% macro power_of_two(magnitude) %}
{#- The power of two next to a magnitude; 1 for nothing. Dividing by it changes no digit, so what is
    computed at that scale does not depend on the unit. -#}
case
    when {{ magnitude }} > 0 and isfinite({{ magnitude }})
        then pow(2.0, round(log2(greatest({{ magnitude }}, 1e-290))))
    else 1.0
end
{%- endmacro %}
