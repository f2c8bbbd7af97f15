{% macro trailing_slope(column, days, over) %}
{#- Least-squares slope per day of `column` against the day number over the last `days` rows of the
    dense window `over`; NULL unless all of them are there. -#}
case
    when count({{ column }}) over ({{ over }} rows between {{ days }} - 1 preceding and current row)
        = {{ days }}
        then list_sum(list_transform(
            list({{ column }}) over ({{ over }} rows between {{ days }} - 1 preceding and current row),
            lambda x, i: x * (i - ({{ days }} + 1) / 2.0)
        )) / ({{ days }} * ({{ days }} * {{ days }} - 1) / 12.0)
end
{%- endmacro %}
