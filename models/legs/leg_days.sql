-- One row per leg and day on which it has a composition: its return from t-1 to t (of the
-- composition held into t, long-side sign), and its value per 1 invested at the last rebalance,
-- before and after the trades of the day. No row: nothing eligible, no composition.
with
leg_holdings as (
    select distinct
        leg_id,
        trade_date,
        next_trade_date,
        last_date
    from {{ ref('leg_holdings') }}
),

leg_values as (
    select * from {{ ref('leg_values') }}
),

periods as (
    select
        *,
        cast(unnest(
            generate_series(trade_date, coalesce(next_trade_date, last_date), interval 1 day)
        ) as date) as date
    from leg_holdings
),

gains as (
    select
        leg_id,
        trade_date,
        date,
        {{ exact_sum('weight * (ratio - 1)') }} as gain
    from leg_values
    group by leg_id, trade_date, date
),

-- what is not invested is cash and worth 1
valued as (
    select
        periods.leg_id,
        periods.trade_date,
        periods.next_trade_date,
        periods.date,
        1 + coalesce(gains.gain, 0) as leg_value
    from periods
    left join gains
        on
            periods.leg_id = gains.leg_id
            and periods.trade_date = gains.trade_date
            and periods.date = gains.date
),

with_returns as (
    select
        *,
        leg_value / lag(leg_value) over (partition by leg_id, trade_date order by date) - 1
            as leg_return
    from valued
),

-- a rebalance day ends one holding period (before its trades) and begins the next (after them)
final as (
    select
        leg_id,
        date,
        max(leg_return) as leg_return,
        max(case when date > trade_date then leg_value end) as value_before,
        max(case when date is distinct from next_trade_date then leg_value end) as value_after
    from with_returns
    group by leg_id, date
)

select * from final
