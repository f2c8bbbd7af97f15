-- One row per universe and calendar day from the first to the last BTC close: the dense spine of
-- all features, with what they share of the day.
with
btc as (
    select
        max_abs_return_1d,
        date,
        close as btc_close,
        return_1d as btc_return_1d,
        open_interest_usd as btc_open_interest_usd
    from {{ ref('asset_days') }}
    where asset_id = 'BTC'
),

universes as (
    select
        universe_id,
        max_abs_return_1d
    from {{ ref('universes') }}
),

btc_sizes as (
    select
        universe_id,
        date,
        size_usd as btc_size_usd
    from {{ ref('majors') }}
    where asset_id = 'BTC'
),

alts as (
    select
        universe_id,
        date,
        count(*) as n_alts,
        count(*) filter (where is_marketcap_derived) as n_derived_marketcaps,
        {{ exact_sum('size_usd') }} as alt_size_usd,
        {{ exact_sum('volume_usd') }} as alt_volume_usd
    from {{ ref('alts') }}
    group by universe_id, date
),

final as (
    select
        universes.universe_id,
        btc.* exclude (max_abs_return_1d),  -- noqa: RF02
        coalesce(alts.n_alts, 0) as n_alts,
        coalesce(alts.n_derived_marketcaps, 0) as n_derived_marketcaps,
        btc_sizes.btc_size_usd,
        alts.alt_size_usd,
        alts.alt_volume_usd
    from btc
    inner join universes
        on btc.max_abs_return_1d is not distinct from universes.max_abs_return_1d
    left join btc_sizes
        on universes.universe_id = btc_sizes.universe_id and btc.date = btc_sizes.date
    left join alts on universes.universe_id = alts.universe_id and btc.date = alts.date
)

select * from final
