-- depends_on: {{ ref('lake') }}
-- One row per asset and day with a usable close. A row dated t is known at the close of day t.
with
source as (
    select
        asset_id,
        date,
        close
    from {{ source('lake', 'fact_price') }}
    where unusable is null
),

final as (
    select
        asset_id,
        date,
        {{ agreed('close', 'fact_price', ['asset_id', 'date']) }} as close
    from source
    group by asset_id, date
)

select * from final
