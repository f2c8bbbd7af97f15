-- depends_on: {{ ref('lake') }}
-- One row per asset and day with a usable 24-hour volume, USD. A row dated t is known at the close
-- of day t.
with
source as (
    select
        asset_id,
        date,
        volume
    from {{ source('lake', 'fact_volume') }}
    where unusable is null
),

final as (
    select
        asset_id,
        date,
        {{ agreed('volume', 'fact_volume', ['asset_id', 'date']) }} as volume_usd
    from source
    group by asset_id, date
)

select * from final
