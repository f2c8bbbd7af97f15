-- One row per run and state: what the strategy earned on the test days it held a position decided
-- in that state (execution_lag_days and one day earlier). Means are annualised with 365 days.
with
run_regimes as (
    select * from {{ ref('run_regimes') }}
),

held as (
    select
        strategy_id as run_id,
        held_regime as regime,
        r_gross,
        r_net,
        gross_exposure
    from {{ ref('daily_returns') }}
    where is_run and is_test_day and held_regime is not null
),

-- sums are taken of returns near 1, whatever the scale of the strategy
scales as (
    select
        run_id,
        regime,
        {{ power_of_two('greatest(max(abs(r_gross)), max(abs(r_net)))') }} as scale
    from held
    group by run_id, regime
),

scaled as (
    select
        held.*,
        scales.scale
    from held
    inner join scales on held.run_id = scales.run_id and held.regime = scales.regime
),

moments as (
    select
        run_id,
        regime,
        count(*) as n_days,
        {{ scaled_sum('r_gross', 'scale') }} as sum_gross,
        {{ scaled_sum('r_net', 'scale') }} as sum_net,
        any_value(scale) as scale,
        count(case when gross_exposure > 0 then 1 end) as n_invested_days,
        count(case when gross_exposure > 0 and r_net > 0 then 1 end) as n_positive
    from scaled
    group by run_id, regime
),

deviations as (
    select
        moments.run_id,
        moments.regime,
        {{ exact_sum('pow((held.r_net - moments.sum_net / moments.n_days) / moments.scale, 2)') }}
            as sum_of_squares
    from held
    inner join moments on held.run_id = moments.run_id and held.regime = moments.regime
    group by moments.run_id, moments.regime
),

final as (
    select
        run_regimes.run_id,
        run_regimes.regime,
        run_regimes.regime_order,
        run_regimes.position_scale,
        coalesce(moments.n_days, 0) as n_days,
        moments.sum_gross as total_gross,
        moments.sum_net as total_net,
        moments.sum_net / moments.n_days * 365 as mean_net_annualised,
        case
            when moments.n_days > 1
                then
                    moments.scale * sqrt(deviations.sum_of_squares / (moments.n_days - 1))
                    * sqrt(365)
        end as volatility_net,
        moments.n_positive / nullif(moments.n_invested_days, 0) as hit_rate_net
    from run_regimes
    inner join {{ ref('stability') }} as stability on run_regimes.run_id = stability.run_id
    left join moments
        on run_regimes.run_id = moments.run_id and run_regimes.regime = moments.regime
    left join deviations
        on run_regimes.run_id = deviations.run_id and run_regimes.regime = deviations.regime
)

select * from final
