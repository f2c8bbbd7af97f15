{% macro published_file(name) %}
{#- A file beside the warehouse (MSM_WAREHOUSE) as a SQL string: quotes doubled, and no character a
    glob, nor the beginning (~, s3:) anything but the name of a folder. -#}
{%- set warehouse = env_var('MSM_WAREHOUSE', 'warehouse/msm.duckdb') -%}
{%- set folder = warehouse.rsplit('/', 1)[0] ~ '/' if '/' in warehouse else '' -%}
{%- set path = folder ~ name if folder.startswith('/') else './' ~ folder ~ name -%}
{%- set literal = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
'{{ literal | replace("'", "''") }}'
{%- endmacro %}
