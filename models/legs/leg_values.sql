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
        asset_days.close
    from held_days
    left join asset_days
        on
            held_days.asset_id = asset_days.asset_id
            and held_days.date = asset_days.date
            and held_days.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
),

-- few leave: joined, where windows would sort all rows
exits as (
    select
        leg_id,
        trade_date,
        asset_id,
        min(date) as exit_date
    from priced
    where close is null
    group by leg_id, trade_date, asset_id
),

frozen as (
    select
        exits.*,
        priced.close as last_close
    from exits
    left join priced
        on
            exits.leg_id = priced.leg_id
            and exits.trade_date = priced.trade_date
            and exits.asset_id = priced.asset_id
            and exits.exit_date - 1 = priced.date
),

final as (
    select
        priced.leg_id,
        priced.max_abs_return_1d,
        priced.trade_date,
        priced.next_trade_date,
        priced.date,
        priced.asset_id,
        priced.weight,
        frozen.exit_date,
        frozen.exit_date is null as is_held,
        case when frozen.exit_date is null then priced.close else frozen.last_close end
        / priced.entry_close as ratio
    from priced
    left join frozen
        on
            priced.leg_id = frozen.leg_id
            and priced.trade_date = frozen.trade_date
            and priced.asset_id = frozen.asset_id
            and priced.date >= frozen.exit_date
)

select * from final
