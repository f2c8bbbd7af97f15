-- depends_on: {{ ref('lake') }}
-- One row per perpetual and listing: the days at whose close it could be traded, from `listed`
-- until the day before `delisted`.
with
source as (
    select
        asset_id,
        exchange,
        instrument_id,
        listed,
        delisted
    from {{ source('lake', 'dim_listing') }}
    where unusable is null
),

-- rows of one listing are folded: a day of delisting that any of them knows counts
final as (
    select
        asset_id,
        exchange,
        instrument_id,
        listed,
        min(delisted) as delisted
    from source
    group by asset_id, exchange, instrument_id, listed
)

select * from final
