-- One row per leg, day and asset held into it: its share of the leg at the close before, what it
-- adds to the leg's return from t-1 to t (long-side sign; they sum to leg_return), and the funding
-- rate of the day, missing where the lake has none.
with
leg_values as (
    select
        leg_id,
        max_abs_return_1d,
        asset_id,
        date,
        weight * ratio as asset_value,
        lag(weight * ratio) over by_day as value_yesterday,
        lag(is_held) over by_day as was_held
    from {{ ref('leg_values') }}
    window by_day as (partition by leg_id, trade_date, asset_id order by date)
),

leg_days as (
    select
        leg_id,
        date + 1 as date,
        value_after as leg_value
    from {{ ref('leg_days') }}
),

asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        funding_rate_1d
    from {{ ref('asset_days') }}
    where funding_rate_1d is not null
),

final as (
    select
        leg_values.leg_id,
        leg_values.date,
        leg_values.asset_id,
        leg_values.value_yesterday / leg_days.leg_value as weight,
        (leg_values.asset_value - leg_values.value_yesterday) / leg_days.leg_value as gain,
        asset_days.funding_rate_1d
    from leg_values
    inner join leg_days
        on leg_values.leg_id = leg_days.leg_id and leg_values.date = leg_days.date
    left join asset_days
        on
            leg_values.asset_id = asset_days.asset_id
            and leg_values.date = asset_days.date
            and leg_values.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
    where leg_values.was_held and leg_values.value_yesterday > 0
)

select * from final
