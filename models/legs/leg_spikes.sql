-- One row per leg and day on which it gains or loses by what may be bad prices, long-side sign,
-- share of the leg: spikes are assets held into a day that moves them by more than +200% or -70%;
-- risers are members from the rebalance on at which they entered after a day above +100%, until
-- they leave. Days after the rebalance before, or the first one's own, count as such.
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

rebalances as (
    select * from {{ ref('rebalances') }}
    where trade_date <= last_date
),

baskets as (
    select
        basket_id,
        date,
        asset_id
    from {{ ref('baskets') }}
),

asset_days as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        return_1d
    from {{ ref('asset_days') }}
    where return_1d is not null
),

leg_weights as (
    select
        leg_id,
        max_abs_return_1d,
        asset_id,
        date + 1 as date,
        weight_after as weight
    from {{ ref('leg_weights') }}
    where weight_after > 0
),

short_legs as (
    select distinct
        short_leg_id as leg_id,
        max_abs_return_1d,
        basket_id,
        schedule_id
    from strategies
),

decisions as (
    select
        short_legs.leg_id,
        short_legs.max_abs_return_1d,
        short_legs.basket_id,
        rebalances.decision_date,
        rebalances.trade_date,
        lag(rebalances.decision_date) over (
            partition by short_legs.leg_id order by rebalances.decision_date
        ) as previous_date
    from short_legs
    inner join rebalances on short_legs.schedule_id = rebalances.schedule_id
),

rises as (
    select * from asset_days
    where return_1d > 1
),

entries as (
    select distinct
        decisions.leg_id,
        decisions.decision_date,
        decisions.trade_date,
        rises.asset_id
    from decisions
    inner join rises
        on
            decisions.max_abs_return_1d is not distinct from rises.max_abs_return_1d
            and decisions.decision_date >= rises.date
            and coalesce(decisions.previous_date, decisions.decision_date - 1) < rises.date
    semi join baskets
        on
            decisions.basket_id = baskets.basket_id
            and decisions.decision_date = baskets.date
            and rises.asset_id = baskets.asset_id
    anti join baskets as baskets_before
        on
            decisions.basket_id = baskets_before.basket_id
            and decisions.previous_date = baskets_before.date
            and rises.asset_id = baskets_before.asset_id
),

stays as (
    select
        entries.leg_id,
        entries.asset_id,
        entries.trade_date,
        min(case when baskets.asset_id is null then decisions.trade_date end) as left_on
    from entries
    left join decisions
        on
            entries.leg_id = decisions.leg_id
            and entries.decision_date < decisions.decision_date
    left join baskets
        on
            decisions.basket_id = baskets.basket_id
            and decisions.decision_date = baskets.date
            and entries.asset_id = baskets.asset_id
    group by entries.leg_id, entries.asset_id, entries.trade_date
),

suspects as (
    select
        leg_weights.leg_id,
        leg_weights.date,
        leg_weights.asset_id,
        leg_weights.weight * asset_days.return_1d as gain,
        true as is_spike,
        false as is_riser
    from leg_weights
    inner join asset_days
        on
            leg_weights.asset_id = asset_days.asset_id
            and leg_weights.date = asset_days.date
            and leg_weights.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
            and (
                asset_days.return_1d > {{ spike_limit('up') }}
                or asset_days.return_1d < {{ spike_limit('down') }}
            )
    union all
    select
        leg_weights.leg_id,
        leg_weights.date,
        leg_weights.asset_id,
        leg_weights.weight * asset_days.return_1d as gain,
        false as is_spike,
        true as is_riser
    from stays
    inner join leg_weights
        on
            stays.leg_id = leg_weights.leg_id
            and stays.asset_id = leg_weights.asset_id
            and stays.trade_date < leg_weights.date
            and coalesce(stays.left_on >= leg_weights.date, true)
    inner join asset_days
        on
            leg_weights.asset_id = asset_days.asset_id
            and leg_weights.date = asset_days.date
            and leg_weights.max_abs_return_1d is not distinct from asset_days.max_abs_return_1d
),

gains as (
    select
        leg_id,
        date,
        asset_id,
        any_value(gain) as gain,
        bool_or(is_spike) as is_spike,
        bool_or(is_riser) as is_riser
    from suspects
    group by leg_id, date, asset_id
),

final as (
    select
        leg_id,
        date,
        coalesce({{ exact_sum('case when is_spike then gain end') }}, 0) as of_spikes,
        coalesce({{ exact_sum('case when is_riser then gain end') }}, 0) as of_risers,
        {{ exact_sum('gain') }} as of_both
    from gains
    group by leg_id, date
)

select * from final
