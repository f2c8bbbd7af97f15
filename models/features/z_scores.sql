-- One row per universe, z-score that a run uses (of a feature, by window length and options) and
-- day: (x - mean) / std over the trailing window including t. Where a feature is winsorized, values
-- beyond the window's quantiles count as these, that of t too; with z_clip the z-score has a limit.
-- Missing unless the whole window is present, and when std is no more than the rounding of the
-- values that entered.
with
definitions as (
    select distinct
        universe_id,
        feature_key,
        z_key,
        zscore_window_days,
        zscore_window_days - 1 as days_before,
        winsorize,
        z_clip
    from {{ ref('run_features') }}
),

features as (
    select * from {{ ref('features') }}
),

windows as (
    select
        definitions.universe_id,
        definitions.feature_key,
        definitions.z_key,
        definitions.zscore_window_days,
        definitions.winsorize,
        definitions.z_clip,
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
        partition by definitions.universe_id, definitions.z_key
        order by features.date
        rows between definitions.days_before preceding and current row
    )
),

-- quantiles interpolate linearly: the one of share q lies q (n - 1) places above the least value
places as (
    select
        *,
        case when winsorize is not null then list_sort(trailing_values) end as sorted_values,
        cast(floor(winsorize * (n_values - 1)) as integer) as place,
        winsorize * (n_values - 1) - place as part
    from windows
),

bounds as (
    select
        * exclude (sorted_values, place, part),
        sorted_values[place + 1]
        + part * (sorted_values[place + 2] - sorted_values[place + 1]) as least_value,
        sorted_values[n_values - place]
        - part * (sorted_values[n_values - place] - sorted_values[n_values - place - 1])
            as most_value
    from places
),

bounded as (
    select
        * exclude (trailing_values),
        case
            when winsorize is null then raw_value
            else least(greatest(raw_value, least_value), most_value)
        end as bounded_value,
        case
            when winsorize is null then trailing_values
            else [least(greatest(x, least_value), most_value) for x in trailing_values]
        end as bounded_values
    from bounds
),

with_deviation as (
    select
        *,
        list_stddev_samp(bounded_values) as deviation
    from bounded
),

with_z_scores as (
    select
        *,
        case
            when n_values = zscore_window_days
                then
                    (bounded_value - list_avg(bounded_values))
                    / {{ resolved('deviation', 'largest_magnitude') }}
        end as z_score
    from with_deviation
),

final as (
    select
        universe_id,
        feature_key,
        z_key,
        zscore_window_days,
        date,
        raw_value,
        case
            when z_clip is null or z_score is null then z_score
            else least(greatest(z_score, -z_clip), z_clip)
        end as z_score
    from with_z_scores
)

select * from final
