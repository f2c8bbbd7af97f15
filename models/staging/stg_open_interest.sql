-- One row per asset, instrument, exchange and day: open interest in USD.
-- Lakes that know open interest per asset only have NULL instrument and exchange.
with
source as (
    select
        cast(asset_id as varchar) as asset_id,
        cast(instrument_id as varchar) as instrument_id,
        cast(exchange as varchar) as exchange,
        cast(date as date) as date,
        cast(open_interest_usd as double) as open_interest_usd
    from {{ lake_table('fact_open_interest', {
        'asset_id': 'varchar', 'instrument_id': 'varchar', 'exchange': 'varchar', 'date': 'date',
        'open_interest_usd': 'double'
    }) }}
),

final as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        {{ agreed('open_interest_usd', 'fact_open_interest',
            ['asset_id', 'instrument_id', 'exchange', 'date']) }} as open_interest_usd
    from source
    where {{ impossible_value('open_interest_usd', 'not negative') }} is null
    group by asset_id, instrument_id, exchange, date
)

select * from final
-- depends_on: {{ ref('lake') }}
