-- One row per distinct universe of the invocation's runs.
with
runs as (
    select * from {{ ref('runs') }}
),

-- distinct and not grouped by id: were an id to miss a key, it would have two rows, and the build
-- fails
final as (
    select distinct
        -- written by `make schema`: columns
        universe_id,
        majors,
        exclude_assets,
        rank_by,
        min_mcap_usd,
        min_volume_usd,
        rank_median_days,
        min_history_days,
        listed_on,
        max_abs_return_1d
        -- end of what is written: columns
    from runs
)

select * from final
