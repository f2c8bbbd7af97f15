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

target_growths as (
    select * from {{ ref('target_growths') }}
),

targets as (
    select distinct
        strategies.target_id,
        run_horizons.horizon_days,
        strategies.execution_lag_days + 1 as days_to_first_return,
        strategies.execution_lag_days + run_horizons.horizon_days as days_to_last_return
    from strategies
    inner join run_horizons on strategies.strategy_id = run_horizons.run_id
),

forward as (
    select
        targets.target_id,
        targets.horizon_days,
        target_growths.date,
        count(target_growths.alts_growth + target_growths.benchmark_growth) over ahead as n_days,
        list(target_growths.alts_growth) over ahead as alts_growths,
        list(target_growths.benchmark_growth) over ahead as benchmark_growths
    from targets
    inner join target_growths on targets.target_id = target_growths.target_id
    window ahead as (
        partition by targets.target_id, targets.horizon_days
        order by target_growths.date
        rows between
        targets.days_to_first_return following and targets.days_to_last_return following
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
