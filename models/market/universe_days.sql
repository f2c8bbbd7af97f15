-- One row per universe and calendar day from the first to the last BTC close: the dense spine of
-- all features, with what they share of the day.
with
btc as (
    select
        max_abs_return_1d,
        date,
        close as btc_close,
        return_1d as btc_return_1d,
        marketcap_usd as btc_marketcap_usd,
        open_interest_usd as btc_open_interest_usd
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

universes as (
    select
        universe_id,
        max_abs_return_1d
    from {{ ref('universes') }}
),

alts as (
    select
        universe_id,
        date,
        count(*) as n_alts,
        {{ exact_sum('marketcap_usd') }} as alt_marketcap_usd,
        {{ exact_sum('volume_usd') }} as alt_volume_usd
    from {{ ref('alts') }}
    group by universe_id, date
),

final as (
    select
        universes.universe_id,
        btc.* exclude (max_abs_return_1d),  -- noqa: RF02
        coalesce(alts.n_alts, 0) as n_alts,
        alts.alt_marketcap_usd,
        alts.alt_volume_usd
    from btc
    inner join universes
        on btc.max_abs_return_1d is not distinct from universes.max_abs_return_1d
    left join alts on universes.universe_id = alts.universe_id and btc.date = alts.date
)

select * from final
