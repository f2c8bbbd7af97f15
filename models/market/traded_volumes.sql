-- One row per limit of returns, asset and day with 30 volumes up to and including the day: their
-- median, USD. It stands for the size of an asset in universes that rank by it; without one there
-- are no rows.
with
asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        volume_usd
    from {{ ref('asset_days') }}
),

limits as (
    select distinct max_abs_return_1d
    from {{ ref('universes') }}
    where rank_by = 'volume_30d'
),

medians as (
    select
        asset_days.max_abs_return_1d,
        asset_days.asset_id,
        asset_days.date,
        case
            when count(asset_days.volume_usd) over last_30_days = 30
                then list_median(list(asset_days.volume_usd) over last_30_days)
        end as volume_30d_usd
    from asset_days
    inner join limits on asset_days.max_abs_return_1d is not distinct from limits.max_abs_return_1d
    window last_30_days as (
        partition by asset_days.max_abs_return_1d, asset_days.asset_id
        order by asset_days.date
        rows between 29 preceding and current row
    )
),

final as (
    select * from medians
    where volume_30d_usd is not null
)

select * from final
