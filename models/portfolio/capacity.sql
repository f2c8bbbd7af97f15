-- One row per run: how much capital its trades bear. The capital at which 95% of them, by number,
-- are at most 10% of the asset's 20-day average volume; missing when the volume of none is known.
with
strategies as (
    select
        strategy_id,
        row_number() over (order by strategy_id) as run_number
    from {{ ref('strategies') }}
    where is_run
),

traded_days as (
    select
        strategies.run_number,
        daily_returns.long_trade_number,
        daily_returns.short_trade_number
    from {{ ref('daily_returns') }} as daily_returns
    inner join strategies on daily_returns.strategy_id = strategies.strategy_id
    where daily_returns.turnover > 0
),

both_legs as (
    select
        run_number,
        long_trade_number as trade_number
    from traded_days
    union all
    select
        run_number,
        short_trade_number as trade_number
    from traded_days
),

leg_trades as (
    select
        trade_number,
        list_transform(asset_trades, lambda trade: trade['participation_per_usd'])
            as participations_per_usd
    from {{ ref('leg_trades') }}
),

trades as (
    select
        both_legs.run_number,
        unnest(leg_trades.participations_per_usd) as participation_per_usd
    from both_legs
    inner join leg_trades on both_legs.trade_number = leg_trades.trade_number
),

-- the discrete quantile is one of the trades, the ceil(0.95 n)-th smallest
participations as (
    select
        run_number,
        count(participation_per_usd) as n_trades,
        quantile_disc(participation_per_usd, 0.95) as most_per_usd
    from trades
    group by run_number
),

final as (
    select
        strategies.strategy_id as run_id,
        coalesce(participations.n_trades, 0) as n_trades,
        0.1 / participations.most_per_usd as capacity_usd
    from strategies
    left join participations on strategies.run_number = participations.run_number
)

select * from final
