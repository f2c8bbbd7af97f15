-- One row per asset that no short basket may hold: stablecoins, wrapped and staked derivatives,
-- exchange tokens, tokens of commodities, funds and stocks, by the flags of the lake's dim_asset,
-- by the project's own list and by the lake's exclude.csv.
with
assets as (
    select * from {{ ref('stg_assets') }}
),

listed as (
    select
        asset_id,
        reason
    from {{ ref('excluded_assets') }}
),

of_the_lake as (
    select
        asset_id,
        reason
    from {{ ref('stg_exclusions') }}
),

flagged as (
    select
        asset_id,
        case
            when is_stable then 'stablecoin'
            when is_wrapped or is_wrapped_stable then 'wrapped'
            when is_exchange_token then 'exchange token'
        end as reason
    from assets
),

final as (
    select
        asset_id,
        min(reason) as reason
    from (
        select * from flagged
        union all
        select * from listed
        union all
        select * from of_the_lake
    ) as reasons
    where reason is not null
    group by asset_id
)

select * from final
