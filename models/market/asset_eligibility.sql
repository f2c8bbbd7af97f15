-- One row per universe, day and asset of the panel that is no major and not excluded: the first
-- reason why it is not one of alts(t), or 'eligible'. Where a universe ranks by volume, traded
-- volume is the size of an asset in place of market cap. Nothing about day t depends on later rows.
{{ config(materialized='view') }}
with
asset_days as (
    select * from {{ ref('asset_days') }}
),

universes as (
    select * from {{ ref('universes') }}
),

ineligible_assets as (
    select asset_id from {{ ref('ineligible_assets') }}
),

first_prices as (
    select
        asset_id,
        min(date) as first_price_date
    from {{ ref('stg_prices') }}
    group by asset_id
),

listings as (
    select * from {{ ref('stg_listings') }}
),

medians as (
    select distinct
        max_abs_return_1d,
        rank_median_days,
        rank_median_days - 1 as days_before
    from universes
    where rank_median_days > 1
),

traded_volumes as (
    select * from {{ ref('traded_volumes') }}
),

by_volume as (
    select distinct rank_by
    from universes
    where rank_by = 'volume_30d'
),

with_medians as (
    select
        asset_days.*,
        'marketcap' as rank_by,
        medians.rank_median_days,
        asset_days.marketcap_usd as size_usd,
        case
            when count(asset_days.marketcap_usd) over last_days = medians.rank_median_days
                then list_median(list(asset_days.marketcap_usd) over last_days)
        end as ranked_size_usd
    from asset_days
    inner join medians
        on asset_days.max_abs_return_1d is not distinct from medians.max_abs_return_1d
    window last_days as (
        partition by
            asset_days.max_abs_return_1d, medians.rank_median_days, asset_days.asset_id
        order by asset_days.date
        rows between days_before preceding and current row
    )
),

ranked as (
    select
        *,
        'marketcap' as rank_by,
        1 as rank_median_days,
        marketcap_usd as size_usd,
        marketcap_usd as ranked_size_usd
    from asset_days
    union all
    select * from with_medians
    union all
    select
        asset_days.*,
        by_volume.rank_by,
        1 as rank_median_days,
        traded_volumes.volume_30d_usd as size_usd,
        traded_volumes.volume_30d_usd as ranked_size_usd
    from asset_days
    cross join by_volume
    left join traded_volumes
        on
            asset_days.asset_id = traded_volumes.asset_id
            and asset_days.date = traded_volumes.date
            and asset_days.max_abs_return_1d is not distinct from traded_volumes.max_abs_return_1d
),

-- the perpetuals where a universe asks for one; many instruments of an asset are open alike
perpetuals as (
    select distinct
        universes.universe_id,
        listings.asset_id,
        listings.listed,
        listings.delisted
    from universes
    inner join listings on list_contains(universes.listed_on, listings.exchange)
),

open_days as (
    select distinct
        perpetuals.universe_id,
        asset_days.asset_id,
        asset_days.date
    from perpetuals
    inner join asset_days
        on
            perpetuals.asset_id = asset_days.asset_id
            and perpetuals.listed <= asset_days.date
            and (perpetuals.delisted is null or perpetuals.delisted > asset_days.date)
),

final as (
    select
        universes.universe_id,
        asset_days.max_abs_return_1d,
        asset_days.date,
        asset_days.asset_id,
        asset_days.is_observed,
        asset_days.close,
        asset_days.marketcap_usd,
        asset_days.is_marketcap_derived,
        asset_days.size_usd,
        asset_days.ranked_size_usd,
        asset_days.volume_usd,
        asset_days.volume_30d_high_usd,
        asset_days.open_interest_usd,
        asset_days.funding_rate_8h,
        asset_days.return_1d,
        asset_days.mean_return_3d,
        asset_days.mean_return_7d,
        case
            when asset_days.is_removed then 'bad price'
            when asset_days.close is null then 'no price'
            when asset_days.ranked_size_usd is null then 'size not known'
            when
                universes.rank_by = 'marketcap'
                and asset_days.ranked_size_usd < universes.min_mcap_usd
                then 'market cap below the minimum'
            when asset_days.volume_usd is null then 'no volume'
            when asset_days.volume_usd < universes.min_volume_usd then 'volume below the minimum'
            when
                asset_days.date - first_prices.first_price_date + 1 < universes.min_history_days
                then 'history too short'
            when len(universes.listed_on) > 0 and open_days.date is null
                then 'no open perpetual'
            else 'eligible'
        end as reason
    from ranked as asset_days
    inner join universes
        on
            asset_days.rank_by = universes.rank_by
            and asset_days.rank_median_days = universes.rank_median_days
            and asset_days.max_abs_return_1d is not distinct from universes.max_abs_return_1d
    inner join first_prices on asset_days.asset_id = first_prices.asset_id
    left join open_days
        on
            universes.universe_id = open_days.universe_id
            and asset_days.asset_id = open_days.asset_id
            and asset_days.date = open_days.date
    anti join ineligible_assets on asset_days.asset_id = ineligible_assets.asset_id
    where
        not list_contains(universes.majors, asset_days.asset_id)
        and not list_contains(universes.exclude_assets, asset_days.asset_id)
)

select * from final
