{% macro warehouse_folder() %}
{#- The folder in which the warehouse and its tables as Parquet lie (MSM_WAREHOUSE names the file). -#}
{%- set parts = env_var('MSM_WAREHOUSE', 'warehouse/msm.duckdb').rsplit('/', 1) -%}
{{- (parts[0] if parts | length > 1 else '.') | replace("'", "''") -}}
{%- endmacro %}
