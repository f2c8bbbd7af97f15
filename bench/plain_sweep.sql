-- What a sweep would take as one set-based query, without dbt and without most of what it is for:
-- the limit that `bench.py` holds sweeps against. Of random weights: scores, states by thresholds
-- without persistence, positions, returns net of fees, Sharpe ratio and drawdown, forward returns
-- by state and horizon. No funding, smoothing, gate, hold-out, inference, run folders or checks.
--
-- Reads the warehouse of a sweep whose variants share features and legs, attached as `warehouse`:
-- z-scores and returns of the legs.
-- The number of variants is the variable `n_variants`.
create temp table legs as
select
    date,
    any_value(r_majors) as r_majors,
    any_value(r_alts) as r_alts,
    any_value(y) as y
from warehouse.daily
group by date;

create temp table forward_returns as
select
    horizon,
    date,
    lead(level, horizon) over (partition by horizon order by date) / level - 1 as forward_return
from (
    select
        date,
        exp(sum(ln(1 + y)) over (order by date)) as level
    from legs
    where y is not null
) as levels
cross join (select unnest([1, 5, 10, 20]) as horizon) as horizons;

create temp table days as
with
weights as (
    select
        variants.variant,
        ids.feature_id,
        0.6 * hash(variants.variant, ids.feature_id) / 18446744073709551615 - 0.3 as weight
    from (select unnest(range(getvariable('n_variants'))) as variant) as variants
    cross join (select distinct feature_id from warehouse.features) as ids
),

scores as (
    select
        weights.variant,
        features.date,
        sum(weights.weight * coalesce(features.z_score, 0)) as score
    from weights
    inner join warehouse.features on weights.feature_id = features.feature_id
    group by weights.variant, features.date
),

states as (
    select
        variant,
        date,
        case when score >= 0.5 then 'high' when score <= -0.5 then 'low' else 'middle' end as state
    from scores
),

positions as (
    select
        *,
        case state when 'high' then 1 when 'low' then -1 else 0 end as position,
        lag(position, 1, 0) over (partition by variant order by date) as held
    from states
)

select
    positions.variant,
    positions.date,
    positions.state,
    positions.held * (legs.r_majors - legs.r_alts) as r_gross,
    2 * abs(positions.position - positions.held) as turnover,
    r_gross - turnover * 10 / 10000 as r_net
from positions
inner join legs on positions.date = legs.date;

create temp table metrics as
with
equities as (
    select
        *,
        exp(sum(ln(1 + r_net)) over (partition by variant order by date)) as equity
    from days
),

drawdowns as (
    select
        *,
        equity / max(equity) over (partition by variant order by date) - 1 as drawdown
    from equities
)

select
    variant,
    avg(r_net) / nullif(stddev_samp(r_net), 0) * sqrt(365) as sharpe,
    min(drawdown) as max_drawdown
from drawdowns
group by variant;

create temp table edges as
select
    days.variant,
    days.state,
    forward_returns.horizon,
    count(forward_returns.forward_return) as n_days,
    avg(forward_returns.forward_return) as mean_forward_return,
    stddev_samp(forward_returns.forward_return) as std_forward_return
from days
inner join forward_returns on days.date = forward_returns.date
group by days.variant, days.state, forward_returns.horizon;

select
    (select count(*) from metrics) as n_variants,
    (select count(*) from days) as n_days,
    (select count(*) from edges) as n_edges,
    (select max(sharpe) from metrics) as largest_sharpe;
