-- One row per asset that has prices and that no short basket may hold: what the manifests list.
with
prices as (
    select
        asset_id,
        min(date) as first_date
    from {{ ref('stg_prices') }}
    group by asset_id
),

final as (
    select
        ineligible_assets.asset_id,
        ineligible_assets.reason,
        prices.first_date
    from {{ ref('ineligible_assets') }} as ineligible_assets
    inner join prices on ineligible_assets.asset_id = prices.asset_id
)

select * from final
