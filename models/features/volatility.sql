-- One row per universe, feature and day: standard deviation of the alt index return over 7 days
-- minus that of BTC (daily decimal fractions). The alt index return at t averages return_1d(t) over
-- alts(t-1), weighted by size (market cap) at t-1: members and weights are known before the return.
with
universe_days as (
    select
        universe_id,
        date,
        btc_return_1d
    from {{ ref('universe_days') }}
),

alts as (
    select
        universe_id,
        max_abs_return_1d,
        date + 1 as date,
        asset_id,
        size_usd as size_usd_before
    from {{ ref('alts') }}
),

asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        return_1d
    from {{ ref('asset_days') }}
    where return_1d is not null
),

alt_index as (
    select
        alts.universe_id,
        alts.date,
        {{ weighted_mean('asset_days.return_1d', 'alts.size_usd_before') }}
            as alt_index_return_1d
    from alts
    inner join asset_days
        on
            alts.asset_id = asset_days.asset_id
            and alts.date = asset_days.date
            and alts.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
    group by alts.universe_id, alts.date
),

dense as (
    select
        universe_days.universe_id,
        universe_days.date,
        universe_days.btc_return_1d,
        alt_index.alt_index_return_1d
    from universe_days
    left join alt_index
        on universe_days.universe_id = alt_index.universe_id and universe_days.date = alt_index.date
),

{% set by_day = 'partition by universe_id order by date' %}
spreads as (
    select
        universe_id,
        date,
        {{ trailing('stddev_samp', 'alt_index_return_1d', 7, by_day) }} as alts_volatility,
        {{ trailing('stddev_samp', 'btc_return_1d', 7, by_day) }} as btc_volatility,
        alts_volatility - btc_volatility as volatility_spread
    from dense
),

final as (
    {{ long_features(
        'spreads',
        ['volatility_spread'],
        magnitudes={'volatility_spread': 'greatest(1, alts_volatility, btc_volatility)'}
    ) }}
)

select * from final
