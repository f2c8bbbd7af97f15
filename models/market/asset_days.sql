-- One row per limit of returns among the universes (missing: of those without one), candidate asset
-- and calendar day, from its first price row to `max_stale_days` after its last one, within the
-- first and the last BTC close: dense, so a window of n rows is n days. Closes, market caps and
-- volumes are carried at most max_stale_days, open interest 7 days, funding never.
with
candidates as (
    select asset_id from {{ ref('candidate_assets') }}
),

btc as (
    select
        min(date) as first_date,
        max(date) as last_date
    from {{ ref('stg_prices') }}
    where asset_id = 'BTC'
),

prices as (
    select stg_prices.*
    from {{ ref('stg_prices') }} as stg_prices
    semi join candidates on stg_prices.asset_id = candidates.asset_id
),

marketcaps as (
    select asset_marketcaps.*
    from {{ ref('asset_marketcaps') }} as asset_marketcaps
    semi join candidates on asset_marketcaps.asset_id = candidates.asset_id
),

volumes as (
    select stg_volumes.*
    from {{ ref('stg_volumes') }} as stg_volumes
    semi join candidates on stg_volumes.asset_id = candidates.asset_id
),

open_interest as (
    select
        asset_id,
        date,
        {{ exact_sum('open_interest_usd') }} as open_interest_usd
    from {{ ref('stg_open_interest') }}
    group by asset_id, date
),

funding as (
    select
        asset_id,
        date,
        funding_rate_8h,
        funding_rate_1d
    from {{ ref('asset_funding') }}
),

limits as (
    select distinct max_abs_return_1d from {{ ref('universes') }}
),

settings as (
    select max_stale_days from {{ ref('lake') }}
),

lifetimes as (
    select
        prices.asset_id,
        greatest(min(prices.date), any_value(btc.first_date)) as first_date,
        least(
            max(prices.date) + any_value(settings.max_stale_days), any_value(btc.last_date)
        ) as last_date
    from prices
    cross join btc
    cross join settings
    where prices.date <= btc.last_date
    group by prices.asset_id
),

-- days before the first one are there only for what is carried from them onto the grid
grid as (
    select
        lifetimes.asset_id,
        lifetimes.first_date,
        cast(unnest(generate_series(
            lifetimes.first_date - greatest(settings.max_stale_days, 7),
            lifetimes.last_date,
            interval 1 day
        )) as date) as date
    from lifetimes
    cross join settings
    where lifetimes.first_date <= lifetimes.last_date
),

observed as (
    select
        grid.asset_id,
        grid.date,
        grid.first_date,
        prices.close,
        marketcaps.marketcap_usd,
        marketcaps.is_derived as is_marketcap_derived,
        volumes.volume_usd,
        open_interest.open_interest_usd,
        funding.funding_rate_8h,
        funding.funding_rate_1d
    from grid
    left join prices on grid.asset_id = prices.asset_id and grid.date = prices.date
    left join marketcaps on grid.asset_id = marketcaps.asset_id and grid.date = marketcaps.date
    left join volumes on grid.asset_id = volumes.asset_id and grid.date = volumes.date
    left join open_interest
        on grid.asset_id = open_interest.asset_id and grid.date = open_interest.date
    left join funding on grid.asset_id = funding.asset_id and grid.date = funding.date
),

{% set by_day = 'partition by observed.asset_id order by observed.date' %}
carried as (
    select
        observed.asset_id,
        observed.date,
        observed.first_date,
        observed.close is not null as is_observed,
        {{ carried_forward('observed.close', 'settings.max_stale_days', by_day) }} as close,
        {{ carried_forward('observed.marketcap_usd', 'settings.max_stale_days', by_day) }}
            as marketcap_usd,
        {{ carried_forward('observed.is_marketcap_derived', 'settings.max_stale_days', by_day) }}
            as is_marketcap_derived,
        {{ carried_forward('observed.volume_usd', 'settings.max_stale_days', by_day) }}
            as volume_usd,
        {{ carried_forward('observed.open_interest_usd', 7, by_day) }} as open_interest_usd,
        observed.funding_rate_8h,
        observed.funding_rate_1d
    from observed
    cross join settings
),

with_growth as (
    select
        * exclude (first_date),
        close / lag(close) over by_day as growth_1d,
        lag(close) over by_day / lag(close, 2) over by_day as growth_before
    from carried
    where date >= first_date
    window by_day as (partition by asset_id order by date)
),

-- beyond a limit the close is taken for a bad price: the day has none, nor a return, and the day
-- after has no close to return from
limited as (
    select
        with_growth.*,
        limits.max_abs_return_1d,
        coalesce(abs(with_growth.growth_1d - 1) > limits.max_abs_return_1d, false) as is_removed,
        coalesce(abs(with_growth.growth_before - 1) > limits.max_abs_return_1d, false)
            as is_day_before_removed
    from with_growth
    cross join limits
),

-- behind a gap that outlasts staleness prices may follow or not, which is not known in it: without
-- a close that is carried, a day has no funding, as after the last price
with_returns as (
    select
        * exclude (growth_1d, growth_before, is_day_before_removed) replace (
            case when not is_removed then close end as close,
            case when close is not null and not is_removed then funding_rate_8h end
                as funding_rate_8h,
            case when close is not null and not is_removed then funding_rate_1d end
                as funding_rate_1d
        ),
        case when not is_removed and not is_day_before_removed then growth_1d end as growth_1d
    from limited
),

-- no price multiplies by a million in a day: such a jump is a broken row, not a return
judged as (
    select
        * exclude (growth_1d),
        coalesce(growth_1d >= 1e6, false) as is_price_jump,
        case when growth_1d < 1e6 then growth_1d - 1 end as return_1d
    from with_returns
),

{% set by_asset = 'partition by max_abs_return_1d, asset_id order by date' %}
final as (
    select
        *,
        {{ trailing('avg', 'return_1d', 3, by_asset) }} as mean_return_3d,
        {{ trailing('avg', 'return_1d', 7, by_asset) }} as mean_return_7d,
        case
            when count(volume_usd) over last_30_days = 30 then max(volume_usd) over last_30_days
        end as volume_30d_high_usd
    from judged
    window last_30_days as (
        {{ by_asset }} rows between 29 preceding and current row
    )
)

select * from final
