{% macro trailing_slope(column, days, over) %}
{#- Least-squares slope per day of `column` against the day number over the last `days` rows of the
    dense window `over`; NULL unless all of them are there. -#}
case
    when count({{ column }}) over ({{ over }} rows between {{ days - 1 }} preceding and current row)
        = {{ days }}
        then list_sum([value_and_day[1] * (value_and_day[2] - {{ (days - 1) / 2 }})
            for value_and_day in list_zip(
                list({{ column }}) over (
                    {{ over }} rows between {{ days - 1 }} preceding and current row
                ),
                range({{ days }})
            )
        ]) / {{ days * (days * days - 1) / 12 }}
end
{%- endmacro %}
