-- One row per universe, day and major of that universe, as on the grid (values may be missing).
with
asset_days as (
    select * from {{ ref('asset_days') }}
),

universes as (
    select
        universe_id,
        max_abs_return_1d,
        rank_by,
        unnest(majors) as asset_id
    from {{ ref('universes') }}
),

traded_volumes as (
    select * from {{ ref('traded_volumes') }}
),

final as (
    select
        universes.universe_id,
        asset_days.date,
        asset_days.asset_id,
        asset_days.is_observed,
        asset_days.close,
        asset_days.marketcap_usd,
        case universes.rank_by
            when 'marketcap' then asset_days.marketcap_usd
            else traded_volumes.volume_30d_usd
        end as size_usd,
        asset_days.volume_usd,
        asset_days.volume_30d_high_usd,
        asset_days.open_interest_usd,
        asset_days.funding_rate_8h,
        asset_days.return_1d,
        asset_days.mean_return_3d,
        asset_days.mean_return_7d
    from asset_days
    inner join universes
        on
            asset_days.asset_id = universes.asset_id
            and asset_days.max_abs_return_1d is not distinct from universes.max_abs_return_1d
    left join traded_volumes
        on
            asset_days.asset_id = traded_volumes.asset_id
            and asset_days.date = traded_volumes.date
            and asset_days.max_abs_return_1d is not distinct from traded_volumes.max_abs_return_1d
)

select * from final
