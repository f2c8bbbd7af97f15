-- One row per distinct basket panel (basket definition and schedule), decision day and member: the
-- baskets that runs with this panel decided on their rebalance days.
with
strategies as (
    select distinct
        short_leg_id as panel_id,
        basket_id,
        schedule_id
    from {{ ref('strategies') }}
    where is_run
),

final as (
    select
        strategies.panel_id,
        baskets.date,
        baskets.asset_id,
        baskets.rank,
        baskets.marketcap_usd,
        baskets.weight
    from strategies
    inner join {{ ref('rebalances') }} as rebalances
        on strategies.schedule_id = rebalances.schedule_id
    inner join {{ ref('baskets') }} as baskets
        on
            strategies.basket_id = baskets.basket_id
            and rebalances.decision_date = baskets.date
)

select * from final
