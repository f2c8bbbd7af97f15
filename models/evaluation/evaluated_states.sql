-- One row per run and decision day whose state is judged by forward returns: all of them, and with
-- a search only the test days, on which its parameters had seen nothing of the day.
{{ config(materialized='view') }}
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

states as (
    select
        run_id,
        date,
        regime,
        regime_order,
        spell
    from {{ ref('states') }}
),

final as (
    select states.*
    from states
    inner join strategies on states.run_id = strategies.strategy_id
    where
        not strategies.has_search
        or {{ is_test_day('states.date - strategies.first_date') }}
)

select * from final
