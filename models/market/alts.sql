-- One row per universe, day and asset that is one of alts(t): not a major, not excluded, with a
-- carried close, volume at or above the universe's minimum on that very day, and the same of the
-- market cap, or of its median over the last days if the universe says so (all of them present).
-- Where a universe ranks by volume, traded volume is the size of an asset in place of market cap.
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
        'volume_30d' as rank_by,
        1 as rank_median_days,
        traded_volumes.volume_30d_usd as size_usd,
        traded_volumes.volume_30d_usd as ranked_size_usd
    from asset_days
    inner join traded_volumes
        on
            asset_days.asset_id = traded_volumes.asset_id
            and asset_days.date = traded_volumes.date
            and asset_days.max_abs_return_1d is not distinct from traded_volumes.max_abs_return_1d
),

final as (
    select
        universes.universe_id,
        universes.max_abs_return_1d,
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
        asset_days.mean_return_7d
    from ranked as asset_days
    inner join universes
        on
            asset_days.rank_by = universes.rank_by
            and asset_days.rank_median_days = universes.rank_median_days
            and asset_days.max_abs_return_1d is not distinct from universes.max_abs_return_1d
            and asset_days.ranked_size_usd
            >= case universes.rank_by when 'marketcap' then universes.min_mcap_usd else 0 end
            and asset_days.volume_usd >= universes.min_volume_usd
    anti join ineligible_assets on asset_days.asset_id = ineligible_assets.asset_id
    where
        asset_days.close is not null
        and not list_contains(universes.majors, asset_days.asset_id)
        and not list_contains(universes.exclude_assets, asset_days.asset_id)
)

select * from final
