{% macro long_features(relation, feature_ids, magnitudes={}) %}
{#- Turns a CTE with one column per feature into the grain of `features`: one row per universe,
    feature and day. `magnitudes`: by feature, an expression of how large the values were that it is
    the difference of; otherwise it is as large as itself. -#}
{%- for feature_id in feature_ids %}
    select
        universe_id,
        '{{ feature_id }}' as feature_key,
        date,
        cast({{ feature_id }} as double) as raw_value,
        cast({{ magnitudes.get(feature_id, 'abs(' ~ feature_id ~ ')') }} as double) as magnitude
    from {{ relation }}
{{ 'union all' if not loop.last }}
{%- endfor %}
{%- endmacro %}
