-- One row per distinct universe of the invocation's runs.
with
runs as (
    select * from {{ ref('runs') }}
),

final as (
    select
        universe_id,
        any_value(majors) as majors,
        any_value(exclude_assets) as exclude_assets,
        any_value(min_mcap_usd) as min_mcap_usd,
        any_value(min_volume_usd) as min_volume_usd,
        any_value(rank_median_days) as rank_median_days,
        any_value(max_abs_return_1d) as max_abs_return_1d
    from runs
    group by universe_id
)

select * from final
