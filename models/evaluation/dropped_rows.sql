-- One row per hold-out among the runs (missing: of runs without one), lake table and reason: rows
-- that were left out because they cannot be used, and duplicate rows that agreed and were folded
-- into one. They never reach a number. Only days before the hold-out count.
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

counted as (
    select
        holdouts.hidden_from,
        row_counts.table_name,
        coalesce(row_counts.reason, 'duplicate') as reason,
        cast(sum(row_counts.n_rows) as bigint) as n_rows
    from row_counts
    cross join holdouts
    where holdouts.hidden_from is null or row_counts.date < holdouts.hidden_from
    group by all
),

-- staging has one row per key of the usable rows
staged as (
    {%- for table, staged in facts.items() %}
    select
        holdouts.hidden_from,
        '{{ table }}' as table_name,
        count(*) as n_keys
    from {{ ref(staged) }} as staged
    cross join holdouts
    where staged.date < coalesce(holdouts.hidden_from, date '9999-12-31')
    group by holdouts.hidden_from
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        counted.hidden_from,
        counted.table_name,
        counted.reason,
        case
            when counted.reason = 'duplicate' then counted.n_rows - coalesce(staged.n_keys, 0)
            else counted.n_rows
        end as n_rows
    from counted
    left join staged
        on
            counted.table_name = staged.table_name
            and counted.hidden_from is not distinct from staged.hidden_from
    where counted.reason <> 'duplicate' or counted.n_rows > coalesce(staged.n_keys, 0)
)

select * from final
