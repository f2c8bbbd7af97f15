-- One row per run, decision day, leg, asset and kind (held into the day, or traded at its close):
-- what the asset earned and cost, as shares of net asset value. By run and day, gross - fees -
-- slippage - impact - funding + beyond_ruin sums to r_net: on the day of ruin no more is lost than
-- there was, and what the assets lost beyond that is a row of its own, without leg and asset.
{{ config(materialized='view') }}
with
strategies as (
    select
        strategy_id as run_id,
        long_leg_id,
        short_leg_id,
        taker_fee_bps,
        slippage_bps,
        funding_enabled
    from {{ ref('strategies') }}
    where is_run
),

-- nothing is held, earned or traded after the day of ruin
days as (
    select
        daily_returns.*,
        strategies.long_leg_id,
        strategies.short_leg_id,
        strategies.taker_fee_bps,
        strategies.slippage_bps,
        strategies.funding_enabled
    from {{ ref('daily_returns') }} as daily_returns
    inner join strategies on daily_returns.strategy_id = strategies.run_id
    where
        daily_returns.overflows_on is null
        and coalesce(daily_returns.date <= daily_returns.ruined_on, true)
),

exposures as (
    select
        strategy_id,
        date + 1 as date,
        long_exposure_after,
        short_exposure_after
    from {{ ref('positions') }}
    where long_exposure_after > 0 or short_exposure_after > 0
),

sides as (
    select unnest(['long', 'short']) as leg
),

legs_held as (
    select
        days.strategy_id as run_id,
        days.date,
        days.is_test_day,
        days.held_regime,
        days.funding_enabled,
        sides.leg,
        case sides.leg when 'long' then days.long_leg_id else days.short_leg_id end as leg_id,
        case sides.leg
            when 'long' then exposures.long_exposure_after
            else -exposures.short_exposure_after
        end as exposure
    from days
    inner join exposures
        on days.strategy_id = exposures.strategy_id and days.date = exposures.date
    cross join sides
),

legs_traded as (
    select
        days.strategy_id as run_id,
        days.date,
        days.is_test_day,
        days.held_regime,
        days.taker_fee_bps,
        days.slippage_bps,
        sides.leg,
        case sides.leg when 'long' then days.long_trade_number else days.short_trade_number end
            as trade_number
    from days
    cross join sides
),

leg_trades as (
    select
        trade_number,
        unnest(asset_trades, recursive := true)  -- noqa: AL03
    from {{ ref('leg_trades') }}
),

final as (
    select
        legs_held.run_id,
        legs_held.date,
        legs_held.is_test_day,
        legs_held.held_regime,
        legs_held.leg,
        leg_contributions.asset_id,
        'held' as kind,
        legs_held.exposure * leg_contributions.gain as gross,
        0 as turnover,
        0 as fees,
        0 as slippage,
        0 as impact,
        case
            when legs_held.funding_enabled and leg_contributions.funding_rate_1d is not null
                then
                    legs_held.exposure * leg_contributions.weight
                    * leg_contributions.funding_rate_1d
            else 0
        end as funding,
        0 as beyond_ruin
    from legs_held
    inner join {{ ref('leg_contributions') }} as leg_contributions
        on legs_held.leg_id = leg_contributions.leg_id and legs_held.date = leg_contributions.date
    where legs_held.exposure <> 0
    union all
    select
        legs_traded.run_id,
        legs_traded.date,
        legs_traded.is_test_day,
        legs_traded.held_regime,
        legs_traded.leg,
        leg_trades.asset_id,
        'traded' as kind,
        0 as gross,
        leg_trades.turnover,
        leg_trades.turnover * legs_traded.taker_fee_bps / 10000 as fees,
        leg_trades.turnover * legs_traded.slippage_bps / 10000 as slippage,
        leg_trades.impact_cost as impact,
        0 as funding,
        0 as beyond_ruin
    from legs_traded
    inner join leg_trades on legs_traded.trade_number = leg_trades.trade_number
    union all
    select
        strategy_id as run_id,
        date,
        is_test_day,
        held_regime,
        null as leg,
        null as asset_id,
        'ruin' as kind,
        0 as gross,
        0 as turnover,
        0 as fees,
        0 as slippage,
        0 as impact,
        0 as funding,
        r_net - (r_gross - cost - funding) as beyond_ruin
    from days
    where date = ruined_on
)

select * from final
