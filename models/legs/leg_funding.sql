-- One row per leg and day: the funding rate of the composition held into the day (decimal fraction
-- of the leg, long-side sign), the share of the leg that was invested, and the share of it that
-- had a rate. A missing rate counts 0 and shows in funded_weight.
with
leg_contributions as (
    select * from {{ ref('leg_contributions') }}
),

final as (
    select
        leg_id,
        date,
        {{ exact_sum('weight') }} as invested_weight,
        coalesce({{ exact_sum('weight * funding_rate_1d') }}, 0) as funding_rate,
        coalesce({{ exact_sum('case when funding_rate_1d is not null then weight end') }}, 0)
            as funded_weight
    from leg_contributions
    group by leg_id, date
)

select * from final
