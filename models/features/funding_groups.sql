-- One row per universe, day and group (alts, majors): the group's funding rate of eight hours (a
-- decimal fraction) under each weighting, and how much of the group had open interest that day.
-- Funding is never carried; open interest is, for 7 days at most.
with
members as (
    select
        universe_id,
        date,
        'alts' as asset_group,
        funding_rate_8h,
        open_interest_usd,
        marketcap_usd
    from {{ ref('alts') }}
    where funding_rate_8h is not null
    union all
    select
        universe_id,
        date,
        'majors' as asset_group,
        funding_rate_8h,
        open_interest_usd,
        marketcap_usd
    from {{ ref('majors') }}
    where funding_rate_8h is not null
),

means as (
    select
        universe_id,
        date,
        asset_group,
        count(*) as n_with_funding,
        count(case when open_interest_usd > 0 then 1 end) as n_with_open_interest,
        count(marketcap_usd) as n_with_marketcap,
        {{ weighted_mean('funding_rate_8h', 'open_interest_usd') }} as by_open_interest,
        {{ weighted_mean('funding_rate_8h', 'marketcap_usd') }} as by_marketcap,
        {{ weighted_mean('funding_rate_8h') }} as funding_equal,
        median(funding_rate_8h) as funding_median,
        max(abs(funding_rate_8h)) as largest_rate
    from members
    group by universe_id, date, asset_group
),

final as (
    select
        universe_id,
        date,
        asset_group,
        n_with_funding,
        n_with_open_interest,
        n_with_open_interest / n_with_funding as oi_coverage,
        n_with_open_interest = 0 as is_oi_fallback,
        n_with_marketcap = 0 as is_mcap_fallback,
        case when n_with_open_interest > 0 then by_open_interest else funding_equal end
            as funding_oi,
        case when n_with_marketcap > 0 then by_marketcap else funding_equal end as funding_mcap,
        funding_equal,
        funding_median,
        largest_rate
    from means
)

select * from final
