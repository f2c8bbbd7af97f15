-- One row per asset and day with a market cap, USD: the lake's own; on a day with a close on which
-- none of those is carried, close times the last supply, if that is at most 31 days old.
with
marketcaps as (
    select * from {{ ref('stg_marketcaps') }}
),

supplies as (
    select * from {{ ref('stg_supplies') }}
),

settings as (
    select max_stale_days from {{ ref('lake') }}
),

prices as (
    select stg_prices.*
    from {{ ref('stg_prices') }} as stg_prices
    semi join supplies on stg_prices.asset_id = supplies.asset_id
),

with_supply as (
    select
        prices.asset_id,
        prices.date,
        prices.close * supplies.circulating_supply as marketcap_usd
    from prices
    asof inner join supplies
        on prices.asset_id = supplies.asset_id and prices.date >= supplies.date
    where prices.date - supplies.date <= 31
),

-- an asof join sorts all of its right side, and most assets, or all, have no supply
marketcaps_beside as (
    select
        marketcaps.asset_id,
        marketcaps.date
    from marketcaps
    semi join supplies on marketcaps.asset_id = supplies.asset_id
),

with_last_marketcap as (
    select
        with_supply.*,
        with_supply.date - marketcaps_beside.date as marketcap_age_days
    from with_supply
    asof left join marketcaps_beside
        on
            with_supply.asset_id = marketcaps_beside.asset_id
            and with_supply.date >= marketcaps_beside.date
),

-- as of any market cap, 1e15 USD is a unit error
derived as (
    select
        with_last_marketcap.asset_id,
        with_last_marketcap.date,
        with_last_marketcap.marketcap_usd
    from with_last_marketcap
    cross join settings
    where
        with_last_marketcap.marketcap_usd < 1e15
        and (
            with_last_marketcap.marketcap_age_days is null
            or with_last_marketcap.marketcap_age_days > settings.max_stale_days
        )
),

final as (
    select
        asset_id,
        date,
        marketcap_usd,
        false as is_derived
    from marketcaps
    union all
    select
        asset_id,
        date,
        marketcap_usd,
        true as is_derived
    from derived
)

select * from final
