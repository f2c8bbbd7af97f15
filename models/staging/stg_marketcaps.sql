-- One row per asset and day with a usable market cap, USD. A row dated t is known at the close
-- of day t.
with
source as (
    select
        cast(asset_id as varchar) as asset_id,
        cast(date as date) as date,
        cast(marketcap as double) as marketcap
    from {{ lake_table('fact_marketcap', {
        'asset_id': 'varchar', 'date': 'date', 'marketcap': 'double'
    }) }}
),

final as (
    select
        asset_id,
        date,
        {{ agreed('marketcap', 'fact_marketcap', ['asset_id', 'date']) }} as marketcap_usd
    from source
    where {{ impossible_value('marketcap', 'positive') }} is null
    group by asset_id, date
)

select * from final
-- depends_on: {{ ref('lake') }}
