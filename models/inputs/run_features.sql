-- One row per run and feature: its weight in the score.
with
runs as (
    select * from {{ ref('runs') }}
),

final as (
    select
        run_id,
        universe_id,
        zscore_window_days,
        z_clip,
        unnest(features, recursive := true)  -- noqa: AL03
    from runs
)

select * from final
