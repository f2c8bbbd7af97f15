-- One row per run, sample, horizon and state: the forward returns Y of the decision days spent in
-- it, days whose target has not ended inside the sample left out. Positive Y: alts beat BTC, bad
-- for the trade. t_stat and p_value ignore that targets overlap and reject far too often: use the
-- edges.
with
run_horizons as (
    select * from {{ ref('run_horizons') }}
),

run_regimes as (
    select * from {{ ref('run_regimes') }}
),

strategies as (
    select
        strategy_id as run_id,
        target_id,
        execution_lag_days
    from {{ ref('strategies') }}
    where is_run
),

samples as (
    select
        strategy_id as run_id,
        sample,
        first_date,
        last_date
    from {{ ref('samples') }}
),

states as (
    select * from {{ ref('evaluated_states') }}
),

forward_returns as (
    select * from {{ ref('forward_returns') }}
    where forward_return is not null
),

pairs as (
    select
        run_horizons.run_id,
        samples.sample,
        run_horizons.horizon_days,
        states.regime,
        states.spell,
        forward_returns.forward_return as y
    from run_horizons
    inner join strategies on run_horizons.run_id = strategies.run_id
    inner join forward_returns
        on
            strategies.target_id = forward_returns.target_id
            and run_horizons.horizon_days = forward_returns.horizon_days
    inner join states
        on run_horizons.run_id = states.run_id and forward_returns.date = states.date
    inner join samples
        on
            run_horizons.run_id = samples.run_id
            and states.date >= samples.first_date
            and states.date + strategies.execution_lag_days + run_horizons.horizon_days
            <= samples.last_date
),

moments as (
    select
        run_id,
        sample,
        horizon_days,
        regime,
        count(*) as n,
        count(distinct spell) as n_spells,
        {{ exact_sum('y') }} / count(*) as mean,
        max(abs(y)) as largest,
        {{ power_of_two('largest') }} as scale,
        median(y) as median,
        count(case when y > 0 then 1 end) / count(*) as hit_rate
    from pairs
    group by run_id, sample, horizon_days, regime
),

deviations as (
    select
        moments.run_id,
        moments.sample,
        moments.horizon_days,
        moments.regime,
        {{ exact_sum('pow((pairs.y - moments.mean) / moments.scale, 2)') }} as sum_of_squares
    from pairs
    inner join moments
        on
            pairs.run_id = moments.run_id
            and pairs.sample = moments.sample
            and pairs.horizon_days = moments.horizon_days
            and pairs.regime = moments.regime
    group by moments.run_id, moments.sample, moments.horizon_days, moments.regime
),

with_std as (
    select
        moments.*,
        case
            when moments.n > 1
                then moments.scale * sqrt(deviations.sum_of_squares / (moments.n - 1))
        end as std
    from moments
    inner join deviations
        on
            moments.run_id = deviations.run_id
            and moments.sample = deviations.sample
            and moments.horizon_days = deviations.horizon_days
            and moments.regime = deviations.regime
),

with_t as (
    select
        *,
        -- a forward return is a difference of growths around 1
        mean / ({{ resolved('std', 'greatest(1, largest)') }} / sqrt(n)) as t_stat
    from with_std
),

final as (
    select
        run_horizons.run_id,
        samples.sample,
        run_horizons.horizon_days,
        run_regimes.regime,
        run_regimes.regime_order,
        coalesce(with_t.n, 0) as n,
        coalesce(with_t.n_spells, 0) as n_spells,
        with_t.mean,
        with_t.median,
        with_t.std,
        with_t.hit_rate,
        with_t.t_stat,
        student_t_two_sided_p(with_t.t_stat, cast(with_t.n - 1 as double)) as p_value
    from run_horizons
    inner join strategies on run_horizons.run_id = strategies.run_id
    inner join samples on run_horizons.run_id = samples.run_id
    inner join run_regimes on run_horizons.run_id = run_regimes.run_id
    left join with_t
        on
            run_horizons.run_id = with_t.run_id
            and samples.sample = with_t.sample
            and run_horizons.horizon_days = with_t.horizon_days
            and run_regimes.regime = with_t.regime
)

select * from final
