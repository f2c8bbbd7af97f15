{% materialization table, adapter="duckdb", supported_languages=["sql", "python"] %}
{#- A table in the scratch database, made in one statement: nobody reads that database while it is
    written, so dbt's own detour (another name, then two renamings) would protect no reader. A view
    that shows a table of the cache (msm_py/store/cache.py) has a comment that says so, and stays. -#}
{%- set existing_relation = load_cached_relation(this) -%}
{%- set is_view = existing_relation is not none and existing_relation.is_view -%}
{%- if is_view and run_query(
    "select 1 from duckdb_views() where comment is not null and database_name = '" ~ this.database
    ~ "' and view_name = '" ~ this.identifier ~ "'"
) | length -%}
    {% call noop_statement('main', 'KEPT', 'KEPT', 0) -%}
    from the cache
    {%- endcall %}
    {{ return({'relations': [existing_relation]}) }}
{%- endif -%}
{%- set target_relation = this.incorporate(type='table') -%}
{%- do drop_relation_if_exists(existing_relation) -%}
{% call statement('main', language=model['language']) -%}
    {{ create_table_as(False, target_relation, compiled_code, model['language']) }}
{%- endcall %}
{%- do adapter.commit() -%}
{{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
