-- One row per run whose regimes are evaluated and forward horizon in days.
with
runs as (
    select
        run_id,
        horizons_days
    from {{ ref('runs') }}
    where with_regime_eval
),

final as (
    select
        run_id,
        unnest(horizons_days) as horizon_days
    from runs
)

select * from final
