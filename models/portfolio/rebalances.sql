-- One row per schedule and rebalance: the day it is decided, the day it is traded (at the close,
-- execution_lag_days later), and the next trade day by the calendar (missing for the last one).
-- The first decision day is a rebalance day; a day without coverage decides nothing, and a trade
-- day after the window's end never happens.
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
        decision_date + execution_lag_days <= last_date
        and not list_contains(uncovered_dates, decision_date)
        and (
            decision_date = first_date
            or (decision_date - first_date) % rebalance_frequency_days = 0
            or isodow(decision_date) = rebalance_weekday
        )
),

final as (
    select
        schedule_id,
        decision_date,
        trade_date,
        lag(trade_date) over (partition by schedule_id order by trade_date desc)
            as next_trade_date,
        last_date
    from trades
)

select * from final
