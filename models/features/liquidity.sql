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

standardised as (
    select
        universe_id,
        date,
        liquidity,
        (liquidity - {{ trailing('avg', 'liquidity', 60, by_day) }})
        / nullif({{ trailing('stddev_samp', 'liquidity', 60, by_day) }}, 0) as liquidity_z
    from medians
),

with_secondary as (
    select
        standardised.universe_id,
        standardised.date,
        standardised.liquidity,
        standardised.liquidity_z - lag(standardised.liquidity_z) over (
            partition by standardised.universe_id order by standardised.date
        ) as liquidity_z_delta,
        alts.liquidity_pct_at_30d_high
    from standardised
    left join alts
        on standardised.universe_id = alts.universe_id and standardised.date = alts.date
),

final as (
    {{ long_features('with_secondary', [
        'liquidity', 'liquidity_z_delta', 'liquidity_pct_at_30d_high'
    ]) }}
)

select * from final
