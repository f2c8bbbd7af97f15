-- One row per asset and day with a usable 24-hour volume, USD. A row dated t is known at the close
-- of day t.
with
source as (
    select
        cast(asset_id as varchar) as asset_id,
        cast(date as date) as date,
        cast(volume as double) as volume
    from {{ lake_table('fact_volume', {
        'asset_id': 'varchar', 'date': 'date', 'volume': 'double'
    }) }}
),

final as (
    select
        asset_id,
        date,
        {{ agreed('volume', 'fact_volume', ['asset_id', 'date']) }} as volume_usd
    from source
    where {{ impossible_value('volume', 'not negative') }} is null
    group by asset_id, date
)

select * from final
-- depends_on: {{ ref('lake') }}
