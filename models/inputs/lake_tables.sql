-- One row per hold-out among the runs (missing: of runs without one) and daily table of the lake:
-- rows as they stand there, assets, first and last date, of days before the hold-out only.
{#- written by `make schema`: facts #}
{%- set facts = {
    'fact_price': 'stg_prices',
    'fact_marketcap': 'stg_marketcaps',
    'fact_volume': 'stg_volumes',
    'fact_supply': 'stg_supplies',
    'fact_funding': 'stg_funding',
    'fact_open_interest': 'stg_open_interest',
} %}
{#- end of what is written: facts #}
with
holdouts as (
    select distinct hidden_from from {{ ref('runs') }}
),

row_counts as (
    select * from {{ ref('row_counts') }}
),

first_rows as (
    select * from {{ ref('first_rows') }}
),

tables as (
    select unnest({{ facts | list }}) as table_name
),

counted as (
    select
        holdouts.hidden_from,
        row_counts.table_name,
        cast(sum(row_counts.n_rows) as bigint) as n_rows,
        min(row_counts.date) filter (where row_counts.reason is distinct from 'impossible date')
            as first_date,
        max(row_counts.date) filter (where row_counts.reason is distinct from 'impossible date')
            as last_date
    from row_counts
    cross join holdouts
    where holdouts.hidden_from is null or row_counts.date < holdouts.hidden_from
    group by holdouts.hidden_from, row_counts.table_name
),

assets as (
    select
        holdouts.hidden_from,
        first_rows.table_name,
        count(*) as n_assets
    from first_rows
    cross join holdouts
    where holdouts.hidden_from is null or first_rows.date < holdouts.hidden_from
    group by holdouts.hidden_from, first_rows.table_name
),

final as (
    select
        holdouts.hidden_from,
        tables.table_name,
        coalesce(counted.n_rows, 0) as n_rows,
        coalesce(assets.n_assets, 0) as n_assets,
        counted.first_date,
        counted.last_date
    from holdouts
    cross join tables
    left join counted
        on
            tables.table_name = counted.table_name
            and holdouts.hidden_from is not distinct from counted.hidden_from
    left join assets
        on
            tables.table_name = assets.table_name
            and holdouts.hidden_from is not distinct from assets.hidden_from
)

select * from final
