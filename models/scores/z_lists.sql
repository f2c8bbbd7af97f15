-- One row per set of features and day: their z-scores as a list in the order of the features' keys
-- (a missing z counts 0), and which of them there were. Runs that differ in weights only share it.
with
run_features as (
    select distinct
        feature_set_id,
        universe_id,
        feature_key,
        z_key
    from {{ ref('run_features') }}
),

z_scores as (
    select * from {{ ref('z_scores') }}
),

final as (
    select
        run_features.feature_set_id,
        z_scores.date,
        list(coalesce(z_scores.z_score, 0) order by run_features.feature_key) as z_values,
        cast(list(
            case when z_scores.z_score is null then 0.0 else 1.0 end
            order by run_features.feature_key
        ) as double[]) as z_present
    from run_features
    inner join z_scores
        on
            run_features.universe_id = z_scores.universe_id
            and run_features.z_key = z_scores.z_key
    group by run_features.feature_set_id, z_scores.date
)

select * from final
