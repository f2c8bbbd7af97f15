-- One row per universe, feature and day, for each weighting and minimum coverage that a run asks
-- for: funding of alts minus funding of majors (a decimal fraction of eight hours), and its
-- heating, the mean of the last 10 days minus the mean of the last 20.
with
variants as (
    select distinct
        universe_id,
        feature_id,
        feature_key,
        weighting,
        min_oi_coverage
    from {{ ref('run_features') }}
    where feature_id in ('funding_skew', 'funding_heating')
),

universe_days as (
    select
        universe_id,
        date
    from {{ ref('universe_days') }}
),

funding_groups as (
    select * from {{ ref('funding_groups') }}
),

rates as (
    select
        variants.universe_id,
        variants.feature_key,
        variants.feature_id,
        funding_groups.date,
        funding_groups.asset_group,
        funding_groups.largest_rate,
        case
            when funding_groups.oi_coverage < variants.min_oi_coverage then null
            when variants.weighting = 'oi' then funding_groups.funding_oi
            when variants.weighting = 'mcap' then funding_groups.funding_mcap
            when variants.weighting = 'equal' then funding_groups.funding_equal
            when variants.weighting = 'median' then funding_groups.funding_median
        end as rate
    from variants
    inner join funding_groups on variants.universe_id = funding_groups.universe_id
),

skew as (
    select
        variants.universe_id,
        variants.feature_key,
        variants.feature_id,
        universe_days.date,
        alts.rate - majors.rate as funding_skew,
        greatest(alts.largest_rate, majors.largest_rate) as largest_rate
    from variants
    inner join universe_days on variants.universe_id = universe_days.universe_id
    left join rates as alts
        on
            variants.universe_id = alts.universe_id
            and variants.feature_key = alts.feature_key
            and universe_days.date = alts.date
            and alts.asset_group = 'alts'
    left join rates as majors
        on
            variants.universe_id = majors.universe_id
            and variants.feature_key = majors.feature_key
            and universe_days.date = majors.date
            and majors.asset_group = 'majors'
),

{% set by_day = 'partition by universe_id, feature_key order by date' %}
final as (
    select
        universe_id,
        feature_key,
        date,
        case feature_id
            when 'funding_skew' then funding_skew
            when 'funding_heating'
                then
                    {{ trailing('avg', 'funding_skew', 10, by_day) }}
                    - {{ trailing('avg', 'funding_skew', 20, by_day) }}
        end as raw_value,
        case feature_id
            when 'funding_skew' then largest_rate
            when 'funding_heating' then {{ trailing('max', 'largest_rate', 20, by_day) }}
        end as magnitude
    from skew
)

select * from final
