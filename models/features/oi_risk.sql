-- One row per universe, feature and day: the 3-day growth of BTC open interest, cut to 0 to 50% and
-- scaled to 0 to 1, halved unless BTC rose over the same 3 days. Missing when any of the four
-- values is, or when open interest was 0.
with
universe_days as (
    select
        universe_id,
        date,
        btc_close,
        btc_open_interest_usd as open_interest,
        lag(btc_close, 3) over by_day as btc_close_before,
        nullif(lag(btc_open_interest_usd, 3) over by_day, 0) as open_interest_before
    from {{ ref('universe_days') }}
    window by_day as (partition by universe_id order by date)
),

scaled as (
    select
        universe_id,
        date,
        case
            when
                btc_close is not null
                and btc_close_before is not null
                and open_interest is not null
                and open_interest_before is not null
                then
                    least(greatest(100 * (open_interest / open_interest_before - 1), 0) / 50, 1)
                    * case when btc_close > btc_close_before then 1 else 0.5 end
        end as oi_risk
    from universe_days
),

final as (
    -- growth is a ratio minus 1, times 100 / 50
    {{ long_features('scaled', ['oi_risk'], magnitudes={'oi_risk': '2'}) }}
)

select * from final
