{% macro schedule_id() %}
{#- The id of a run's rebalance schedule, from `runs` joined to `run_windows`. Were it to miss a
    key, `schedules` would have two rows of one id, and the build fails. -#}
md5(concat_ws(
    '|',
    run_windows.first_date,
    run_windows.last_date,
    coalesce(cast(runs.rebalance_frequency_days as varchar), 'on'),
    coalesce(cast(runs.rebalance_weekday as varchar), 'every'),
    runs.execution_lag_days,
    cast(run_windows.uncovered_dates as varchar)
))
{%- endmacro %}
