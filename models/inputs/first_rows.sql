-- depends_on: {{ ref('lake') }}
-- One row per daily table of the lake and asset in it: the day of its first row, usable or not.
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
        asset_id,
        min(date) as date
    from {{ source('lake', table) }}
    where asset_id is not null
    group by asset_id
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
