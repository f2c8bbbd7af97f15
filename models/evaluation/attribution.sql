-- One row per run, leg, asset and state: what the asset earned and cost on the test days on which
-- the position held had been decided in that state, as sums of shares of net asset value (not
-- compounded). Without a state: days before the first decision was held. Without leg and asset:
-- what was lost on the day of ruin beyond all there was, which nobody paid. net sums to r_net.
with
strategies as (
    select
        strategy_id as run_id,
        taker_fee_bps,
        slippage_bps
    from {{ ref('strategies') }}
    where is_run
),

attribution_days as (
    select * from {{ ref('attribution_days') }}
    where is_test_day
),

-- sums are taken of shares near 1, whatever the scale of the strategy
scales as (
    select
        strategy_id as run_id,
        {{ power_of_two('greatest(max(gross_exposure), max(turnover))') }} as scale
    from {{ ref('daily_returns') }}
    where is_run and overflows_on is null
    group by strategy_id
),

scaled as (
    select
        attribution_days.*,
        scales.scale
    from attribution_days
    inner join scales on attribution_days.run_id = scales.run_id
),

sums as (
    select
        run_id,
        leg,
        asset_id,
        held_regime as regime,
        count(case when kind = 'held' then 1 end) as n_days,
        {{ scaled_sum('gross', 'scale') }} as gross,
        {{ scaled_sum('turnover', 'scale') }} as turnover,
        {{ scaled_sum('impact', 'scale') }} as impact,
        {{ scaled_sum('funding', 'scale') }} as funding,
        sum(beyond_ruin) as beyond_ruin  -- of one day at most
    from scaled
    group by run_id, leg, asset_id, held_regime
),

final as (
    select
        sums.run_id,
        sums.leg,
        sums.asset_id,
        sums.regime,
        sums.n_days,
        sums.gross,
        sums.turnover,
        sums.turnover * strategies.taker_fee_bps / 10000 as fees,
        sums.turnover * strategies.slippage_bps / 10000 as slippage,
        sums.impact,
        sums.funding,
        sums.gross - fees - slippage - sums.impact - sums.funding + sums.beyond_ruin as net
    from sums
    inner join strategies on sums.run_id = strategies.run_id
)

select * from final
