-- One row per universe, feature that a run uses, window length and day: (x - mean) / std over the
-- trailing window including t. Missing unless the whole window is present, and when std is no more
-- than the rounding of the values that entered.
with
definitions as (
    select distinct
        universe_id,
        feature_key,
        zscore_window_days,
        zscore_window_days - 1 as days_before
    from {{ ref('run_features') }}
),

features as (
    select * from {{ ref('features') }}
),

windows as (
    select
        definitions.universe_id,
        definitions.feature_key,
        definitions.zscore_window_days,
        features.date,
        features.raw_value,
        list(features.raw_value) over trailing_window as trailing_values,
        max(features.magnitude) over trailing_window as largest_magnitude,
        count(features.raw_value) over trailing_window as n_values
    from definitions
    inner join features
        on
            definitions.universe_id = features.universe_id
            and definitions.feature_key = features.feature_key
    window trailing_window as (
        partition by
            definitions.universe_id, definitions.feature_key, definitions.zscore_window_days
        order by features.date
        rows between definitions.days_before preceding and current row
    )
),

with_deviation as (
    select
        *,
        list_stddev_samp(trailing_values) as deviation
    from windows
),

final as (
    select
        universe_id,
        feature_key,
        zscore_window_days,
        date,
        raw_value,
        case
            when n_values = zscore_window_days
                then
                    (raw_value - list_avg(trailing_values))
                    / {{ resolved('deviation', 'largest_magnitude') }}
        end as z_score
    from with_deviation
)

select * from final
