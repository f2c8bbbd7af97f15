-- One row per leg, day and change of its exposure (before, after) under a capital, an impact
-- coefficient and a greatest participation: turnover and square-root-law impact cost, as fractions
-- of net asset value. Strategies that make the same trade share the row.
with
strategies as (
    select
        strategy_id,
        capital_usd,
        impact_coefficient,
        max_participation
    from {{ ref('strategies') }}
),

positions as (
    select * from {{ ref('positions') }}
),

leg_weights as (
    select * from {{ ref('leg_weights') }}
),

impact_inputs as (
    select * from {{ ref('impact_inputs') }}
),

both_legs as (
    select
        strategy_id,
        long_leg_id as leg_id,
        date,
        long_exposure_before as exposure_before,
        long_exposure_after as exposure_after
    from positions
    union all
    select
        strategy_id,
        short_leg_id as leg_id,
        date,
        short_exposure_before as exposure_before,
        short_exposure_after as exposure_after
    from positions
),

exposures as (
    select distinct
        both_legs.leg_id,
        both_legs.date,
        both_legs.exposure_before,
        both_legs.exposure_after,
        strategies.capital_usd,
        strategies.impact_coefficient,
        strategies.max_participation
    from both_legs
    inner join strategies on both_legs.strategy_id = strategies.strategy_id
    where both_legs.exposure_before <> 0 or both_legs.exposure_after <> 0
),

scaled as (
    select
        *,
        {{ power_of_two('greatest(abs(exposure_before), abs(exposure_after))') }} as scale
    from exposures
),

asset_trades as (
    select
        scaled.*,
        leg_weights.max_abs_return_1d,
        leg_weights.asset_id,
        abs(
            scaled.exposure_after * leg_weights.weight_after
            - scaled.exposure_before * leg_weights.weight_before
        ) as trade
    from scaled
    inner join leg_weights
        on scaled.leg_id = leg_weights.leg_id and scaled.date = leg_weights.date
),

-- what is left of a difference of equal weights is rounding and no trade
with_participation as (
    select
        asset_trades.*,
        impact_inputs.sigma_20d,
        case
            when asset_trades.trade > 1e-12 * asset_trades.scale
                then asset_trades.trade / impact_inputs.adv_20d_usd
        end as participation_per_usd,
        asset_trades.trade * asset_trades.capital_usd / impact_inputs.adv_20d_usd
            as participation
    from asset_trades
    left join impact_inputs
        on
            asset_trades.asset_id = impact_inputs.asset_id
            and asset_trades.date = impact_inputs.date
            and asset_trades.max_abs_return_1d is not distinct from impact_inputs.max_abs_return_1d
),

with_impact as (
    select
        *,
        participation > max_participation as is_over_capacity,
        impact_coefficient * sigma_20d
        * sqrt(case when is_over_capacity then max_participation else participation end) as impact
    from with_participation
),

aggregated as (
    select
        leg_id,
        date,
        exposure_before,
        exposure_after,
        capital_usd,
        impact_coefficient,
        max_participation,
        {{ scaled_sum('trade', 'scale') }} as turnover,
        coalesce({{ scaled_sum('trade * impact', 'scale') }}, 0) as impact_cost,
        coalesce({{ scaled_sum('case when impact is not null then trade end', 'scale') }}, 0)
            as turnover_with_impact,
        count(case when is_over_capacity then 1 end) as n_over_capacity,
        -- by asset_id; sorted afterwards, since an aggregate in order takes three times as long
        list_sort(
            list(
                struct_pack(
                    asset_id := asset_id,
                    turnover := trade,
                    impact_cost := coalesce(trade * impact, 0),
                    participation_per_usd := participation_per_usd
                )
            ) filter (where trade > 0)
        ) as asset_trades
    from with_impact
    group by
        leg_id, date, exposure_before, exposure_after, capital_usd, impact_coefficient,
        max_participation
),

final as (
    select
        *,
        row_number() over (
            order by
                leg_id, date, exposure_before, exposure_after, capital_usd, impact_coefficient,
                max_participation
        ) as trade_number
    from aggregated
)

select * from final
