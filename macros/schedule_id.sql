{% macro schedule_id() %}
{#- The id of a run's rebalance schedule, from `runs` joined to `run_windows`. -#}
md5(concat_ws(
    '|',
    run_windows.first_date,
    run_windows.last_date,
    coalesce(runs.rebalance_frequency_days::varchar, 'on'),
    coalesce(runs.rebalance_weekday::varchar, 'every'),
    runs.execution_lag_days,
    run_windows.uncovered_dates::varchar
))
{%- endmacro %}
