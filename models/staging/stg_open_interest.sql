-- depends_on: {{ ref('lake') }}
-- One row per asset, instrument, exchange and day: open interest in USD.
-- Lakes that know open interest per asset only have NULL instrument and exchange.
with
source as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        open_interest_usd
    from {{ source('lake', 'fact_open_interest') }}
    where unusable is null
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
    group by asset_id, instrument_id, exchange, date
)

select * from final
