-- One row per universe, day and major of that universe, as on the grid (values may be missing).
with
asset_days as (
    select * from {{ ref('asset_days') }}
),

universes as (
    select
        universe_id,
        unnest(majors) as asset_id
    from {{ ref('universes') }}
),

final as (
    select
        universes.universe_id,
        asset_days.*
    from asset_days
    inner join universes on asset_days.asset_id = universes.asset_id
)

select * from final
