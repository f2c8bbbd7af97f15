-- One row per universe with a limit of returns, asset and day that the limit took the close from:
-- of majors, and of what is large and liquid enough on the day and not excluded.
with
asset_days as (
    select * from {{ ref('asset_days') }}
    where is_removed
),

universes as (
    select * from {{ ref('universes') }}
    where max_abs_return_1d is not null
),

ineligible_assets as (
    select asset_id from {{ ref('ineligible_assets') }}
),

final as (
    select
        universes.universe_id,
        asset_days.date,
        asset_days.asset_id
    from asset_days
    inner join universes on asset_days.max_abs_return_1d = universes.max_abs_return_1d
    left join ineligible_assets on asset_days.asset_id = ineligible_assets.asset_id
    where
        list_contains(universes.majors, asset_days.asset_id)
        or (
            ineligible_assets.asset_id is null
            and not list_contains(universes.exclude_assets, asset_days.asset_id)
            and (
                universes.rank_by = 'volume_30d'
                or asset_days.marketcap_usd >= universes.min_mcap_usd
            )
            and asset_days.volume_usd >= universes.min_volume_usd
        )
)

select * from final
