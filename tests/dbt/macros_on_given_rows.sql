-- Macros on given rows, by hand: a row per macro whose result is not the expected one.
{{ config(tags=['project']) }}
{%- set by_day = 'order by date' %}
with
days as (
    select
        date '2024-01-01' + place as date,
        [1, 2, null, 4, 5][place + 1] as x,
        [50, 100, 0, 100, 100][place + 1] as y,
        [0.5, -0.5, 1, -1, 0.5][place + 1] as r,
        case when place = 0 then 7 end as seen
    from (select cast(unnest(range(5)) as integer) as place) as places
),

strategies as (
    select
        true as walk_forward,
        3 as lookback_window_days,
        3 as test_window_days,
        2 as min_test_days,
        date '2024-01-01' as first_date,
        date '2024-01-10' as last_date
),

by_macro as (
    select
        date,
        {{ trailing('avg', 'x', 2, by_day) }} as trailing_mean,
        {{ trailing_slope('y', 5, by_day) }} as trailing_slope,
        {{ carried_forward('seen', 2, by_day) }} as carried_forward,
        {{ compounded('r', by_day) }} as compounded
    from days
),

checks as (
    -- the third value is missing, so are the windows that hold it
    select
        'trailing' as macro_name,
        list(trailing_mean order by date) = [null, 1.5, null, null, 4.5] as is_right
    from by_macro
    union all
    -- the mean of a week has the bits of a list's, though none is made
    select
        'trailing of few rows' as macro_name,
        bool_and(of_lags is not distinct from of_list) and count(of_lags) = 94 as is_right
    from (
        select
            {{ trailing('avg', 'third', 7, 'order by nr') }} as of_lags,
            case
                when nr >= 6
                    then list_avg(
                        list(third) over (order by nr rows between 6 preceding and current row)
                    )
            end as of_list
        from (
            select
                range as nr,
                sin(range) / 3 as third
            from range(100)
        ) as thirds
    ) as means
    union all
    -- (-2 x 50 - 1 x 100 + 0 x 0 + 1 x 100 + 2 x 100) / (4 + 1 + 0 + 1 + 4)
    select
        'trailing_slope' as macro_name,
        list(trailing_slope order by date) = [null, null, null, null, 10.0] as is_right
    from by_macro
    union all
    select
        'carried_forward' as macro_name,
        list(carried_forward order by date) = [7, 7, 7, null, null] as is_right
    from by_macro
    union all
    -- after a loss of everything nothing comes back
    select
        'compounded' as macro_name,
        list(round(compounded, 12) order by date) = [1.5, 0.75, 1.5, 0, 0] as is_right
    from by_macro
    union all
    -- a plain sum of doubles gives 0.9999999999999999
    select
        'exact_sum' as macro_name,
        {{ exact_sum('tenth') }} = 1 as is_right
    from (select cast(0.1 as double) as tenth from range(10)) as tenths
    union all
    -- 1e36 + 2e36, and no number is no reason to fail
    select
        'exact_sum of much' as macro_name,
        {{ exact_sum('case when x < 3 then x * 1e36 end') }} = 3e36
        and {{ exact_sum('case when x < 3 then 0.5 - x * 1e13 end') }} = 1 - 3e13
        and {{ exact_sum("case when x = 2 then cast('nan' as double) else x end") }} = 'infinity'
        and {{ exact_sum('case when x > 9 then x end') }} is null as is_right
    from days
    union all
    -- (1 x 50 + 2 x 100 + 4 x 100 + 5 x 100) / 350; the third has no value
    select
        'weighted_mean' as macro_name,
        abs({{ weighted_mean('x', 'y') }} - 1150 / 350) < 1e-15
        and {{ weighted_mean('x') }} = 3
        and {{ weighted_mean('x', '0 * y') }} is null as is_right
    from days
    union all
    -- 0.1 x (50 + 100 + 0 + 100 + 100) / 350 in doubles is off by a bit, and so is the plain mean
    select
        'weighted_mean of equals' as macro_name,
        {{ weighted_mean('cast(0.1 as double)', 'y / 7') }} = cast(0.1 as double)
        and {{ weighted_mean('1e-4 / 3') }} = 1e-4 / 3 as is_right
    from days
    union all
    -- dividing by it changes no digit
    select
        'power_of_two' as macro_name,
        {{ power_of_two('0') }} = 1
        and {{ power_of_two('1') }} = 1
        and {{ power_of_two('0.3') }} = 0.25
        and {{ power_of_two('5e-9') }} = pow(2.0, -28) as is_right
    union all
    -- at the scale of 1e-17 the fixed point's decimals still count
    select
        'scaled_sum' as macro_name,
        abs({{ scaled_sum('x * 1e-17', 'pow(2.0, -56)') }} / 1.2e-16 - 1) < 1e-15 as is_right
    from days
    union all
    select
        'resolved' as macro_name,
        {{ resolved('1e-13', '1') }} is null and {{ resolved('1e-13', '1e-3') }} = 1e-13
        and {{ resolved('0', '0') }} is null as is_right
    union all
    -- lookback 0 to 2, windows 3 to 5 and 6 to 8, a tail of one day that is too short
    select
        'is_test_day' as macro_name,
        list(places.place order by places.place) = [3, 4, 5, 6, 7, 8] as is_right
    from (select unnest(range(10)) as place) as places
    cross join strategies
    where {{ is_test_day('places.place') }}
)

select *
from checks
where not coalesce(is_right, false)
