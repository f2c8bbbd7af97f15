-- The median absolute funding rate of a day is in each month at most 20 times that of the month
-- before and after: more is a change of unit that lake.yaml does not declare.
with
months as (
    select
        date_trunc('month', date) as month,
        median(abs(funding_rate_1d)) as median_rate
    from {{ ref('stg_funding') }}
    group by date_trunc('month', date)
),

jumps as (
    select
        month,
        median_rate,
        lag(median_rate) over (order by month) as median_rate_before
    from months
    where median_rate > 0
)

select *
from jumps
where case
    when greatest(median_rate / median_rate_before, median_rate_before / median_rate) > 20
        then error(
            'The unit of funding rates changes without being declared' || chr(10)
            || '  where:    fact_funding, ' || strftime(month, '%Y-%m') || chr(10)
            || '  received: median absolute rate of a day ' || median_rate
            || ' after ' || median_rate_before
            || ' the month before' || chr(10)
            || '  remedy:   declare the units by date range in lake.yaml (funding.units); '
            || '`msm lake check` shows the lines to add'
        )
end
