{% macro warehouse_folder() %}
{#- The folder of the warehouse and of its tables as Parquet (MSM_WAREHOUSE names the file). -#}
{%- set parts = env_var('MSM_WAREHOUSE', 'warehouse/msm.duckdb').rsplit('/', 1) -%}
{{- (parts[0] if parts | length > 1 else '.') | replace("'", "''") -}}
{%- endmacro %}
