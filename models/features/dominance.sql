-- One row per universe, feature and day: the share of BTC in the size of BTC and the alts of the
-- day (a decimal fraction; missing without alts), and its change in 1 and in 5 days. Size is the
-- market cap, or the traded volume where the universe ranks by it.
with
universe_days as (
    select
        universe_id,
        date,
        btc_size_usd / (btc_size_usd + alt_size_usd) as btc_dominance
    from {{ ref('universe_days') }}
),

with_changes as (
    select
        *,
        lag(btc_dominance, 1) over by_day as dominance_1d_before,
        lag(btc_dominance, 5) over by_day as dominance_5d_before,
        btc_dominance - dominance_1d_before as btc_dominance_change_1d,
        btc_dominance - dominance_5d_before as btc_dominance_change_5d
    from universe_days
    window by_day as (partition by universe_id order by date)
),

final as (
    {{ long_features(
        'with_changes',
        ['btc_dominance', 'btc_dominance_change_1d', 'btc_dominance_change_5d'],
        magnitudes={
            'btc_dominance_change_1d': 'greatest(btc_dominance, dominance_1d_before)',
            'btc_dominance_change_5d': 'greatest(btc_dominance, dominance_5d_before)',
        }
    ) }}
)

select * from final
