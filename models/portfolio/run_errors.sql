-- One row per run: why it has no result, missing where it has one. Either it cannot be computed
-- (run_windows), or its numbers overflow: those of its strategy, of its control or of its target.
with
run_windows as (
    select * from {{ ref('run_windows') }}
),

strategies as (
    select
        strategy_id,
        control_id,
        target_id
    from {{ ref('strategies') }}
    where is_run
),

overflows as (
    select distinct
        strategy_id,
        overflows_on
    from {{ ref('daily_returns') }}
    where overflows_on is not null
),

overflowing_strategies as (
    select
        strategies.strategy_id as run_id,
        min(overflows.overflows_on) as overflows_on
    from strategies
    inner join overflows
        on overflows.strategy_id in (strategies.strategy_id, strategies.control_id)
    group by strategies.strategy_id
),

overflowing_targets as (
    select
        strategies.strategy_id as run_id,
        min(forward_returns.date) as overflows_on
    from strategies
    inner join {{ ref('run_horizons') }} as run_horizons
        on strategies.strategy_id = run_horizons.run_id
    inner join {{ ref('forward_returns') }} as forward_returns
        on
            strategies.target_id = forward_returns.target_id
            and run_horizons.horizon_days = forward_returns.horizon_days
            and not abs(forward_returns.forward_return) < 1e40
    group by strategies.strategy_id
),

final as (
    select
        run_windows.run_id,
        run_windows.experiment_id,
        case
            when run_windows.error is not null then run_windows.error
            when overflowing_strategies.run_id is not null or overflowing_targets.run_id is not null
                then concat_ws(
                    chr(10),
                    'The numbers of this experiment grow too large to compute with',
                    '  where:    ' || run_windows.experiment_id || ', ' || coalesce(
                        'portfolio (or its ungated control) on '
                        || overflowing_strategies.overflows_on,
                        'forward returns from ' || overflowing_targets.overflows_on || ' on'
                    ),
                    '  received: a return, cost, funding or equity of 1e40 or more',
                    '  remedy:   look at the prices around that day with `msm lake check`, and at'
                    || ' backtest.gross, costs and capital_usd of the experiment'
                )
        end as error
    from run_windows
    left join overflowing_strategies on run_windows.run_id = overflowing_strategies.run_id
    left join overflowing_targets on run_windows.run_id = overflowing_targets.run_id
)

select * from final
