-- One row per universe, feature and day: the median over the alts of their 7-day (3-day) mean
-- return, alone and minus the mean over the majors present of theirs. Daily decimal fractions.
with
universe_days as (
    select
        universe_id,
        date
    from {{ ref('universe_days') }}
),

alts as (
    select
        universe_id,
        date,
        median(mean_return_7d) as momentum_alt_7d,
        median(mean_return_3d) as momentum_alt_3d
    from {{ ref('alts') }}
    group by universe_id, date
),

majors as (
    select
        universe_id,
        date,
        {{ exact_sum('mean_return_7d') }} / nullif(count(mean_return_7d), 0) as momentum_majors_7d,
        {{ exact_sum('mean_return_3d') }} / nullif(count(mean_return_3d), 0) as momentum_majors_3d
    from {{ ref('majors') }}
    group by universe_id, date
),

spreads as (
    select
        universe_days.universe_id,
        universe_days.date,
        alts.momentum_alt_7d - majors.momentum_majors_7d as momentum,
        alts.momentum_alt_7d,
        alts.momentum_alt_3d,
        alts.momentum_alt_3d - majors.momentum_majors_3d as momentum_spread_3d
    from universe_days
    left join alts
        on universe_days.universe_id = alts.universe_id and universe_days.date = alts.date
    left join majors
        on universe_days.universe_id = majors.universe_id and universe_days.date = majors.date
),

final as (
    {{ long_features('spreads', [
        'momentum', 'momentum_alt_7d', 'momentum_alt_3d', 'momentum_spread_3d'
    ]) }}
)

select * from final
