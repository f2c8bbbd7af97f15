-- One row per run: its decision days (first and last date, number, those without enough feature
-- coverage, on which nothing is decided) and, when it cannot be computed, why not. The first
-- decision day is the first day of the window with enough coverage.
with
runs as (
    select * from {{ ref('runs') }}
),

scores as (
    select * from {{ ref('scores') }}
),

run_majors as (
    select
        run_id,
        hidden_from,
        unnest(majors) as asset_id
    from runs
),

holdouts as (
    select distinct hidden_from from runs
),

-- prices of majors, for a run with a hold-out those of days before it
prices as (
    select
        holdouts.hidden_from,
        stg_prices.asset_id,
        min(stg_prices.date) as first_date,
        max(stg_prices.date) as last_date
    from {{ ref('stg_prices') }} as stg_prices
    semi join run_majors on stg_prices.asset_id = run_majors.asset_id
    cross join holdouts
    where holdouts.hidden_from is null or stg_prices.date < holdouts.hidden_from
    group by holdouts.hidden_from, stg_prices.asset_id
),

btc as (
    select
        runs.run_id,
        prices.first_date,
        prices.last_date
    from runs
    left join prices
        on runs.hidden_from is not distinct from prices.hidden_from and prices.asset_id = 'BTC'
),

lake_tables as (
    select * from {{ ref('lake_tables') }}
),

-- runs that rank by market cap, on a lake without market caps
without_marketcaps as (
    select runs.run_id
    from runs
    inner join lake_tables
        on
            runs.hidden_from is not distinct from lake_tables.hidden_from
            and lake_tables.table_name in ('fact_marketcap', 'fact_supply')
    where runs.rank_by = 'marketcap'
    group by runs.run_id
    having sum(lake_tables.n_rows) = 0
),

-- runs that ask for perpetuals, on a lake that knows of none on these exchanges
without_listings as (
    select
        runs.run_id,
        array_to_string(runs.listed_on, ', ') as exchanges
    from runs
    where
        len(runs.listed_on) > 0
        and not exists (
            select 1 from {{ ref('stg_listings') }} as listings
            where list_contains(runs.listed_on, listings.exchange)
        )
),

absent_majors as (
    select
        run_majors.run_id,
        string_agg(run_majors.asset_id, ', ' order by run_majors.asset_id) as asset_ids
    from run_majors
    anti join prices
        on
            run_majors.asset_id = prices.asset_id
            and run_majors.hidden_from is not distinct from prices.hidden_from
    group by run_majors.run_id
),

feature_needs as (
    select
        feature_id,
        'fact_' || unnest(string_split(needs, ';')) as table_name
    from {{ ref('feature_registry') }}
    where needs is not null and needs <> ''
),

absent_tables as (
    select
        run_features.run_id,
        string_agg(distinct feature_needs.table_name, ', ' order by feature_needs.table_name)
            as table_names,
        string_agg(distinct run_features.feature_id, ', ' order by run_features.feature_id)
            as feature_ids
    from {{ ref('run_features') }} as run_features
    inner join runs on run_features.run_id = runs.run_id
    inner join feature_needs on run_features.feature_id = feature_needs.feature_id
    inner join lake_tables
        on
            feature_needs.table_name = lake_tables.table_name
            and runs.hidden_from is not distinct from lake_tables.hidden_from
            and lake_tables.n_rows = 0
    group by run_features.run_id
),

covered as (
    select
        scores.run_id,
        min(scores.date) as first_date
    from scores
    inner join runs on scores.run_id = runs.run_id
    where scores.feature_coverage > runs.min_coverage
    group by scores.run_id
),

-- weights so large that a score is no number
overflowing_scores as (
    select
        scores.run_id,
        min(scores.date) as date
    from scores
    where not (isfinite(scores.raw_score) and isfinite(scores.feature_coverage))
    group by scores.run_id
),

-- price jumps of assets that a universe has held by then
jumps as (
    select
        max_abs_return_1d,
        asset_id,
        date
    from {{ ref('asset_days') }}
    where is_price_jump
),

jumping_members as (
    select
        majors.universe_id,
        majors.asset_id,
        majors.date
    from {{ ref('majors') }} as majors
    semi join jumps on majors.asset_id = jumps.asset_id
    union all
    select
        alts.universe_id,
        alts.asset_id,
        alts.date
    from {{ ref('alts') }} as alts
    semi join jumps on alts.asset_id = jumps.asset_id
),

decision_days as (
    select
        covered.run_id,
        covered.first_date,
        max(scores.date) as last_date,
        count(*) as n_days,
        cast(coalesce(
            list(scores.date order by scores.date)
            filter (where not coalesce(scores.feature_coverage > runs.min_coverage, false)),
            []
        ) as date[]) as uncovered_dates
    from covered
    inner join runs on covered.run_id = runs.run_id
    inner join scores on covered.run_id = scores.run_id and covered.first_date <= scores.date
    group by covered.run_id, covered.first_date
),

price_jumps as (
    select
        decision_days.run_id,
        arg_min(jumps.asset_id || ' on ' || jumps.date, (jumps.date, jumps.asset_id)) as first_jump,
        count(distinct jumps.asset_id || ' ' || jumps.date) as n_jumps
    from decision_days
    inner join runs on decision_days.run_id = runs.run_id
    inner join jumping_members
        on
            runs.universe_id = jumping_members.universe_id
            and decision_days.last_date >= jumping_members.date
    inner join jumps
        on
            jumping_members.asset_id = jumps.asset_id
            and runs.max_abs_return_1d is not distinct from jumps.max_abs_return_1d
            and decision_days.last_date >= jumps.date
    group by decision_days.run_id
),

final as (
    select
        runs.run_id,
        runs.experiment_id,
        decision_days.first_date,
        decision_days.last_date,
        decision_days.n_days,
        decision_days.uncovered_dates,
        case
            when runs.is_unrecorded_look
                then concat_ws(
                    chr(10),
                    'The hold-out is opened, but no look at it is recorded',
                    '  where:    evaluation.look of ' || runs.experiment_id,
                    '  received: true, without an entry of ' || runs.run_id
                    || ' in the ledger of looks',
                    '  remedy:   set look: false and open it with `msm run EXPERIMENT --look'
                    || ' "REASON"`, which records the look'
                )
            when absent_majors.asset_ids is not null
                then concat_ws(
                    chr(10),
                    'The lake has no prices of a major of this experiment',
                    '  where:    universe.majors of ' || runs.experiment_id,
                    '  received: ' || absent_majors.asset_ids,
                    '  remedy:   add the asset to fact_price, or take it out of universe.majors'
                )
            when without_marketcaps.run_id is not null
                then concat_ws(
                    chr(10),
                    'The lake has no market caps, by which this experiment chooses its alts',
                    '  where:    universe.rank_by of ' || runs.experiment_id,
                    '  received: marketcap, and no row of fact_marketcap or fact_supply',
                    '  remedy:   add one of them, or set universe.rank_by: volume_30d (the'
                    || ' median volume of 30 days stands for the size of an asset)'
                )
            when without_listings.run_id is not null
                then concat_ws(
                    chr(10),
                    'The lake knows of no perpetual on the exchanges that this experiment asks for',
                    '  where:    universe.listed_on of ' || runs.experiment_id,
                    '  received: ' || without_listings.exchanges
                    || ', and no row of dim_listing of any of them',
                    '  remedy:   add them to dim_listing, name the exchanges as it does, or leave'
                    || ' universe.listed_on out'
                )
            when absent_tables.table_names is not null and not runs.allow_missing_features
                then concat_ws(
                    chr(10),
                    'The lake lacks a table that features of this experiment need',
                    '  where:    features of ' || runs.experiment_id,
                    '  received: ' || absent_tables.feature_ids || ' without '
                    || absent_tables.table_names,
                    '  remedy:   add the table, leave these features out, or set'
                    || ' allow_missing_features: true (a missing feature then counts 0)'
                )
            when
                btc.last_date is null
                or runs.window_start > btc.last_date
                or runs.window_end < btc.first_date
                then concat_ws(
                    chr(10),
                    'The window lies outside the lake',
                    '  where:    window of ' || runs.experiment_id,
                    '  received: ' || coalesce(cast(runs.window_start as varchar), 'lake''s start')
                    || ' to ' || coalesce(cast(runs.window_end as varchar), 'lake''s end'),
                    '  remedy:   choose days between the first and the last BTC close, '
                    || coalesce(btc.first_date || ' and ' || btc.last_date, 'none of them shown')
                    || coalesce(', before the hold-out from ' || runs.hidden_from, '')
                )
            when price_jumps.run_id is not null
                then concat_ws(
                    chr(10),
                    'A price of this experiment''s universe rises a million times in a day',
                    '  where:    fact_price, ' || price_jumps.first_jump || coalesce(
                        ' and ' || nullif(price_jumps.n_jumps - 1, 0) || ' more', ''
                    ) || '; universe of ' || runs.experiment_id,
                    '  received: close over the close of the day before of 1e6 or more',
                    '  remedy:   mend the prices, or (an alt) name it in universe.exclude_assets'
                )
            when overflowing_scores.run_id is not null
                then concat_ws(
                    chr(10),
                    'The score of this experiment is too large to compute with',
                    '  where:    features of ' || runs.experiment_id || ', on '
                    || overflowing_scores.date,
                    '  received: weights up to ' || list_max(runs.feature_abs_weights),
                    '  remedy:   give weights around 1: only their ratios to the thresholds count'
                )
            when decision_days.run_id is null
                then concat_ws(
                    chr(10),
                    'No day of the window has enough features to decide on',
                    '  where:    window and features of ' || runs.experiment_id,
                    '  received: feature coverage never above min_coverage '
                    || runs.min_coverage,
                    '  remedy:   loosen the universe if it is empty, start later (z-scores need '
                    || runs.zscore_window_days || ' days of history) or look at the lake with'
                    || ' `msm lake check`'
                )
            when
                runs.walk_forward
                and decision_days.n_days < runs.lookback_window_days + runs.min_test_days
                then concat_ws(
                    chr(10),
                    'The window is shorter than the lookback and one test window',
                    '  where:    window of ' || runs.experiment_id,
                    '  received: ' || decision_days.n_days || ' decision days, '
                    || decision_days.first_date || ' to ' || decision_days.last_date,
                    '  remedy:   give at least '
                    || (runs.lookback_window_days + runs.min_test_days)
                    || ' days (backtest.lookback_window_days + min_test_days), or set'
                    || ' backtest.walk_forward: false'
                )
        end as error
    from runs
    inner join btc on runs.run_id = btc.run_id
    left join absent_majors on runs.run_id = absent_majors.run_id
    left join without_marketcaps on runs.run_id = without_marketcaps.run_id
    left join without_listings on runs.run_id = without_listings.run_id
    left join absent_tables on runs.run_id = absent_tables.run_id
    left join decision_days on runs.run_id = decision_days.run_id
    left join price_jumps on runs.run_id = price_jumps.run_id
    left join overflowing_scores on runs.run_id = overflowing_scores.run_id
)

select * from final
