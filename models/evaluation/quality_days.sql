-- One row per feature panel (features and decision days), check of `quality_checks`, subject and
-- decision day on which the check finds something in what the panel's runs use: what was found, and
-- how large it is among findings of the check. Nothing about day t depends on later rows.
{% set limit = "(select checks.limit_value from checks where checks.check_name = '%s')" %}
with
checks as (
    select * from {{ ref('quality_checks') }}
),

panels as (
    select distinct
        strategies.feature_panel_id,
        strategies.feature_set_id,
        strategies.universe_id,
        strategies.first_date,
        strategies.last_date,
        universes.max_abs_return_1d,
        universes.rank_by
    from {{ ref('strategies') }} as strategies
    inner join {{ ref('universes') }} as universes
        on strategies.universe_id = universes.universe_id
    where strategies.is_run
),

-- what is known at the last of all decision days; no panel, no day
span as (
    select
        min(first_date) as first_date,
        max(last_date) as last_date
    from panels
),

run_features as (
    select distinct
        feature_set_id,
        universe_id,
        feature_id,
        z_key,
        weighting
    from {{ ref('run_features') }}
),

universe_days as (
    select
        universe_id,
        date,
        n_alts,
        lag(n_alts) over (partition by universe_id order by date) as n_before
    from {{ ref('universe_days') }}
),

alts as (
    select
        universe_id,
        date,
        asset_id,
        is_observed
    from {{ ref('alts') }}
),

members as (
    select
        universe_id,
        date,
        asset_id
    from alts
    union all
    select
        universe_id,
        date,
        asset_id
    from {{ ref('majors') }}
),

decision_days as (
    select
        panels.feature_panel_id,
        universe_days.*
    from panels
    inner join universe_days
        on
            panels.universe_id = universe_days.universe_id
            and universe_days.date between panels.first_date and panels.last_date
),

-- the tables that a panel cannot do without, and how long their values are carried
settings as (
    select max_stale_days from {{ ref('lake') }}
),

feature_needs as (
    select
        feature_id,
        'fact_' || unnest(string_split(needs, ';')) as subject
    from {{ ref('feature_registry') }}
    where needs is not null and needs <> ''
),

needed_tables as (
    select
        panels.feature_panel_id,
        unnest(['fact_price', 'fact_volume']) as subject,
        settings.max_stale_days as carried_days
    from panels
    cross join settings
    union all
    select
        panels.feature_panel_id,
        'fact_marketcap' as subject,
        settings.max_stale_days as carried_days
    from panels
    cross join settings
    where panels.rank_by = 'marketcap'
    union all
    select distinct
        panels.feature_panel_id,
        feature_needs.subject,
        case feature_needs.subject when 'fact_open_interest' then 7 else 0 end as carried_days
    from panels
    inner join run_features on panels.feature_set_id = run_features.feature_set_id
    inner join feature_needs
        on
            run_features.feature_id = feature_needs.feature_id
            or (
                run_features.weighting = 'oi'
                and feature_needs.subject = 'fact_open_interest'
            )
),

-- market caps that come from supplies are market caps
table_rows as (
    select
        'fact_price' as subject,
        date,
        asset_id
    from {{ ref('stg_prices') }}
    union all
    select
        'fact_volume' as subject,
        date,
        asset_id
    from {{ ref('stg_volumes') }}
    union all
    select
        'fact_marketcap' as subject,
        date,
        asset_id
    from {{ ref('asset_marketcaps') }}
    union all
    select distinct
        'fact_funding' as subject,
        date,
        asset_id
    from {{ ref('stg_funding') }}
    union all
    select distinct
        'fact_open_interest' as subject,
        date,
        asset_id
    from {{ ref('stg_open_interest') }}
),

table_days as (
    select
        subject,
        date,
        count(*) as n_assets,
        lag(count(*)) over (partition by subject order by date) as n_before
    from table_rows
    where date <= (select span.last_date from span)
    group by subject, date
),

needed_days as (
    select
        needed_tables.*,
        decision_days.date,
        table_days.n_assets,
        table_days.n_before
    from needed_tables
    inner join decision_days on needed_tables.feature_panel_id = decision_days.feature_panel_id
    left join table_days
        on needed_tables.subject = table_days.subject and decision_days.date = table_days.date
),

counts as (
    select
        feature_panel_id,
        'asset_jump' as check_name,
        {{ limit % 'asset_jump' }} as limit_value,
        subject,
        date,
        n_assets,
        n_before
    from needed_days
    union all
    select
        feature_panel_id,
        'alts_jump' as check_name,
        {{ limit % 'alts_jump' }} as limit_value,
        'alts' as subject,
        date,
        n_alts as n_assets,
        n_before
    from decision_days
),

jumps as (
    select
        feature_panel_id,
        check_name,
        subject,
        date,
        n_assets / n_before - 1 as value,
        limit_value,
        abs(n_assets - n_before) as magnitude,
        n_before || ' -> ' || n_assets as detail
    from counts
    where
        n_before > 0
        and abs(n_assets - n_before) > greatest(10, limit_value * n_before)
),

stale_days as (
    select
        universe_id,
        date,
        count(*) as n_alts,
        count(*) filter (where not is_observed) as n_stale
    from alts
    group by universe_id, date
),

-- closes, market caps and rates that no market makes, with the days on which an asset must be a
-- member for them to reach a number
spikes as (
    select
        max_abs_return_1d,
        'price_spike' as check_name,
        asset_id,
        date,
        [date, date - 1] as member_dates,
        return_1d as value,
        abs(ln(greatest(1 + return_1d, 1e-12))) as magnitude
    from {{ ref('asset_days') }}
    where
        return_1d > {{ spike_limit('up') }}
        or return_1d < {{ spike_limit('down') }}
),

limits as (
    select distinct max_abs_return_1d from panels
),

-- of assets that are ever members, a few of all that a large lake has
supplies as (
    select
        marketcaps.asset_id,
        marketcaps.date,
        marketcaps.marketcap_usd / prices.close as supply
    from {{ ref('asset_marketcaps') }} as marketcaps
    inner join {{ ref('stg_prices') }} as prices
        on marketcaps.asset_id = prices.asset_id and marketcaps.date = prices.date
    semi join members on marketcaps.asset_id = members.asset_id
    where
        not marketcaps.is_derived
        and marketcaps.date between
        (select span.first_date - 1 from span) and (select span.last_date from span)
),

supply_moves as (
    select
        asset_id,
        date,
        least(greatest(
            supply / lag(supply) over (partition by asset_id order by date), 1e-12
        ), 1e12) as ratio,
        date - lag(date) over (partition by asset_id order by date) as n_days
    from supplies
),

asset_findings as (
    select * from spikes
    union all
    select
        limits.max_abs_return_1d,
        'supply_jump' as check_name,
        supply_moves.asset_id,
        supply_moves.date,
        [supply_moves.date] as member_dates,
        supply_moves.ratio as value,
        abs(ln(supply_moves.ratio)) as magnitude
    from supply_moves
    cross join limits
    where
        supply_moves.n_days = 1
        and abs(ln(supply_moves.ratio)) > ln({{ limit % 'supply_jump' }})
    union all
    select
        limits.max_abs_return_1d,
        'funding_extreme' as check_name,
        funding.asset_id,
        funding.date,
        [funding.date] as member_dates,
        funding.funding_rate_8h as value,
        abs(funding.funding_rate_8h) as magnitude
    from {{ ref('asset_funding') }} as funding
    cross join limits
    where abs(funding.funding_rate_8h) > {{ limit % 'funding_extreme' }}
),

member_findings as (
    select
        * exclude (member_dates),
        unnest(member_dates) as member_date
    from asset_findings
),

of_members as (
    select distinct
        panels.feature_panel_id,
        found.check_name,
        found.asset_id as subject,
        found.date,
        found.value,
        case
            when found.check_name <> 'price_spike' then checks.limit_value
            when found.value > 0 then {{ spike_limit('up') }}
            else {{ spike_limit('down') }}
        end as limit_value,
        found.magnitude,
        cast(null as varchar) as detail
    from member_findings as found
    inner join checks on found.check_name = checks.check_name
    inner join members
        on found.asset_id = members.asset_id and found.member_date = members.date
    inner join panels
        on
            members.universe_id = panels.universe_id
            and found.max_abs_return_1d is not distinct from panels.max_abs_return_1d
            and found.date between panels.first_date and panels.last_date
),

-- from day to day, of every asset of the lake
moves as (
    select
        asset_id,
        date,
        least(close / lag(close) over (partition by asset_id order by date), 1e12) - 1 as value,
        date - lag(date) over (partition by asset_id order by date) as n_days
    from {{ ref('stg_prices') }}
    where
        date between
        (select span.first_date - 1 from span) and (select span.last_date from span)
),

other_spikes as (
    select
        panels.feature_panel_id,
        moves.asset_id as subject,
        moves.date,
        moves.value
    from moves
    inner join panels on moves.date between panels.first_date and panels.last_date
    anti join of_members
        on
            panels.feature_panel_id = of_members.feature_panel_id
            and moves.asset_id = of_members.subject
            and moves.date = of_members.date
            and of_members.check_name = 'price_spike'
    where
        moves.n_days = 1
        and (moves.value > {{ spike_limit('up') }} or moves.value < {{ spike_limit('down') }})
),

feature_days as (
    select
        panels.feature_panel_id,
        run_features.feature_id as subject,
        z_scores.date,
        z_scores.z_score
    from panels
    inner join run_features on panels.feature_set_id = run_features.feature_set_id
    inner join {{ ref('z_scores') }} as z_scores
        on
            run_features.universe_id = z_scores.universe_id
            and run_features.z_key = z_scores.z_key
            and z_scores.date between panels.first_date and panels.last_date
),

fallbacks as (
    select distinct
        panels.feature_panel_id,
        funding_groups.asset_group as subject,
        funding_groups.date
    from panels
    inner join run_features
        on
            panels.feature_set_id = run_features.feature_set_id
            and run_features.weighting is not null
    inner join {{ ref('funding_groups') }} as funding_groups
        on
            panels.universe_id = funding_groups.universe_id
            and funding_groups.date between panels.first_date and panels.last_date
            and (
                (run_features.weighting = 'oi' and funding_groups.is_oi_fallback)
                or (run_features.weighting = 'mcap' and funding_groups.is_mcap_fallback)
            )
),

-- what is found by the day; its value is how many days there are
by_day as (
    select
        feature_panel_id,
        'no_alts' as check_name,
        'alts' as subject,
        date,
        {{ limit % 'no_alts' }} as limit_value
    from decision_days
    where n_alts = 0
    union all
    select
        feature_panel_id,
        'table_gap' as check_name,
        subject,
        date,
        carried_days as limit_value
    from needed_days
    where n_assets is null
    union all
    select
        feature_panel_id,
        'funding_fallback' as check_name,
        subject,
        date,
        {{ limit % 'funding_fallback' }} as limit_value
    from fallbacks
    union all
    select
        feature_panel_id,
        'feature_gap' as check_name,
        subject,
        date,
        {{ limit % 'feature_gap' }} as limit_value
    from feature_days
    where z_score is null
),

found as (
    select
        feature_panel_id,
        check_name,
        subject,
        date,
        cast(null as double) as value,
        limit_value,
        1 as magnitude,
        cast(null as varchar) as detail
    from by_day
    union all
    select * from jumps
    union all
    select
        decision_days.feature_panel_id,
        'stale_prices' as check_name,
        'alts' as subject,
        stale_days.date,
        stale_days.n_stale / stale_days.n_alts as value,
        {{ limit % 'stale_prices' }} as limit_value,
        stale_days.n_stale / stale_days.n_alts as magnitude,
        stale_days.n_stale || ' of ' || stale_days.n_alts as detail
    from decision_days
    inner join stale_days
        on
            decision_days.universe_id = stale_days.universe_id
            and decision_days.date = stale_days.date
            and stale_days.n_stale > {{ limit % 'stale_prices' }} * stale_days.n_alts
    union all
    select * from of_members
    union all
    select
        feature_panel_id,
        'price_spike_elsewhere' as check_name,
        subject,
        date,
        value,
        case when value > 0 then {{ spike_limit('up') }} else {{ spike_limit('down') }} end
            as limit_value,
        abs(ln(greatest(1 + value, 1e-12))) as magnitude,
        cast(null as varchar) as detail
    from other_spikes
    union all
    select
        feature_panel_id,
        'feature_outlier' as check_name,
        subject,
        date,
        z_score as value,
        {{ limit % 'feature_outlier' }} as limit_value,
        abs(z_score) as magnitude,
        cast(null as varchar) as detail
    from feature_days
    where abs(z_score) > {{ limit % 'feature_outlier' }}
),

final as (
    select
        feature_panel_id,
        check_name,
        subject,
        date,
        cast(value as double) as value,
        cast(limit_value as double) as limit_value,
        cast(magnitude as double) as magnitude,
        detail
    from found
)

select * from final
