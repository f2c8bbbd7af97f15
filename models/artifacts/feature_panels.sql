-- One row per distinct feature panel (feature set and decision days), day and feature: what runs
-- with these features saw. Runs that differ in weights or thresholds only share a panel.
with
panels as (
    select distinct
        feature_panel_id as panel_id,
        feature_set_id,
        first_date,
        last_date
    from {{ ref('strategies') }}
    where is_run
),

run_features as (
    select distinct
        feature_set_id,
        universe_id,
        feature_id,
        z_key
    from {{ ref('run_features') }}
),

z_scores as (
    select * from {{ ref('z_scores') }}
),

final as (
    select
        panels.panel_id,
        z_scores.date,
        run_features.feature_id,
        z_scores.raw_value,
        z_scores.z_score
    from panels
    inner join run_features on panels.feature_set_id = run_features.feature_set_id
    inner join z_scores
        on
            run_features.universe_id = z_scores.universe_id
            and run_features.z_key = z_scores.z_key
            and z_scores.date between panels.first_date and panels.last_date
)

select * from final
