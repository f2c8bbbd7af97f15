-- One row per run: how often its state changes. A switch is a day whose state differs from the day
-- before; a spell is an uninterrupted stay.
with
states as (
    select * from {{ ref('states') }}
),

days as (
    select
        run_id,
        count(*) as n_days,
        max(spell) as n_spells
    from states
    group by run_id
),

final as (
    select
        run_id,
        n_days,
        n_spells,
        n_spells - 1 as total_switches,
        (n_spells - 1) / (n_days / 365) as switches_per_year,
        n_days / n_spells as avg_regime_duration_days
    from days
)

select * from final
