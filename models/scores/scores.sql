-- One row per run and day of its window: the weighted sum of z-scores before smoothing and gate (a
-- missing z counts 0), the share of the weights that had a z, and BTC's return over the days of the
-- gate.
with
runs as (
    select * from {{ ref('runs') }}
),

z_lists as (
    select * from {{ ref('z_lists') }}
),

btc as (
    select
        universe_id,
        date,
        btc_close
    from {{ ref('universe_days') }}
),

holdouts as (
    select distinct hidden_from
    from runs
    where hidden_from is not null
),

-- the grid of a run with a hold-out ends on the last BTC close that it may see: that one follows
-- later, behind a gap, is not known before
shown_days as (
    select
        holdouts.hidden_from,
        max(stg_prices.date) as last_date
    from holdouts
    inner join {{ ref('stg_prices') }} as stg_prices
        on stg_prices.asset_id = 'BTC' and holdouts.hidden_from > stg_prices.date
    group by holdouts.hidden_from
),

scored as (
    select
        runs.run_id,
        runs.universe_id,
        runs.gate_btc_return_days,
        z_lists.date,
        list_inner_product(runs.feature_weights, z_lists.z_values) as raw_score,
        list_inner_product(runs.feature_abs_weights, z_lists.z_present)
        / list_inner_product(
            runs.feature_abs_weights, cast([1.0 for w in runs.feature_abs_weights] as double[])
        ) as feature_coverage
    from runs
    left join shown_days on runs.hidden_from = shown_days.hidden_from
    inner join z_lists
        on
            runs.feature_set_id = z_lists.feature_set_id
            and z_lists.date >= coalesce(runs.window_start, z_lists.date)
            and z_lists.date <= coalesce(runs.window_end, z_lists.date)
            and z_lists.date <= coalesce(shown_days.last_date, z_lists.date)
),

final as (
    select
        scored.run_id,
        scored.date,
        scored.raw_score,
        scored.feature_coverage,
        btc_now.btc_close / btc_before.btc_close - 1 as gate_btc_return
    from scored
    left join btc as btc_now
        on
            scored.universe_id = btc_now.universe_id
            and scored.date = btc_now.date
            and scored.gate_btc_return_days is not null
    left join btc as btc_before
        on
            scored.universe_id = btc_before.universe_id
            and scored.date - scored.gate_btc_return_days = btc_before.date
)

select * from final
