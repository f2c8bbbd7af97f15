-- One row per run and state: its order from the ALTS to the MAJORS side, and the scale of the
-- position that it stands for.
with
runs as (
    select
        run_id,
        regimes
    from {{ ref('runs') }}
),

final as (
    select
        run_id,
        unnest(regimes, recursive := true)  -- noqa: AL03
    from runs
)

select * from final
