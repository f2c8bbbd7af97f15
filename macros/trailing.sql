{% macro trailing(aggregate, column, days, over) %}
{#- `aggregate` (avg, stddev_samp, median, max, ...) of the last `days` rows of the window `over`,
    which must be dense in calendar days; NULL unless all of them are there. A list is made for
    each row, so that the last bits do not depend on rows before or after the window. -#}
case
    when count({{ column }}) over ({{ over }} rows between {{ days - 1 }} preceding and current row)
        = {{ days }}
        then list_aggregate(
            list({{ column }}) over ({{ over }} rows between {{ days - 1 }} preceding and current row),
            '{{ aggregate }}'
        )
end
{%- endmacro %}
