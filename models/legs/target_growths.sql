-- One row per target (a short leg and what it is measured against) and decision day: what 1 in the
-- alts leg and 1 in the benchmark (BTC or the long leg) became from t-1 to t; missing without a
-- return.
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

leg_days as (
    select
        leg_id,
        date,
        leg_return
    from {{ ref('leg_days') }}
),

btc as (
    select
        max_abs_return_1d,
        date,
        return_1d
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

targets as (
    select distinct
        target_id,
        short_leg_id,
        benchmark_id,
        max_abs_return_1d,
        first_date,
        last_date
    from strategies
),

days as (
    select
        *,
        cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as date
    from targets
),

final as (
    select
        days.target_id,
        days.date,
        1 + alts.leg_return as alts_growth,
        1 + case days.benchmark_id when 'btc' then btc.return_1d else long_leg.leg_return end
            as benchmark_growth
    from days
    left join leg_days as alts on days.short_leg_id = alts.leg_id and days.date = alts.date
    left join leg_days as long_leg
        on days.benchmark_id = long_leg.leg_id and days.date = long_leg.date
    left join btc
        on
            days.date = btc.date
            and days.max_abs_return_1d is not distinct from btc.max_abs_return_1d
)

select * from final
