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
        {{ weighted_mean('mean_return_7d') }} as momentum_majors_7d,
        {{ weighted_mean('mean_return_3d') }} as momentum_majors_3d
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
        alts.momentum_alt_3d - majors.momentum_majors_3d as momentum_spread_3d,
        greatest(1, abs(alts.momentum_alt_7d), abs(majors.momentum_majors_7d)) as magnitude_7d,
        greatest(1, abs(alts.momentum_alt_3d), abs(majors.momentum_majors_3d)) as magnitude_3d
    from universe_days
    left join alts
        on universe_days.universe_id = alts.universe_id and universe_days.date = alts.date
    left join majors
        on universe_days.universe_id = majors.universe_id and universe_days.date = majors.date
),

final as (
    {{ long_features(
        'spreads',
        ['momentum', 'momentum_alt_7d', 'momentum_alt_3d', 'momentum_spread_3d'],
        magnitudes={
            'momentum': 'magnitude_7d',
            'momentum_alt_7d': 'magnitude_7d',
            'momentum_alt_3d': 'magnitude_3d',
            'momentum_spread_3d': 'magnitude_3d',
        }
    ) }}
)

select * from final
