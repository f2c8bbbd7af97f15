-- One row per asset of dim_asset, with its flags; a flag that the lake does not have is false.
with
source as (
    select
        cast(asset_id as varchar) as asset_id,
        cast(is_stable as boolean) as is_stable,
        cast(is_wrapped as boolean) as is_wrapped,
        cast(is_wrapped_stable as boolean) as is_wrapped_stable,
        cast(is_exchange_token as boolean) as is_exchange_token
    from {{ lake_table('dim_asset', {
        'asset_id': 'varchar', 'is_stable': 'boolean', 'is_wrapped': 'boolean',
        'is_wrapped_stable': 'boolean', 'is_exchange_token': 'boolean'
    }) }}
),

final as (
    select
        asset_id,
        coalesce(bool_or(is_stable), false) as is_stable,
        coalesce(bool_or(is_wrapped), false) as is_wrapped,
        coalesce(bool_or(is_wrapped_stable), false) as is_wrapped_stable,
        coalesce(bool_or(is_exchange_token), false) as is_exchange_token
    from source
    where asset_id is not null
    group by asset_id
)

select * from final
-- depends_on: {{ ref('lake') }}
