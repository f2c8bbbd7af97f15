-- One row per universe, day and group (alts, majors): the group's funding rate per interval (a
-- decimal fraction) under each weighting, and how much of the group had open interest that day.
-- Funding is never carried; open interest is, for 7 days at most.
with
members as (
    select
        universe_id,
        date,
        'alts' as asset_group,
        funding_rate,
        open_interest_usd,
        marketcap_usd
    from {{ ref('alts') }}
    where funding_rate is not null
    union all
    select
        universe_id,
        date,
        'majors' as asset_group,
        funding_rate,
        open_interest_usd,
        marketcap_usd
    from {{ ref('majors') }}
    where funding_rate is not null
),

sums as (
    select
        universe_id,
        date,
        asset_group,
        count(*) as n_with_funding,
        count(case when open_interest_usd > 0 then 1 end) as n_with_open_interest,
        count(marketcap_usd) as n_with_marketcap,
        {{ exact_sum('open_interest_usd') }} as open_interest_usd,
        {{ exact_sum('funding_rate * open_interest_usd') }} as funding_times_open_interest,
        {{ exact_sum('marketcap_usd') }} as marketcap_usd,
        {{ exact_sum('funding_rate * marketcap_usd') }} as funding_times_marketcap,
        {{ exact_sum('funding_rate') }} as funding_sum,
        median(funding_rate) as funding_median
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
        case
            when n_with_open_interest > 0 then funding_times_open_interest / open_interest_usd
            else funding_sum / n_with_funding
        end as funding_oi,
        case
            when n_with_marketcap > 0 then funding_times_marketcap / marketcap_usd
            else funding_sum / n_with_funding
        end as funding_mcap,
        funding_sum / n_with_funding as funding_equal,
        funding_median
    from sums
)

select * from final
