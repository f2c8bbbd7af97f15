-- depends_on: {{ ref('lake') }}
-- One row per asset and day with a usable circulating supply, coins. A row dated t is known at the
-- close of day t.
with
source as (
    select
        asset_id,
        date,
        circulating_supply
    from {{ source('lake', 'fact_supply') }}
    where unusable is null
),

final as (
    select
        asset_id,
        date,
        {{ agreed('circulating_supply', 'fact_supply', ['asset_id', 'date']) }}
            as circulating_supply
    from source
    group by asset_id, date
)

select * from final
