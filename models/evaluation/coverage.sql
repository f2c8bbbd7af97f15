-- One row per run: how much of what its numbers need was there. Shares are decimal fractions; the
-- fallback days are those on which funding of a group had no open interest to be weighted with.
with
states as (
    select * from {{ ref('states') }}
),

strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

runs as (
    select
        run_id,
        universe_id,
        short_n
    from {{ ref('runs') }}
),

feature_days as (
    select
        run_id,
        {{ weighted_mean('feature_coverage') }} as feature_coverage,
        min(feature_coverage) as min_feature_coverage,
        count(case when score is null then 1 end) as n_uncovered_days
    from states
    group by run_id
),

-- a run may use the weighting of two funding features; a day counts once
funding_weightings as (
    select distinct
        run_id,
        universe_id,
        weighting
    from {{ ref('run_features') }}
    where feature_id in ('funding_skew', 'funding_heating')
),

fallbacks as (
    select
        funding_weightings.run_id,
        count(distinct case
            when
                (funding_weightings.weighting = 'oi' and funding_groups.is_oi_fallback)
                or (funding_weightings.weighting = 'mcap' and funding_groups.is_mcap_fallback)
                then funding_groups.date
        end) as n_fallback_days,
        {{ weighted_mean(
            "case when funding_groups.asset_group = 'alts' then funding_groups.oi_coverage end"
        ) }} as alts_oi_coverage,
        {{ weighted_mean(
            "case when funding_groups.asset_group = 'majors' then funding_groups.oi_coverage end"
        ) }} as majors_oi_coverage
    from funding_weightings
    inner join strategies on funding_weightings.run_id = strategies.strategy_id
    inner join {{ ref('funding_groups') }} as funding_groups
        on
            funding_weightings.universe_id = funding_groups.universe_id
            and funding_groups.date between strategies.first_date and strategies.last_date
    group by funding_weightings.run_id
),

marketcaps as (
    select
        strategies.strategy_id as run_id,
        sum(universe_days.n_derived_marketcaps) / nullif(sum(universe_days.n_alts), 0)
            as derived_marketcap_share
    from strategies
    inner join runs on strategies.strategy_id = runs.run_id
    inner join {{ ref('universe_days') }} as universe_days
        on
            runs.universe_id = universe_days.universe_id
            and universe_days.date between strategies.first_date and strategies.last_date
    group by strategies.strategy_id
),

positions as (
    select
        strategy_id as run_id,
        {{ exact_sum('funded_exposure') }} / nullif({{ exact_sum('gross_exposure') }}, 0)
            as funding_coverage,
        {{ exact_sum('turnover_with_impact') }} / nullif({{ exact_sum('turnover') }}, 0)
            as impact_coverage,
        count(case when r_alts is null then 1 end) as n_days_without_alts_return,
        count(case when gross_exposure > 0 then 1 end) as n_invested_days,
        cast(sum(n_over_capacity) as integer) as n_over_capacity,
        min(ruined_on) as ruined_on
    from {{ ref('daily_returns') }}
    where is_run
    group by strategy_id
),

controls as (
    select
        strategy_id,
        min(ruined_on) as ruined_on
    from {{ ref('daily_returns') }}
    where not is_run and ruined_on is not null
    group by strategy_id
),

-- by a limit of returns, of majors and of what would be alts but for it
removals as (
    select
        strategies.strategy_id as run_id,
        count(*) as n_removed_days
    from strategies
    inner join runs on strategies.strategy_id = runs.run_id
    inner join {{ ref('removed_days') }} as removed_days
        on
            runs.universe_id = removed_days.universe_id
            and removed_days.date between strategies.first_date and strategies.last_date
    group by strategies.strategy_id
),

basket_sizes as (
    select
        strategies.strategy_id as run_id,
        rebalances.decision_date,
        count(baskets.asset_id) as n_members
    from strategies
    inner join {{ ref('rebalances') }} as rebalances
        on strategies.schedule_id = rebalances.schedule_id
    left join {{ ref('baskets') }} as baskets
        on
            strategies.basket_id = baskets.basket_id
            and rebalances.decision_date = baskets.date
    group by strategies.strategy_id, rebalances.decision_date
),

basket_days as (
    select
        basket_sizes.run_id,
        count(*) as n_rebalances,
        min(basket_sizes.n_members) as min_basket_size,
        count(case when basket_sizes.n_members < runs.short_n then 1 end) as n_short_baskets,
        count(case when basket_sizes.n_members = 0 then 1 end) as n_empty_baskets
    from basket_sizes
    inner join runs on basket_sizes.run_id = runs.run_id
    group by basket_sizes.run_id
),

exits as (
    select
        strategies.strategy_id as run_id,
        count(*) as n_forced_exits
    from strategies
    inner join {{ ref('leg_values') }} as leg_values
        on
            leg_values.leg_id in (strategies.short_leg_id, strategies.long_leg_id)
            and leg_values.date = leg_values.exit_date
    group by strategies.strategy_id
),

final as (
    select
        feature_days.*,
        coalesce(fallbacks.n_fallback_days, 0) as n_fallback_days,
        fallbacks.alts_oi_coverage,
        fallbacks.majors_oi_coverage,
        marketcaps.derived_marketcap_share,
        positions.funding_coverage,
        case when strategies.capital_usd is not null then positions.impact_coverage end
            as impact_coverage,
        positions.n_days_without_alts_return,
        positions.n_invested_days,
        case when strategies.capital_usd is not null then positions.n_over_capacity end
            as n_over_capacity,
        capacity.n_trades,
        capacity.capacity_usd,
        positions.ruined_on,
        controls.ruined_on as control_ruined_on,
        basket_days.n_rebalances,
        basket_days.min_basket_size,
        basket_days.n_short_baskets,
        basket_days.n_empty_baskets,
        coalesce(exits.n_forced_exits, 0) as n_forced_exits,
        coalesce(removals.n_removed_days, 0) as n_removed_days
    from feature_days
    inner join strategies on feature_days.run_id = strategies.strategy_id
    inner join positions on feature_days.run_id = positions.run_id
    left join marketcaps on feature_days.run_id = marketcaps.run_id
    left join fallbacks on feature_days.run_id = fallbacks.run_id
    left join basket_days on feature_days.run_id = basket_days.run_id
    left join exits on feature_days.run_id = exits.run_id
    left join removals on feature_days.run_id = removals.run_id
    left join controls on strategies.control_id = controls.strategy_id
    inner join {{ ref('capacity') }} as capacity on feature_days.run_id = capacity.run_id
)

select * from final
