-- depends_on: {{ ref('lake') }}
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
{% for table, staged in facts.items() %}
{{ table }} as (
    select
        holdouts.hidden_from,
        '{{ table }}' as table_name,
        coalesce(given.unusable, 'duplicate') as reason,
        count(*) as n_rows,
        -- staging has one row per key of the usable rows
        (
            select count(*) from {{ ref(staged) }} as staged
            where staged.date < coalesce(holdouts.hidden_from, date '9999-12-31')
        ) as n_keys
    from {{ source('lake', table) }} as given
    cross join holdouts
    where holdouts.hidden_from is null or given.date < holdouts.hidden_from
    group by all
),
{% endfor %}
final as (
    {%- for table in facts %}
    select
        hidden_from,
        table_name,
        reason,
        case when reason = 'duplicate' then n_rows - n_keys else n_rows end as n_rows
    from {{ table }}
    where reason <> 'duplicate' or n_rows > n_keys
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
