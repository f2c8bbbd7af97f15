-- depends_on: {{ ref('lake') }}
-- One row per daily table of the lake, day and reason why rows cannot be used (missing: they can):
-- how many rows there are, as they stand there. Rows without a date have none here either.
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
final as (
    {%- for table in facts %}
    select
        '{{ table }}' as table_name,
        date,
        unusable as reason,
        count(*) as n_rows
    from {{ source('lake', table) }}
    group by date, unusable
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
