{% materialization table, adapter="duckdb", supported_languages=["sql", "python"] %}
{#- A table in the scratch database, made in one statement: nobody reads that database while it is
    written, so dbt's own detour (another name, then two renamings) would protect no reader. -#}
{%- set target_relation = this.incorporate(type='table') -%}
{%- do drop_relation_if_exists(load_cached_relation(this)) -%}
{% call statement('main', language=model['language']) -%}
    {{ create_table_as(False, target_relation, compiled_code, model['language']) }}
{%- endcall %}
{%- do adapter.commit() -%}
{{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
