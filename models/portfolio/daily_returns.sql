-- One row per strategy and decision day: what its position earned from t-1 to t, what the trades at
-- the close of t cost (charged to t), and the net of both and funding. Decimal fractions of net
-- asset value. The first day holds nothing: only its trades and their cost are there. On the day
-- of ruin all is lost (-1), and nothing is held, earned or traded after it. A strategy of which any
-- number is not below 1e40 has none of them, but the day on which it overflows.
with
strategies as (
    select * from {{ ref('strategies') }}
),

positions as (
    select * from {{ ref('positions') }}
),

states as (
    select
        run_id,
        date,
        regime
    from {{ ref('states') }}
),

leg_days as (
    select
        leg_id,
        date,
        leg_return
    from {{ ref('leg_days') }}
),

leg_funding as (
    select * from {{ ref('leg_funding') }}
),

leg_trades as (
    select * from {{ ref('leg_trades') }}
),

btc as (
    select
        max_abs_return_1d,
        date,
        return_1d as r_btc
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

held as (
    select
        positions.*,
        strategies.is_run,
        strategies.first_date,
        strategies.benchmark,
        strategies.max_abs_return_1d,
        strategies.taker_fee_bps + strategies.slippage_bps as cost_bps,
        strategies.funding_enabled,
        strategies.capital_usd,
        strategies.impact_coefficient,
        strategies.max_participation,
        lag(positions.long_exposure_after, 1, 0) over by_day as long_exposure_held,
        lag(positions.short_exposure_after, 1, 0) over by_day as short_exposure_held,
        states.regime as held_regime,
        {{ is_test_day('positions.date - strategies.first_date') }} as is_test_day
    from positions
    inner join strategies on positions.strategy_id = strategies.strategy_id
    left join states
        on
            positions.strategy_id = states.run_id
            and positions.date - strategies.execution_lag_days - 1 = states.date
    window by_day as (partition by positions.strategy_id order by positions.date)
),

-- a leg without rows on a day has no weights: nothing to trade, nothing to fund
joined as (
    select
        held.*,
        long_days.leg_return as r_majors,
        short_days.leg_return as r_alts,
        case when held.date > held.first_date then btc.r_btc end as r_btc,
        coalesce(long_trades.turnover, 0) + coalesce(short_trades.turnover, 0) as turnover,
        coalesce(long_trades.impact_cost, 0) + coalesce(short_trades.impact_cost, 0)
            as impact_cost,
        coalesce(long_trades.turnover_with_impact, 0)
        + coalesce(short_trades.turnover_with_impact, 0) as turnover_with_impact,
        long_trades.trade_number as long_trade_number,
        short_trades.trade_number as short_trade_number,
        coalesce(long_trades.n_over_capacity, 0) + coalesce(short_trades.n_over_capacity, 0)
            as n_over_capacity,
        held.long_exposure_held * coalesce(long_funding.invested_weight, 0)
        + held.short_exposure_held * coalesce(short_funding.invested_weight, 0) as gross_exposure,
        held.long_exposure_held * coalesce(long_funding.funded_weight, 0)
        + held.short_exposure_held * coalesce(short_funding.funded_weight, 0) as funded_exposure,
        case
            when held.funding_enabled
                then
                    held.long_exposure_held * coalesce(long_funding.funding_rate, 0)
                    - held.short_exposure_held * coalesce(short_funding.funding_rate, 0)
            else 0
        end as funding
    from held
    left join btc
        on
            held.date = btc.date
            and held.max_abs_return_1d is not distinct from btc.max_abs_return_1d
    left join leg_days as long_days
        on held.long_leg_id = long_days.leg_id and held.date = long_days.date
    left join leg_days as short_days
        on held.short_leg_id = short_days.leg_id and held.date = short_days.date
    left join leg_funding as long_funding
        on held.long_leg_id = long_funding.leg_id and held.date = long_funding.date
    left join leg_funding as short_funding
        on held.short_leg_id = short_funding.leg_id and held.date = short_funding.date
    left join leg_trades as long_trades
        on
            held.long_leg_id = long_trades.leg_id
            and held.date = long_trades.date
            and held.long_exposure_before = long_trades.exposure_before
            and held.long_exposure_after = long_trades.exposure_after
            and held.capital_usd is not distinct from long_trades.capital_usd
            and held.impact_coefficient = long_trades.impact_coefficient
            and held.max_participation = long_trades.max_participation
    left join leg_trades as short_trades
        on
            held.short_leg_id = short_trades.leg_id
            and held.date = short_trades.date
            and held.short_exposure_before = short_trades.exposure_before
            and held.short_exposure_after = short_trades.exposure_after
            and held.capital_usd is not distinct from short_trades.capital_usd
            and held.impact_coefficient = short_trades.impact_coefficient
            and held.max_participation = short_trades.max_participation
),

{% set by_day = 'partition by strategy_id order by date' -%}
{% set trades = ['turnover', 'turnover_with_impact', 'n_over_capacity', 'cost'] -%}
{% set held_amounts = ['scale_before', 'gross_exposure', 'funded_exposure', 'r_gross',
    'funding'] -%}
-- who has nothing left when the day's trades are due makes none
with_cost as (
    select
        *,
        1 + r_gross - funding <= 0 as has_nothing_to_trade,
        turnover * cost_bps / 10000 + impact_cost as cost,
        case
            when has_nothing_to_trade then -1
            else greatest(r_gross - cost - funding, -1)
        end as r_net
    from joined
),

-- a join, not a window: next to nobody is ruined, and a window would sort all rows once more
ruins as (
    select
        strategy_id,
        min(date) as ruined_on
    from with_cost
    where r_net <= -1
    group by strategy_id
),

with_ruin as (
    select
        with_cost.*,
        ruins.ruined_on
    from with_cost
    left join ruins
        on with_cost.strategy_id = ruins.strategy_id and with_cost.date >= ruins.ruined_on
),

with_net as (
    select
        * replace (
            {%- for name in trades %}
            case when has_nothing_to_trade or date > ruined_on then 0 else {{ name }} end
                as {{ name }},
            {%- endfor %}
            {%- for name in held_amounts + ['r_net'] %}
            case when date > ruined_on then 0 else {{ name }} end as {{ name }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        )
    from with_ruin
),

{% set returns = ['r_alts', 'r_majors', 'r_btc', 'r_gross', 'r_net'] -%}
{% set amounts = ['gross_exposure', 'funded_exposure', 'turnover', 'turnover_with_impact', 'cost',
    'funding'] -%}
{% set equities = ['equity_gross', 'equity_net'] -%}

with_equity as (
    select
        *,
        {% for name in returns + amounts -%}
        {{ 'or ' if not loop.first }}not coalesce(abs({{ name }}) < 1e40, true)
        {% endfor %} as is_overflow,
        {{ compounded('case when abs(r_gross) < 1e40 then r_gross else 0 end', by_day) }}
            as equity_gross,
        {{ compounded('case when abs(r_net) < 1e40 then r_net else 0 end', by_day) }}
            as equity_net
    from with_net
),

-- the first day of a strategy on which something is too large to compute with
overflows as (
    select
        strategy_id,
        min(date) as overflows_on
    from with_equity
    where is_overflow or not (equity_gross < 1e40 and equity_net < 1e40)
    group by strategy_id
),

with_overflow as (
    select
        with_equity.*,
        overflows.overflows_on
    from with_equity
    left join overflows on with_equity.strategy_id = overflows.strategy_id
),

sound as (
    select
        * replace (
            {%- for name in returns + amounts + equities %}
            case when overflows_on is null then {{ name }} end as {{ name }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        )
    from with_overflow
),

final as (
    select
        strategy_id,
        is_run,
        date,
        r_alts,
        r_majors,
        r_btc,
        r_alts - case benchmark
            when 'btc' then r_btc
            when 'long_leg' then r_majors
        end as y,
        case when ruined_on is null or date <= ruined_on then held_regime end as held_regime,
        scale_before as position_scale,
        gross_exposure,
        funded_exposure,
        r_gross,
        turnover,
        turnover_with_impact,
        n_over_capacity,
        case when turnover > 0 then long_trade_number end as long_trade_number,
        case when turnover > 0 then short_trade_number end as short_trade_number,
        cost,
        funding,
        r_net,
        equity_gross,
        equity_net,
        case
            when overflows_on is null
                then equity_net / greatest(1, max(equity_net) over by_day) - 1
        end as drawdown_net,
        is_test_day,
        ruined_on,
        overflows_on
    from sound
    window by_day as (
        partition by strategy_id order by date
        rows between unbounded preceding and current row
    )
)

select * from final
