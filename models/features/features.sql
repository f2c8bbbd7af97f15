-- One row per universe, feature and calendar day: the raw value at t, known at the close of t.
-- A new feature group is one model of this grain, one line here and its rows in the registry.
{% set groups = [
    'breadth',
    'dominance',
    'funding',
    'liquidity',
    'volatility',
    'momentum',
    'oi_risk',
] %}
with
final as (
    {%- for group in groups %}
    select
        universe_id,
        feature_key,
        date,
        raw_value,
        magnitude
    from {{ ref(group) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
