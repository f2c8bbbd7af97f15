-- One row per leg, day and asset: its share of the leg before the day's trades (drifted) and after
-- them (the composition held into the next day). Shares of a leg sum to 1 less its cash.
with
leg_values as (
    select * from {{ ref('leg_values') }}
),

leg_days as (
    select * from {{ ref('leg_days') }}
),

sides as (
    select
        leg_values.leg_id,
        leg_values.max_abs_return_1d,
        leg_values.date,
        leg_values.asset_id,
        leg_values.weight * leg_values.ratio / leg_days.value_before as weight_before,
        null as weight_after
    from leg_values
    inner join leg_days
        on leg_values.leg_id = leg_days.leg_id and leg_values.date = leg_days.date
    where
        leg_values.date > leg_values.trade_date
        and (leg_values.is_held or leg_values.date = leg_values.exit_date)
    union all
    select
        leg_values.leg_id,
        leg_values.max_abs_return_1d,
        leg_values.date,
        leg_values.asset_id,
        null as weight_before,
        leg_values.weight * leg_values.ratio / leg_days.value_after as weight_after
    from leg_values
    inner join leg_days
        on leg_values.leg_id = leg_days.leg_id and leg_values.date = leg_days.date
    where
        leg_values.is_held
        and leg_values.date is distinct from leg_values.next_trade_date
),

-- an asset that is not in the leg on one side of the trades has the weight 0 there, which is known
final as (
    select
        leg_id,
        max_abs_return_1d,
        date,
        asset_id,
        coalesce(max(weight_before), 0) as weight_before,
        coalesce(max(weight_after), 0) as weight_after
    from sides
    group by leg_id, max_abs_return_1d, date, asset_id
)

select * from final
