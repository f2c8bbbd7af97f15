-- One row per schedule and rebalance: the day it is decided, the day it is traded (at the close,
-- execution_lag_days later), and the next trade day inside the window (missing for the last one).
-- The first decision day is a rebalance day; a day without coverage decides nothing. What is
-- decided on the last days may be due after the window's end: then it is never traded.
with
schedules as (
    select * from {{ ref('schedules') }}
),

days as (
    select
        *,
        cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date)
            as decision_date
    from schedules
),

trades as (
    select
        schedule_id,
        decision_date,
        decision_date + execution_lag_days as trade_date,
        last_date
    from days
    where
        not list_contains(uncovered_dates, decision_date)
        and (
            decision_date = first_date
            or (decision_date - first_date) % rebalance_frequency_days = 0
            or isodow(decision_date) = rebalance_weekday
        )
),

with_next as (
    select
        *,
        lag(trade_date) over (partition by schedule_id order by trade_date desc)
            as next_trade_date
    from trades
),

final as (
    select
        schedule_id,
        decision_date,
        trade_date,
        case
            when next_trade_date <= last_date then next_trade_date
        end as next_trade_date,
        last_date
    from with_next
)

select * from final
