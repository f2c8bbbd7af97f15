-- One row per asset, instrument, exchange and day: the funding rate as a decimal fraction, of one
-- interval and of one day. The lake's lake.yaml says unit and interval by date and exchange.
with
source as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        funding_rate
    from {{ source('lake', 'fact_funding') }}
    where unusable is null
),

unit_rules as (
    select unnest(lake.funding_units, recursive := true)
    from {{ ref('lake') }} as lake
),

rules as (
    select
        exchange,
        coalesce(from_date, date '0001-01-01') as from_date,
        coalesce(until_date, date '9999-12-31') as until_date,
        interval_hours,
        units_per_one
    from unit_rules
),

exchanges_with_rules as (
    select distinct exchange
    from rules
    where exchange is not null
),

deduplicated as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        {{ agreed('funding_rate', 'fact_funding',
            ['asset_id', 'instrument_id', 'exchange', 'date']) }} as funding_rate
    from source
    group by asset_id, instrument_id, exchange, date
),

-- an exchange with rules of its own uses them, every other one the lake's general rules
with_rule_exchange as (
    select
        deduplicated.*,
        exchanges_with_rules.exchange as rule_exchange
    from deduplicated
    left join exchanges_with_rules on deduplicated.exchange = exchanges_with_rules.exchange
),

final as (
    select
        rates.asset_id,
        rates.instrument_id,
        rates.exchange,
        rates.date,
        rates.funding_rate / rules.units_per_one as funding_rate_interval,
        rates.funding_rate / rules.units_per_one * 24 / rules.interval_hours as funding_rate_1d
    from with_rule_exchange as rates
    inner join rules
        on
            rates.rule_exchange is not distinct from rules.exchange
            and rates.date between rules.from_date and rules.until_date
)

select * from final
