-- One row per asset that some universe of this invocation can hold: its majors, and every asset
-- that is not excluded and whose market cap (or volume, if a universe ranks by it) reaches the
-- lowest minimum on some day. No other asset enters a number, and in a large lake they are the
-- most: the panel leaves them out.
with
universes as (
    select
        majors,
        rank_by,
        min_mcap_usd,
        min_volume_usd
    from {{ ref('universes') }}
),

largest as (
    select
        asset_id,
        max(marketcap_usd) as marketcap_usd
    from {{ ref('asset_marketcaps') }}
    group by asset_id
),

most_traded as (
    select
        asset_id,
        max(volume_usd) as volume_usd
    from {{ ref('stg_volumes') }}
    where (select bool_or(universes.rank_by = 'volume_30d') from universes)
    group by asset_id
),

large_enough as (
    select asset_id
    from largest
    where
        marketcap_usd >= (
            select min(universes.min_mcap_usd) from universes
            where universes.rank_by = 'marketcap'
        )
    union
    select asset_id
    from most_traded
    where
        volume_usd >= (
            select min(universes.min_volume_usd) from universes
            where universes.rank_by = 'volume_30d'
        )
),

final as (
    select unnest(majors) as asset_id
    from universes
    union
    select large_enough.asset_id
    from large_enough
    anti join {{ ref('ineligible_assets') }} as ineligible_assets
        on large_enough.asset_id = ineligible_assets.asset_id
)

select * from final
