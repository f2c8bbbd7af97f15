-- One row per leg, rebalance, asset bought there and day it is held, from the trade day (ratio 1)
-- to the next one: what 1 invested at the trade day's close is worth. An asset whose close is used
-- up (staleness) leaves at its last carried close: is_held turns false on that day, the value
-- freezes.
with
leg_holdings as (
    select * from {{ ref('leg_holdings') }}
    where entry_close is not null
),

asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        close
    from {{ ref('asset_days') }}
),

held_days as (
    select
        *,
        cast(unnest(
            generate_series(trade_date, coalesce(next_trade_date, last_date), interval 1 day)
        ) as date) as date
    from leg_holdings
),

priced as (
    select
        held_days.*,
        asset_days.close,
        min(case when asset_days.close is null then held_days.date end) over holding
            as exit_date
    from held_days
    left join asset_days
        on
            held_days.asset_id = asset_days.asset_id
            and held_days.date = asset_days.date
            and held_days.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
    window holding as (
        partition by held_days.leg_id, held_days.trade_date, held_days.asset_id
        order by held_days.date
        rows between unbounded preceding and current row
    )
),

final as (
    select
        leg_id,
        max_abs_return_1d,
        trade_date,
        next_trade_date,
        date,
        asset_id,
        weight,
        exit_date,
        exit_date is null as is_held,
        last_value(case when exit_date is null then close end ignore nulls) over (
            partition by leg_id, trade_date, asset_id
            order by date
            rows between unbounded preceding and current row
        ) / entry_close as ratio
    from priced
)

select * from final
