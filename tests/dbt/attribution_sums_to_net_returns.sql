-- What assets earned and cost is all that a run earned on its test days. Rounding of sums of
-- products is allowed for, at the scale of what was held.
with
net_returns as (
    select
        strategy_id as run_id,
        sum(r_net) as r_net,
        1e-9 * greatest(1, max(gross_exposure)) as tolerance
    from {{ ref('daily_returns') }}
    where is_run and is_test_day and overflows_on is null
    group by strategy_id
),

attributed as (
    select
        run_id,
        sum(net) as net,
        bool_and(isfinite(net)) as is_sound
    from {{ ref('attribution') }}
    group by run_id
)

select
    net_returns.run_id,
    net_returns.r_net,
    attributed.net
from net_returns
left join attributed on net_returns.run_id = attributed.run_id
where
    coalesce(attributed.is_sound, true)
    and abs(coalesce(attributed.net, 0) - net_returns.r_net) > net_returns.tolerance
