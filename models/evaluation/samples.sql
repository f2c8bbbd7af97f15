-- One row per strategy and sample of its decision days: all of them, and where a look opened the
-- hold-out those before it and those of it. A figure of a sample knows no other day.
{{ config(materialized='view') }}
with
strategies as (
    select
        strategy_id,
        first_date,
        last_date,
        look_from
    from {{ ref('strategies') }}
),

final as (
    select
        strategy_id,
        'all' as sample,  -- noqa: RF04
        first_date,
        last_date
    from strategies
    union all
    select
        strategy_id,
        'before' as sample,  -- noqa: RF04
        first_date,
        look_from - 1 as last_date
    from strategies
    where first_date < look_from and look_from <= last_date
    union all
    select
        strategy_id,
        'holdout' as sample,  -- noqa: RF04
        greatest(first_date, look_from) as first_date,
        last_date
    from strategies
    where look_from <= last_date
)

select * from final
