{% macro fewest_days(kind) %}
{#- The fewest test or invested days at which an annualised figure is shown. -#}
{{ {'test': 60, 'invested': 30}[kind] }}
{%- endmacro %}
