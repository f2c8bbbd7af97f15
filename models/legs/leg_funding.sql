-- One row per leg and day: the funding rate of the composition held into the day (decimal fraction
-- of the leg, long-side sign), the share of the leg that was invested, and the share of it that
-- had a rate. A missing rate counts 0 and shows in funded_weight.
with
leg_weights as (
    select
        leg_id,
        max_abs_return_1d,
        date + 1 as date,
        asset_id,
        weight_after as weight
    from {{ ref('leg_weights') }}
    where weight_after > 0
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
        leg_weights.leg_id,
        leg_weights.date,
        {{ exact_sum('leg_weights.weight') }} as invested_weight,
        coalesce({{ exact_sum('leg_weights.weight * asset_days.funding_rate_1d') }}, 0)
            as funding_rate,
        coalesce({{ exact_sum(
            'case when asset_days.funding_rate_1d is not null then leg_weights.weight end'
        ) }}, 0) as funded_weight
    from leg_weights
    left join asset_days
        on
            leg_weights.asset_id = asset_days.asset_id
            and leg_weights.date = asset_days.date
            and leg_weights.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
    group by leg_weights.leg_id, leg_weights.date
)

select * from final
