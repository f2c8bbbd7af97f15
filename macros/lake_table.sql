{% macro lake_table(name, columns) %}
{#- The rows of a lake table with exactly the columns that METHODOLOGY names. A column or a whole
    table that the lake does not have is NULL or empty: the empty typed relation supplies it.
    The folder comes from MSM_LAKE; a glob that matches nothing is an error in read_parquet, so
    the files are listed first. -#}
{%- set root = env_var('MSM_LAKE', 'lake') -%}
{%- set files = [] -%}
{%- if execute -%}
    {%- set listing -%}
select file from glob('{{ root }}/{{ name }}.parquet')
union all
select file from glob('{{ root }}/{{ name }}/**/*.parquet')
order by file
    {%- endset -%}
    {%- for row in run_query(listing) -%}
        {%- do files.append("'" ~ row['file'] | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
{%- endif -%}
(
    select {% for column, type in columns.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}{% endfor %}
    where false
{%- if files %}
    union all by name
    select *
    from read_parquet([{{ files | join(', ') }}], union_by_name = true, hive_partitioning = false)
    {%- endif %}
)
{%- endmacro %}
