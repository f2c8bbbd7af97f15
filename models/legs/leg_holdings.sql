-- One row per leg, rebalance and asset: the weight bought at the close of trade_date. A leg is a
-- composition (long leg or basket) traded on a schedule. An asset without a close on the trade day
-- cannot be bought: its weight is cash until the next rebalance.
with
runs as (
    select * from {{ ref('runs') }}
),

strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

rebalances as (
    select * from {{ ref('rebalances') }}
    where trade_date <= last_date
),

baskets as (
    select * from {{ ref('baskets') }}
),

asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        close
    from {{ ref('asset_days') }}
    where close is not null
),

long_weights as (
    select distinct
        long_weights_id,
        unnest(long_weights, recursive := true)  -- noqa: AL03
    from runs
),

short_legs as (
    select distinct
        short_leg_id as leg_id,
        max_abs_return_1d,
        basket_id,
        schedule_id
    from strategies
),

long_legs as (
    select distinct
        long_leg_id as leg_id,
        max_abs_return_1d,
        long_weights_id,
        schedule_id
    from strategies
),

decided as (
    select
        short_legs.leg_id,
        short_legs.max_abs_return_1d,
        rebalances.trade_date,
        rebalances.next_trade_date,
        rebalances.last_date,
        baskets.asset_id,
        baskets.weight
    from short_legs
    inner join rebalances on short_legs.schedule_id = rebalances.schedule_id
    inner join baskets
        on short_legs.basket_id = baskets.basket_id and rebalances.decision_date = baskets.date
    union all
    select
        long_legs.leg_id,
        long_legs.max_abs_return_1d,
        rebalances.trade_date,
        rebalances.next_trade_date,
        rebalances.last_date,
        long_weights.asset_id,
        long_weights.weight
    from long_legs
    inner join rebalances on long_legs.schedule_id = rebalances.schedule_id
    inner join long_weights on long_legs.long_weights_id = long_weights.long_weights_id
),

final as (
    select
        decided.*,
        asset_days.close as entry_close
    from decided
    left join asset_days
        on
            decided.asset_id = asset_days.asset_id
            and decided.trade_date = asset_days.date
            and decided.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
)

select * from final
