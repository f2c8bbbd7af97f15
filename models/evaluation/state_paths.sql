-- One row per run, state that it entered and day after the entry, from 0 to its longest horizon:
-- what the trade made on average since the state was entered (minus Y, cumulative: plus is good for
-- the trade), of the entries whose path is known that far. The interval is Student's over entries;
-- it is missing below 3 of them. Looks forward, for evaluation only.
with
strategies as (
    select
        strategy_id as run_id,
        target_id,
        execution_lag_days
    from {{ ref('strategies') }}
    where is_run
),

longest_horizons as (
    select
        run_id,
        max(horizon_days) as horizon_days
    from {{ ref('run_horizons') }}
    group by run_id
),

target_growths as (
    select * from {{ ref('target_growths') }}
),

-- a stay that a search's first test day finds under way was entered before
entries as (
    select
        evaluated_states.run_id,
        evaluated_states.date,
        evaluated_states.regime,
        evaluated_states.regime_order,
        strategies.target_id,
        strategies.execution_lag_days,
        longest_horizons.horizon_days
    from {{ ref('evaluated_states') }} as evaluated_states
    inner join {{ ref('states') }} as states
        on
            evaluated_states.run_id = states.run_id
            and evaluated_states.date = states.date
            and states.regime_age_days = 0
    inner join strategies on evaluated_states.run_id = strategies.run_id
    inner join longest_horizons on evaluated_states.run_id = longest_horizons.run_id
),

-- runs that share a target share the paths of its days
starts as (
    select
        target_id,
        date,
        execution_lag_days,
        max(horizon_days) as horizon_days
    from entries
    group by target_id, date, execution_lag_days
),

days_after as (
    select
        *,
        unnest(range(1, horizon_days + 1)) as day_number
    from starts
),

growths as (
    select
        days_after.target_id,
        days_after.date,
        days_after.day_number,
        count(target_growths.alts_growth + target_growths.benchmark_growth) over path as n_days,
        list(target_growths.alts_growth) over path as alts_growths,
        list(target_growths.benchmark_growth) over path as benchmark_growths
    from days_after
    inner join target_growths
        on
            days_after.target_id = target_growths.target_id
            and days_after.date + days_after.execution_lag_days + cast(days_after.day_number as int)
            = target_growths.date
    window path as (
        partition by days_after.target_id, days_after.date
        order by days_after.day_number
        rows between unbounded preceding and current row
    )
),

paths as (
    select
        target_id,
        date,
        day_number,
        (list_product(benchmark_growths) - 1) - (list_product(alts_growths) - 1) as trade_return
    from growths
    where n_days = day_number and abs(trade_return) < 1e40
    union all
    select
        target_id,
        date,
        0 as day_number,
        0.0 as trade_return
    from starts
),

-- in the order of days, so that the last bits do not depend on threads
moments as (
    select
        entries.run_id,
        entries.regime,
        entries.regime_order,
        paths.day_number,
        count(*) as n_entries,
        list(paths.trade_return order by entries.date) as trade_returns,
        list_avg(trade_returns) as mean,
        list_aggregate(trade_returns, 'stddev_samp') as std
    from entries
    inner join paths
        on
            entries.target_id = paths.target_id
            and entries.date = paths.date
            and entries.horizon_days >= paths.day_number
    group by entries.run_id, entries.regime, entries.regime_order, paths.day_number
),

with_width as (
    select
        *,
        case
            when n_entries >= 3 and day_number > 0
                then student_t_quantile(0.975, n_entries - 1.0) * std / sqrt(n_entries)
        end as half_width
    from moments
),

final as (
    select
        run_id,
        regime,
        regime_order,
        cast(day_number as integer) as day_number,
        cast(n_entries as integer) as n_entries,
        mean,
        mean - half_width as ci_low,
        mean + half_width as ci_high
    from with_width
)

select * from final
