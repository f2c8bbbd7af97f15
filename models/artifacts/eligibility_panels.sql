-- One row per distinct eligibility panel (universe and decision days), asset with a price up to its
-- last day, and reason: on how many of the days since the asset's first price (or the first
-- decision day) it was one of the alts, or why not. What does not look at single days comes first:
-- majors, exclusions, assets that never reach the minimum.
with
panels as (
    select distinct
        eligibility_panel_id as panel_id,
        universe_id,
        first_date,
        last_date
    from {{ ref('strategies') }}
    where is_run
),

universes as (
    select * from {{ ref('universes') }}
),

last_dates as (
    select distinct last_date from panels
),

settings as (
    select max_stale_days from {{ ref('lake') }}
),

-- known at the last decision day, so no later row decides what is counted
lives as (
    select
        last_dates.last_date as known_until,
        prices.asset_id,
        min(prices.date) as first_date,
        least(
            max(prices.date) + any_value(settings.max_stale_days), last_dates.last_date
        ) as last_date
    from last_dates
    inner join {{ ref('stg_prices') }} as prices on last_dates.last_date >= prices.date
    cross join settings
    group by last_dates.last_date, prices.asset_id
),

largest as (
    select
        last_dates.last_date as known_until,
        marketcaps.asset_id,
        max(marketcaps.marketcap_usd) as marketcap_usd
    from last_dates
    inner join {{ ref('asset_marketcaps') }} as marketcaps
        on last_dates.last_date >= marketcaps.date
    group by last_dates.last_date, marketcaps.asset_id
),

most_traded as (
    select
        last_dates.last_date as known_until,
        volumes.asset_id,
        max(volumes.volume_usd) as volume_usd
    from last_dates
    inner join {{ ref('stg_volumes') }} as volumes on last_dates.last_date >= volumes.date
    group by last_dates.last_date, volumes.asset_id
),

assets as (
    select
        panels.panel_id,
        panels.universe_id,
        lives.asset_id,
        greatest(lives.first_date, panels.first_date) as first_date,
        lives.last_date,
        case
            when list_contains(universes.majors, lives.asset_id) then 'major'
            when ineligible_assets.reason is not null
                then 'excluded: ' || ineligible_assets.reason
            when list_contains(universes.exclude_assets, lives.asset_id)
                then 'excluded by the experiment'
            when
                universes.rank_by = 'marketcap'
                and coalesce(largest.marketcap_usd, 0) < universes.min_mcap_usd
                then 'market cap never reaches the minimum'
            when
                universes.rank_by = 'volume_30d'
                and coalesce(most_traded.volume_usd, 0) < universes.min_volume_usd
                then 'volume never reaches the minimum'
        end as reason
    from panels
    inner join universes on panels.universe_id = universes.universe_id
    inner join lives on panels.last_date = lives.known_until
    left join largest
        on panels.last_date = largest.known_until and lives.asset_id = largest.asset_id
    left join most_traded
        on panels.last_date = most_traded.known_until and lives.asset_id = most_traded.asset_id
    left join {{ ref('ineligible_assets') }} as ineligible_assets
        on lives.asset_id = ineligible_assets.asset_id
    where lives.last_date >= panels.first_date
),

by_day as (
    select
        assets.panel_id,
        assets.asset_id,
        eligibility.reason,
        eligibility.date
    from assets
    inner join {{ ref('asset_eligibility') }} as eligibility
        on
            assets.universe_id = eligibility.universe_id
            and assets.asset_id = eligibility.asset_id
            and eligibility.date between assets.first_date and assets.last_date
    where assets.reason is null
),

final as (
    select
        panel_id,
        asset_id,
        reason,
        cast(last_date - first_date + 1 as integer) as n_days,
        first_date,
        last_date
    from assets
    where reason is not null
    union all
    select
        panel_id,
        asset_id,
        reason,
        cast(count(*) as integer) as n_days,
        min(date) as first_date,
        max(date) as last_date
    from by_day
    group by panel_id, asset_id, reason
)

select * from final
