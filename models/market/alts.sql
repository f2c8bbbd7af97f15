-- One row per universe, day and asset that is one of alts(t).
with
eligible as (
    select * from {{ ref('asset_eligibility') }}
    where reason = 'eligible'
),

final as (
    select
        universe_id,
        max_abs_return_1d,
        date,
        asset_id,
        is_observed,
        close,
        marketcap_usd,
        is_marketcap_derived,
        size_usd,
        ranked_size_usd,
        volume_usd,
        volume_30d_high_usd,
        open_interest_usd,
        funding_rate_8h,
        return_1d,
        mean_return_3d,
        mean_return_7d
    from eligible
)

select * from final
