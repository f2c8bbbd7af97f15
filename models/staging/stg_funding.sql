-- One row per asset, instrument, exchange and day: the funding rate as a decimal fraction, of a day
-- and of eight hours. The sum of the day's prints wins; else the rate of one interval is converted
-- by the row's own interval_hours, and by lake.yaml's where it has none. The unit is lake.yaml's,
-- by date and exchange.
with
source as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        funding_rate,
        funding_rate_1d_sum,
        interval_hours
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

{% set key = ['asset_id', 'instrument_id', 'exchange', 'date'] %}
deduplicated as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        {{ agreed('funding_rate', 'fact_funding', key) }} as funding_rate,
        {{ agreed('funding_rate_1d_sum', 'fact_funding', key) }} as funding_rate_1d_sum,
        {{ agreed('interval_hours', 'fact_funding', key) }} as interval_hours
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

in_decimals as (
    select
        rates.asset_id,
        rates.instrument_id,
        rates.exchange,
        rates.date,
        rates.funding_rate / rules.units_per_one as funding_rate,
        rates.funding_rate_1d_sum / rules.units_per_one as funding_rate_1d_sum,
        coalesce(rates.interval_hours, rules.interval_hours) as interval_hours
    from with_rule_exchange as rates
    inner join rules
        on
            rates.rule_exchange is not distinct from rules.exchange
            and rates.date between rules.from_date and rules.until_date
),

-- eight hours are not a third of the rounded day: a rate of eight hours stays what it is
final as (
    select
        asset_id,
        instrument_id,
        exchange,
        date,
        coalesce(funding_rate_1d_sum / 3, funding_rate * 8 / interval_hours) as funding_rate_8h,
        coalesce(funding_rate_1d_sum, funding_rate * 24 / interval_hours) as funding_rate_1d
    from in_decimals
)

select * from final
