-- One row per daily table of the lake: rows as they stand there, assets, first and last date.
{%- set facts = [
    'fact_price', 'fact_marketcap', 'fact_volume', 'fact_funding', 'fact_open_interest'
] %}
with
final as (
    {%- for table in facts %}
    select
        '{{ table }}' as table_name,
        count(*) as n_rows,
        count(distinct asset_id) as n_assets,
        min(cast(date as date)) as first_date,
        max(cast(date as date)) as last_date
    from {{ lake_table(table, {'asset_id': 'varchar', 'date': 'date'}) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
-- depends_on: {{ ref('lake') }}
