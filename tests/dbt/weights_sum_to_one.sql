-- The weights of a basket sum to 1 on each day; what a leg holds sums to 1 less its cash. Rounding
-- of sums of quotients is allowed for.
with
sums as (
    select
        'basket ' || basket_id as holder,
        date,
        sum(weight) as total,
        true as is_whole
    from {{ ref('baskets') }}
    group by basket_id, date
    union all
    select
        'leg ' || leg_id as holder,
        date,
        greatest(sum(weight_before), sum(weight_after)) as total,
        false as is_whole
    from {{ ref('leg_weights') }}
    group by leg_id, date
)

select *
from sums
where total > 1 + 1e-9 or (is_whole and total < 1 - 1e-9)
