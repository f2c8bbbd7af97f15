-- One row per feature panel, check, subject and span of days in a row on which the check finds
-- something of one sign (see quality_days), at most the hundred worst of a check. Of several days
-- the worst one speaks. Spans end with the decision days: it is for reading, no number is made of
-- it.
with
quality_days as (
    select * from {{ ref('quality_days') }}
),

-- a move up and one down on the next day are two findings
directed as (
    select
        quality_days.*,
        coalesce(
            quality_days.value > case when checks.unit = 'ratio' then 1 else 0 end, true
        ) as is_up
    from quality_days
    inner join {{ ref('quality_checks') }} as checks
        on quality_days.check_name = checks.check_name
),

numbered as (
    select
        *,
        date - cast(row_number() over (
            partition by feature_panel_id, check_name, subject, is_up order by date
        ) as integer) as span_id
    from directed
),

spans as (
    select
        feature_panel_id,
        check_name,
        subject,
        min(date) as first_day,
        max(date) as last_day,
        cast(count(*) as integer) as n_days,
        coalesce(arg_max(value, (magnitude, date)), count(*)) as value,
        arg_max(limit_value, (magnitude, date)) as limit_value,
        -- where a day has no size of its own, it is how many there are
        max(magnitude) * case when count(value) = 0 then count(*) else 1 end as magnitude,
        arg_max(detail, (magnitude, date)) as detail
    from numbered
    group by feature_panel_id, check_name, subject, is_up, span_id
),

-- a gap that what is carried fills is none
counted as (
    select
        *,
        cast(count(*) over (partition by feature_panel_id, check_name) as integer)
            as n_findings,
        cast(row_number() over (
            partition by feature_panel_id, check_name
            order by magnitude desc, first_day asc, subject asc
        ) as integer) as place
    from spans
    where check_name <> 'table_gap' or n_days > limit_value
),

final as (
    select
        counted.feature_panel_id,
        counted.check_name,
        quality_checks.severity,
        counted.subject,
        counted.first_day,
        counted.last_day,
        counted.n_days,
        counted.value,
        counted.limit_value,
        counted.detail,
        counted.place,
        counted.n_findings
    from counted
    inner join {{ ref('quality_checks') }} as quality_checks
        on counted.check_name = quality_checks.check_name
    where counted.place <= 100
)

select * from final
