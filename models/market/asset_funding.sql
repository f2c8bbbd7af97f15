-- One row per asset and day with a funding print: the mean over the asset's instruments, weighted
-- by their own open interest on that day where all of them have it, else unweighted. Decimal
-- fractions per eight hours (what features use) and per day (what positions pay).
with
funding as (
    select * from {{ ref('stg_funding') }}
),

open_interest as (
    select * from {{ ref('stg_open_interest') }}
),

instruments as (
    select
        funding.asset_id,
        funding.date,
        funding.funding_rate_8h,
        funding.funding_rate_1d,
        open_interest.open_interest_usd
    from funding
    left join open_interest
        on
            funding.asset_id = open_interest.asset_id
            and funding.date = open_interest.date
            and funding.instrument_id is not distinct from open_interest.instrument_id
            and funding.exchange is not distinct from open_interest.exchange
),

means as (
    select
        asset_id,
        date,
        count(*) = count(open_interest_usd) and max(open_interest_usd) > 0 as is_weighted,
        {{ weighted_mean('funding_rate_8h', 'open_interest_usd') }} as weighted_8h,
        {{ weighted_mean('funding_rate_1d', 'open_interest_usd') }} as weighted_1d,
        {{ weighted_mean('funding_rate_8h') }} as plain_8h,
        {{ weighted_mean('funding_rate_1d') }} as plain_1d
    from instruments
    group by asset_id, date
),

final as (
    select
        asset_id,
        date,
        case when is_weighted then weighted_8h else plain_8h end as funding_rate_8h,
        case when is_weighted then weighted_1d else plain_1d end as funding_rate_1d
    from means
)

select * from final
