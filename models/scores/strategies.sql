-- One row per strategy: every run, and for every distinct set of legs, costs and test days its
-- control, the same long-short with the scale held at 1 whatever the state (not gated). Controls
-- are distinct rows: were control_id to miss a key, one id would have two, and the build fails.
with
runs as (
    select * from {{ ref('runs') }}
),

run_windows as (
    select * from {{ ref('run_windows') }}
    where error is null
),

run_strategies as (
    select
        runs.run_id,
        runs.basket_id,
        runs.universe_id,
        runs.max_abs_return_1d,
        runs.benchmark,
        runs.feature_set_id,
        {{ schedule_id() }} as schedule_id,
        run_windows.first_date,
        run_windows.last_date,
        runs.execution_lag_days,
        runs.long_weights_id,
        runs.gross_long,
        runs.gross_short,
        runs.taker_fee_bps,
        runs.slippage_bps,
        runs.funding_enabled,
        runs.capital_usd,
        runs.impact_coefficient,
        runs.max_participation,
        runs.walk_forward,
        runs.lookback_window_days,
        runs.test_window_days,
        runs.min_test_days,
        runs.grid_search is not null as has_search,
        runs.look_from
    from runs
    inner join run_windows on runs.run_id = run_windows.run_id
),

with_ids as (
    select
        *,
        md5(concat_ws('|', 'short', basket_id, schedule_id)) as short_leg_id,
        md5(concat_ws(
            '|', 'long', long_weights_id, schedule_id,
            coalesce(cast(max_abs_return_1d as varchar), 'none')
        )) as long_leg_id,
        case benchmark when 'long_leg' then long_leg_id else 'btc' end as benchmark_id,
        md5(concat_ws('|', short_leg_id, benchmark_id)) as target_id,
        md5(concat_ws('|', feature_set_id, first_date, last_date)) as feature_panel_id,
        md5(concat_ws('|', universe_id, first_date, last_date)) as eligibility_panel_id,
        'ungated-' || md5(concat_ws(
            '|', basket_id, schedule_id, long_weights_id, gross_long, gross_short, taker_fee_bps,
            slippage_bps, funding_enabled, coalesce(cast(capital_usd as varchar), 'none'),
            impact_coefficient, max_participation, walk_forward, lookback_window_days,
            test_window_days, min_test_days, coalesce(cast(look_from as varchar), 'none')
        )) as control_id
    from run_strategies
),

final as (
    select
        run_id as strategy_id,
        true as is_run,
        * exclude (run_id)
    from with_ids
    union all
    select distinct
        control_id as strategy_id,
        false as is_run,
        * exclude (run_id) replace (
            null as feature_set_id, null as feature_panel_id, null as has_search,
            null as universe_id, null as eligibility_panel_id,
            null as benchmark, null as benchmark_id, null as target_id
        )
    from with_ids
)

select *  -- noqa: AM04
from final
