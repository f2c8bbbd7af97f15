-- depends_on: {{ ref('lake') }}
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

tables as (
    select unnest({{ facts | list }}) as table_name
),

counted as (
    {%- for table in facts %}
    select
        holdouts.hidden_from,
        '{{ table }}' as table_name,
        count(*) as n_rows,
        count(distinct given.asset_id) as n_assets,
        min(given.date) filter (where given.unusable is distinct from 'impossible date')
            as first_date,
        max(given.date) filter (where given.unusable is distinct from 'impossible date')
            as last_date
    from {{ source('lake', table) }} as given
    cross join holdouts
    where holdouts.hidden_from is null or given.date < holdouts.hidden_from
    group by holdouts.hidden_from
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        holdouts.hidden_from,
        tables.table_name,
        coalesce(counted.n_rows, 0) as n_rows,
        coalesce(counted.n_assets, 0) as n_assets,
        counted.first_date,
        counted.last_date
    from holdouts
    cross join tables
    left join counted
        on
            tables.table_name = counted.table_name
            and holdouts.hidden_from is not distinct from counted.hidden_from
)

select * from final
