-- depends_on: {{ ref('lake') }}
-- One row per asset that the lake's own exclude.csv keeps out of baskets.
with
final as (
    select
        asset_id,
        reason
    from {{ source('lake', 'exclude') }}
)

select * from final
