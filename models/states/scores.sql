-- One row per run and day of its window: the weighted sum of z-scores before smoothing and gate (a
-- missing z counts 0), the share of the weights that had a z, and BTC's return over the days of the
-- gate.
with
runs as (
    select * from {{ ref('runs') }}
),

run_features as (
    select distinct
        feature_set_id,
        universe_id,
        feature_key,
        zscore_window_days
    from {{ ref('run_features') }}
),

z_scores as (
    select * from {{ ref('z_scores') }}
),

btc as (
    select
        universe_id,
        date,
        btc_close
    from {{ ref('universe_days') }}
),

-- runs that differ in weights only share these lists
z_lists as (
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
            and run_features.feature_key = z_scores.feature_key
            and run_features.zscore_window_days = z_scores.zscore_window_days
    group by run_features.feature_set_id, z_scores.date
),

scored as (
    select
        runs.run_id,
        runs.universe_id,
        runs.gate_btc_return_days,
        z_lists.date,
        list_inner_product(runs.feature_weights, z_lists.z_values) as raw_score,
        list_inner_product(runs.feature_abs_weights, z_lists.z_present)
        / list_inner_product(
            runs.feature_abs_weights, cast([1.0 for w in runs.feature_abs_weights] as double[])
        ) as feature_coverage
    from runs
    inner join z_lists
        on
            runs.feature_set_id = z_lists.feature_set_id
            and z_lists.date >= coalesce(runs.window_start, z_lists.date)
            and z_lists.date <= coalesce(runs.window_end, z_lists.date)
),

final as (
    select
        scored.run_id,
        scored.date,
        scored.raw_score,
        scored.feature_coverage,
        btc_now.btc_close / btc_before.btc_close - 1 as gate_btc_return
    from scored
    left join btc as btc_now
        on
            scored.universe_id = btc_now.universe_id
            and scored.date = btc_now.date
            and scored.gate_btc_return_days is not null
    left join btc as btc_before
        on
            scored.universe_id = btc_before.universe_id
            and scored.date - scored.gate_btc_return_days = btc_before.date
)

select * from final
