-- One row per asset that some universe of this invocation can hold: its majors, and every asset
-- that is not excluded and whose market cap reaches the lowest minimum on some day. No other asset
-- enters a number, and in a large lake they are the most: the panel leaves them out.
with
universes as (
    select
        majors,
        min_mcap_usd
    from {{ ref('universes') }}
),

largest as (
    select
        asset_id,
        max(marketcap_usd) as marketcap_usd
    from {{ ref('stg_marketcaps') }}
    group by asset_id
),

large_enough as (
    select largest.asset_id
    from largest
    anti join {{ ref('ineligible_assets') }} as ineligible_assets
        on largest.asset_id = ineligible_assets.asset_id
    where largest.marketcap_usd >= (select min(universes.min_mcap_usd) from universes)
),

final as (
    select unnest(majors) as asset_id
    from universes
    union
    select asset_id
    from large_enough
)

select * from final
