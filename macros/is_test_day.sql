{% macro is_test_day(day_number) %}
{#- Whether a day counts for strategy metrics, from its number since the first decision day (0) and
    the walk-forward settings of `strategies`: after the lookback, in a test window that is not a
    tail shorter than min_test_days. A label for evaluation: the tail's length is known only later. -#}
not strategies.walk_forward
or (
    {{ day_number }} >= strategies.lookback_window_days
    and strategies.last_date - strategies.first_date + 1 - strategies.lookback_window_days
    - ({{ day_number }} - strategies.lookback_window_days)
    // strategies.test_window_days * strategies.test_window_days
    >= least(strategies.min_test_days, strategies.test_window_days)
)
{%- endmacro %}
