-- One row per target (a short leg and what it is measured against), horizon and decision day t: Y,
-- the return of the alts leg minus that of the benchmark (BTC or the long leg) from t + lag to t +
-- lag + horizon, cumulative. Y looks forward and is for evaluation only. Positive Y: alts beat the
-- benchmark, which is bad for the trade (long majors, short alts).
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
        max_abs_return_1d,
        date,
        return_1d
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

targets as (
    select distinct
        strategies.target_id,
        strategies.short_leg_id,
        strategies.benchmark_id,
        strategies.max_abs_return_1d,
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
        days.target_id,
        days.horizon_days,
        days.days_to_first_return,
        days.days_to_last_return,
        days.date,
        1 + alts.leg_return as alts_growth,
        1 + case days.benchmark_id when 'btc' then btc.return_1d else long_leg.leg_return end
            as benchmark_growth
    from days
    left join leg_days as alts on days.short_leg_id = alts.leg_id and days.date = alts.date
    left join leg_days as long_leg
        on days.benchmark_id = long_leg.leg_id and days.date = long_leg.date
    left join btc
        on
            days.date = btc.date
            and days.max_abs_return_1d is not distinct from btc.max_abs_return_1d
),

forward as (
    select
        target_id,
        horizon_days,
        date,
        count(alts_growth + benchmark_growth) over ahead as n_days,
        list(alts_growth) over ahead as alts_growths,
        list(benchmark_growth) over ahead as benchmark_growths
    from growth
    window ahead as (
        partition by target_id, horizon_days
        order by date
        rows between days_to_first_return following and days_to_last_return following
    )
),

final as (
    select
        target_id,
        horizon_days,
        date,
        case
            when n_days = horizon_days
                then (list_product(alts_growths) - 1) - (list_product(benchmark_growths) - 1)
        end as forward_return
    from forward
)

select * from final
