-- depends_on: {{ ref('lake') }}
-- One row per asset of dim_asset, with its flags; a flag that the lake does not have is false.
with
source as (
    select
        asset_id,
        is_stable,
        is_wrapped,
        is_wrapped_stable,
        is_exchange_token
    from {{ source('lake', 'dim_asset') }}
    where unusable is null
),

final as (
    select
        asset_id,
        coalesce(bool_or(is_stable), false) as is_stable,
        coalesce(bool_or(is_wrapped), false) as is_wrapped,
        coalesce(bool_or(is_wrapped_stable), false) as is_wrapped_stable,
        coalesce(bool_or(is_exchange_token), false) as is_exchange_token
    from source
    group by asset_id
)

select * from final
