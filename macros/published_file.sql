{% macro published_file(name) %}
{#- A file of the warehouse's tables (beside MSM_WAREHOUSE, in a folder of its name) as a SQL
    string: quotes doubled, and no character a glob, nor the beginning (~, s3:) anything but the name
    of a folder. -#}
{%- set warehouse = env_var('MSM_WAREHOUSE', 'warehouse/msm.duckdb') -%}
{%- set file = warehouse.rsplit('/', 1)[-1] -%}
{%- set folder = warehouse.rsplit('/', 1)[0] ~ '/' if '/' in warehouse else '' -%}
{%- set tables = file.rsplit('.', 1)[0] if '.' in file[1:] else file ~ '-tables' -%}
{%- set place = folder ~ tables ~ '/' ~ name -%}
{%- set path = place if folder.startswith('/') else './' ~ place -%}
{%- set literal = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
'{{ literal | replace("'", "''") }}'
{%- endmacro %}
