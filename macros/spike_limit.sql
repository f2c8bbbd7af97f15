{% macro spike_limit(direction) %}
{#- The return of a day beyond which it is a spike, a bad price perhaps: above up, below down. -#}
{{ {'up': 2, 'down': -0.7}[direction] }}
{%- endmacro %}
