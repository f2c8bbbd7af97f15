-- One row per universe, day and asset that is one of alts(t): not a major, not excluded, with a
-- carried close, and market cap and volume at or above the universe's minimum on that very day.
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

final as (
    select
        universes.universe_id,
        asset_days.date,
        asset_days.asset_id,
        asset_days.is_observed,
        asset_days.close,
        asset_days.marketcap_usd,
        asset_days.volume_usd,
        asset_days.volume_30d_high_usd,
        asset_days.open_interest_usd,
        asset_days.funding_rate,
        asset_days.return_1d,
        asset_days.mean_return_3d,
        asset_days.mean_return_7d
    from asset_days
    inner join universes
        on
            asset_days.marketcap_usd >= universes.min_mcap_usd
            and asset_days.volume_usd >= universes.min_volume_usd
    anti join ineligible_assets on asset_days.asset_id = ineligible_assets.asset_id
    where
        asset_days.close is not null
        and not list_contains(universes.majors, asset_days.asset_id)
        and not list_contains(universes.exclude_assets, asset_days.asset_id)
)

select * from final
