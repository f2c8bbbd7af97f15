-- One row per run and decision day whose state is judged by forward returns: all of them, and with
-- a search only the test days, on which its parameters had seen nothing of the day. Runs whose
-- numbers overflow have none.
{{ config(materialized='view') }}
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

run_errors as (
    select run_id
    from {{ ref('run_errors') }}
    where error is not null
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
    anti join run_errors on states.run_id = run_errors.run_id
    where
        not strategies.has_search
        or {{ is_test_day('states.date - strategies.first_date') }}
)

select * from final
