-- depends_on: {{ ref('lake') }}
-- One row per asset and day with a usable market cap, USD. A row dated t is known at the close
-- of day t.
with
source as (
    select
        asset_id,
        date,
        marketcap
    from {{ source('lake', 'fact_marketcap') }}
    where unusable is null
),

final as (
    select
        asset_id,
        date,
        {{ agreed('marketcap', 'fact_marketcap', ['asset_id', 'date']) }} as marketcap_usd
    from source
    group by asset_id, date
)

select * from final
