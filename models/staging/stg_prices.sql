-- One row per asset and day with a usable close. A row dated t is known at the close of day t.
with
source as (
    select
        cast(asset_id as varchar) as asset_id,
        cast(date as date) as date,
        cast(close as double) as close
    from {{ lake_table('fact_price', {'asset_id': 'varchar', 'date': 'date', 'close': 'double'}) }}
),

final as (
    select
        asset_id,
        date,
        {{ agreed('close', 'fact_price', ['asset_id', 'date']) }} as close
    from source
    where {{ impossible_value('close', 'positive') }} is null
    group by asset_id, date
)

select * from final
-- depends_on: {{ ref('lake') }}
