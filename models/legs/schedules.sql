-- One row per distinct rebalance schedule: decision days, rule and execution lag. Runs that share
-- basket and schedule share their legs.
with
runs as (
    select * from {{ ref('runs') }}
),

run_windows as (
    select * from {{ ref('run_windows') }}
    where error is null
),

final as (
    select distinct
        run_windows.first_date,
        run_windows.last_date,
        run_windows.uncovered_dates,
        runs.rebalance_frequency_days,
        runs.rebalance_weekday,
        runs.execution_lag_days,
        {{ schedule_id() }} as schedule_id
    from run_windows
    inner join runs on run_windows.run_id = runs.run_id
)

select * from final
