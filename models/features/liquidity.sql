-- One row per universe, feature and day: the median over 7 days of the alts' total volume (USD),
-- the one-day change of its 60-day z-score, and the percentage of alts whose volume is the highest
-- of its last 30 days.
with
universe_days as (
    select
        universe_id,
        date,
        alt_volume_usd
    from {{ ref('universe_days') }}
),

alts as (
    select
        universe_id,
        date,
        100.0 * count(case when volume_usd >= volume_30d_high_usd then 1 end)
        / nullif(count(volume_30d_high_usd), 0) as liquidity_pct_at_30d_high
    from {{ ref('alts') }}
    group by universe_id, date
),

{% set by_day = 'partition by universe_id order by date' %}
medians as (
    select
        universe_id,
        date,
        {{ trailing('median', 'alt_volume_usd', 7, by_day) }} as liquidity
    from universe_days
),

windows as (
    select
        universe_id,
        date,
        liquidity,
        {{ trailing('avg', 'liquidity', 60, by_day) }} as liquidity_mean,
        {{ trailing('stddev_samp', 'liquidity', 60, by_day) }} as liquidity_std,
        {{ trailing('max', 'liquidity', 60, by_day) }} as liquidity_max
    from medians
),

-- rounding of a z-score is that of the values that it came from, over their deviation
standardised as (
    select
        universe_id,
        date,
        liquidity,
        {{ resolved('liquidity_std', 'liquidity_max') }} as resolved_std,
        (liquidity - liquidity_mean) / resolved_std as liquidity_z,
        liquidity_max / resolved_std as z_magnitude
    from windows
),

with_secondary as (
    select
        standardised.universe_id,
        standardised.date,
        standardised.liquidity,
        standardised.liquidity_z - lag(standardised.liquidity_z) over by_day as liquidity_z_delta,
        greatest(standardised.z_magnitude, lag(standardised.z_magnitude) over by_day)
            as z_magnitude,
        alts.liquidity_pct_at_30d_high
    from standardised
    left join alts
        on standardised.universe_id = alts.universe_id and standardised.date = alts.date
    window by_day as (partition by standardised.universe_id order by standardised.date)
),

final as (
    {{ long_features(
        'with_secondary',
        ['liquidity', 'liquidity_z_delta', 'liquidity_pct_at_30d_high'],
        magnitudes={'liquidity_z_delta': 'z_magnitude'}
    ) }}
)

select * from final
