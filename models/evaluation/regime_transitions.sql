-- One row per run and pair of states that followed each other from one day to the next: number of
-- days, and percent of the days that followed the first state.
with
states as (
    select
        run_id,
        date,
        regime as to_regime,
        lag(regime) over (partition by run_id order by date) as from_regime
    from {{ ref('states') }}
),

counted as (
    select
        run_id,
        from_regime,
        to_regime,
        count(*) as n_days
    from states
    where from_regime is not null
    group by run_id, from_regime, to_regime
),

totals as (
    select
        run_id,
        from_regime,
        cast(sum(n_days) as bigint) as n_days
    from counted
    group by run_id, from_regime
),

final as (
    select
        counted.run_id,
        counted.from_regime,
        counted.to_regime,
        counted.n_days,
        100.0 * counted.n_days / totals.n_days as pct
    from counted
    inner join totals
        on counted.run_id = totals.run_id and counted.from_regime = totals.from_regime
)

select * from final
