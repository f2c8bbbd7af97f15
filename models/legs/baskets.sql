-- One row per basket definition, day and member: the top n of alts(t) by market cap at t (or by its
-- median over the last days, or by traded volume, as the universe says), ties by asset_id. Weights
-- are positive and sum to 1 per day. Only days on which a run may decide.
with
runs as (
    select * from {{ ref('runs') }}
),

run_windows as (
    select * from {{ ref('run_windows') }}
    where error is null
),

alts as (
    select
        universe_id,
        date,
        asset_id,
        marketcap_usd,
        ranked_size_usd
    from {{ ref('alts') }}
),

definitions as (
    select
        runs.basket_id,
        runs.universe_id,
        runs.short_n,
        runs.short_weighting,
        min(run_windows.first_date) as first_date,
        max(run_windows.last_date) as last_date
    from runs
    inner join run_windows on runs.run_id = run_windows.run_id
    group by runs.basket_id, runs.universe_id, runs.short_n, runs.short_weighting
),

ranked as (
    select
        universe_id,
        date,
        asset_id,
        marketcap_usd,
        row_number() over (
            partition by universe_id, date order by ranked_size_usd desc, asset_id asc
        ) as rank
    from alts
),

members as (
    select
        definitions.basket_id,
        definitions.short_weighting,
        ranked.date,
        ranked.asset_id,
        ranked.rank,
        ranked.marketcap_usd
    from definitions
    inner join ranked
        on
            definitions.universe_id = ranked.universe_id
            and definitions.short_n >= ranked.rank
            and ranked.date between definitions.first_date and definitions.last_date
),

totals as (
    select
        basket_id,
        date,
        count(*) as n_members,
        {{ exact_sum('marketcap_usd') }} as marketcap_usd
    from members
    group by basket_id, date
),

final as (
    select
        members.basket_id,
        members.date,
        members.asset_id,
        members.rank,
        members.marketcap_usd,
        case members.short_weighting
            when 'mcap' then members.marketcap_usd / totals.marketcap_usd
            else 1.0 / totals.n_members
        end as weight
    from members
    inner join totals on members.basket_id = totals.basket_id and members.date = totals.date
)

select * from final
