-- One row per run and state, visited or not: days in the state, percent of all decision days.
with
run_regimes as (
    select * from {{ ref('run_regimes') }}
),

stability as (
    select
        run_id,
        n_days
    from {{ ref('stability') }}
),

counted as (
    select
        run_id,
        regime,
        count(*) as n_days,
        count(distinct spell) as n_spells
    from {{ ref('states') }}
    group by run_id, regime
),

final as (
    select
        run_regimes.run_id,
        run_regimes.regime,
        run_regimes.regime_order,
        coalesce(counted.n_days, 0) as n_days,
        coalesce(counted.n_spells, 0) as n_spells,
        100.0 * coalesce(counted.n_days, 0) / stability.n_days as pct
    from run_regimes
    inner join stability on run_regimes.run_id = stability.run_id
    left join counted
        on run_regimes.run_id = counted.run_id and run_regimes.regime = counted.regime
)

select * from final
