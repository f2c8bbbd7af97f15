{% macro long_features(relation, feature_ids) %}
{#- Turns a CTE with one column per feature into the grain of `features`: one row per universe,
    feature and day. -#}
{%- for feature_id in feature_ids %}
    select
        universe_id,
        '{{ feature_id }}' as feature_key,
        date,
        cast({{ feature_id }} as double) as raw_value
    from {{ relation }}
{{ 'union all' if not loop.last }}
{%- endfor %}
{%- endmacro %}
