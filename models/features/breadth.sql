-- One row per universe, feature and day: how many alts rose, in percent, and how their one-day
-- returns are spread, over the alts of the day that were observed and have a return.
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
        return_1d
    from {{ ref('alts') }}
    where is_observed and return_1d is not null
),

daily as (
    select
        universe_id,
        date,
        100.0 * count(case when return_1d > 0 then 1 end) / count(*) as alt_breadth,
        median(return_1d) as alt_breadth_median_return,
        quantile_cont(return_1d, 0.75) - quantile_cont(return_1d, 0.25) as alt_breadth_iqr
    from alts
    group by universe_id, date
),

dense as (
    select
        universe_days.universe_id,
        universe_days.date,
        daily.alt_breadth,
        daily.alt_breadth_median_return,
        daily.alt_breadth_iqr
    from universe_days
    left join daily
        on universe_days.universe_id = daily.universe_id and universe_days.date = daily.date
),

{% set by_day = 'partition by universe_id order by date' %}
with_slopes as (
    select
        *,
        {{ trailing_slope('alt_breadth', 5, by_day) }} as alt_breadth_slope_5d,
        {{ trailing_slope('alt_breadth', 20, by_day) }} as alt_breadth_slope_20d,
        {{ trailing('max', 'alt_breadth', 5, by_day) }} as highest_5d,
        {{ trailing('max', 'alt_breadth', 20, by_day) }} as highest_20d
    from dense
),

final as (
    {{ long_features(
        'with_slopes',
        ['alt_breadth', 'alt_breadth_median_return', 'alt_breadth_iqr', 'alt_breadth_slope_5d',
         'alt_breadth_slope_20d'],
        magnitudes={
            'alt_breadth_median_return': 'greatest(1, abs(alt_breadth_median_return))',
            'alt_breadth_iqr': 'greatest(1, alt_breadth_iqr)',
            'alt_breadth_slope_5d': 'highest_5d',
            'alt_breadth_slope_20d': 'highest_20d',
        }
    ) }}
)

select * from final
