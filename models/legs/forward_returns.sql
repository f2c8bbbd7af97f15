-- One row per short leg, horizon and decision day t: the target Y, the return of the alts leg minus
-- that of BTC from t + lag to t + lag + horizon, cumulative. Y looks forward and is for evaluation
-- only. Positive Y: alts beat BTC, which is bad for the trade (long majors, short alts).
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

run_horizons as (
    select * from {{ ref('run_horizons') }}
),

leg_days as (
    select
        leg_id,
        date,
        leg_return
    from {{ ref('leg_days') }}
),

btc as (
    select
        date,
        return_1d
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

targets as (
    select distinct
        strategies.short_leg_id,
        strategies.first_date,
        strategies.last_date,
        run_horizons.horizon_days,
        strategies.execution_lag_days + 1 as days_to_first_return,
        strategies.execution_lag_days + run_horizons.horizon_days as days_to_last_return
    from strategies
    inner join run_horizons on strategies.strategy_id = run_horizons.run_id
),

days as (
    select
        *,
        cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as date
    from targets
),

growth as (
    select
        days.short_leg_id,
        days.horizon_days,
        days.days_to_first_return,
        days.days_to_last_return,
        days.date,
        1 + leg_days.leg_return as alts_growth,
        1 + btc.return_1d as btc_growth
    from days
    left join leg_days on days.short_leg_id = leg_days.leg_id and days.date = leg_days.date
    left join btc on days.date = btc.date
),

forward as (
    select
        short_leg_id,
        horizon_days,
        date,
        count(alts_growth + btc_growth) over ahead as n_days,
        list(alts_growth) over ahead as alts_growths,
        list(btc_growth) over ahead as btc_growths
    from growth
    window ahead as (
        partition by short_leg_id, horizon_days
        order by date
        rows between days_to_first_return following and days_to_last_return following
    )
),

final as (
    select
        short_leg_id,
        horizon_days,
        date,
        case
            when n_days = horizon_days
                then (list_product(alts_growths) - 1) - (list_product(btc_growths) - 1)
        end as forward_return
    from forward
)

select * from final
