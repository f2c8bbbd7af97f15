-- One row per strategy and day: the position after the day's trades. The scale follows the state
-- decided execution_lag_days before; it is 0 while there is no basket. Exposures are the legs'
-- gross weights relative to net asset value, drifted to the day's close (before) and after its
-- trades. The return is no ratio minus 1, which would lose digits where gross weights are small.
with
strategies as (
    select * from {{ ref('strategies') }}
),

states as (
    select
        states.run_id,
        states.date,
        run_regimes.position_scale
    from {{ ref('states') }} as states
    inner join {{ ref('run_regimes') }} as run_regimes
        on states.run_id = run_regimes.run_id and states.regime = run_regimes.regime
),

rebalances as (
    select
        schedule_id,
        trade_date
    from {{ ref('rebalances') }}
),

leg_days as (
    select * from {{ ref('leg_days') }}
),

days as (
    select
        strategy_id,
        is_run,
        schedule_id,
        short_leg_id,
        long_leg_id,
        gross_long,
        gross_short,
        cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as date,
        execution_lag_days
    from strategies
),

-- before the first trade, and while nothing is eligible for the short leg, the strategy is flat
scaled as (
    select
        days.strategy_id,
        days.date,
        days.gross_long,
        days.gross_short,
        days.short_leg_id,
        days.long_leg_id,
        rebalances.trade_date is not null as is_rebalance_day,
        long_days.value_before as long_value_before,
        long_days.value_after as long_value_after,
        short_days.value_before as short_value_before,
        short_days.value_after as short_value_after,
        case
            when short_days.value_after is null then 0
            when days.is_run then states.position_scale
            else 1
        end as scale
    from days
    left join states
        on
            days.strategy_id = states.run_id
            and days.date - days.execution_lag_days = states.date
    left join rebalances
        on days.schedule_id = rebalances.schedule_id and days.date = rebalances.trade_date
    left join leg_days as long_days
        on days.long_leg_id = long_days.leg_id and days.date = long_days.date
    left join leg_days as short_days
        on days.short_leg_id = short_days.leg_id and days.date = short_days.date
),

with_trade_days as (
    select
        *,
        is_rebalance_day
        or (scale is distinct from lag(scale, 1, 0) over (partition by strategy_id order by date))
            as is_trade_day
    from scaled
),

-- the position held into a day was last set on last_trade_date
traded as (
    select
        *,
        lag(scale, 1, 0) over by_day as scale_before,
        max(case when is_trade_day then date end) over earlier_days as last_trade_date,
        lag(long_value_after) over by_day as long_value_yesterday,
        lag(short_value_after) over by_day as short_value_yesterday
    from with_trade_days
    window
        by_day as (partition by strategy_id order by date),
        earlier_days as (
            partition by strategy_id order by date
            rows between unbounded preceding and 1 preceding
        )
),

since_trade as (
    select
        traded.*,
        traded.long_value_before / at_trade.long_value_after as long_growth,
        traded.short_value_before / at_trade.short_value_after as short_growth,
        traded.long_value_yesterday / at_trade.long_value_after as long_growth_yesterday,
        traded.short_value_yesterday / at_trade.short_value_after as short_growth_yesterday
    from traded
    left join traded as at_trade
        on
            traded.strategy_id = at_trade.strategy_id
            and traded.last_trade_date = at_trade.date
            and traded.scale_before > 0
),

with_growth as (
    select
        *,
        1 + scale_before * (
            gross_long * (long_growth - 1) - gross_short * (short_growth - 1)
        ) as nav_growth,
        1 + scale_before * (
            gross_long * (long_growth_yesterday - 1) - gross_short * (short_growth_yesterday - 1)
        ) as nav_growth_yesterday
    from since_trade
),

drifted as (
    select
        *,
        case
            when scale_before > 0 then scale_before * gross_long * long_growth / nav_growth else 0
        end as long_exposure_before,
        case
            when scale_before > 0 then scale_before * gross_short * short_growth / nav_growth else 0
        end as short_exposure_before
    from with_growth
),

final as (
    select
        strategy_id,
        date,
        long_leg_id,
        short_leg_id,
        is_trade_day,
        scale_before,
        scale,
        case
            when scale_before > 0
                then
                    scale_before * (
                        gross_long * (long_growth - long_growth_yesterday)
                        - gross_short * (short_growth - short_growth_yesterday)
                    ) / nav_growth_yesterday
            else 0
        end as r_gross,
        long_exposure_before,
        short_exposure_before,
        case when is_trade_day then scale * gross_long else long_exposure_before end
            as long_exposure_after,
        case when is_trade_day then scale * gross_short else short_exposure_before end
            as short_exposure_after
    from drifted
)

select * from final
