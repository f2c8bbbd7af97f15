{% macro agreed(column, table, key) %}
{#- The one value of `column` in a group of rows with the same key: an error, naming table and
    key, when the rows do not agree (duplicates that agree are one row). -#}
case
    when min({{ column }}) <> max({{ column }}) then error(
        'Conflicting duplicate rows in the lake'
        || chr(10)
        || '  where:    {{ table }}, key (' || concat_ws(', ', {{ key | join(', ') }}) || ')'
        || chr(10)
        || '  received: {{ column }} ' || min({{ column }}) || ' and ' || max({{ column }})
        || chr(10)
        || '  remedy:   keep one row per key, or date the alias that brings them together; '
        || '`msm lake check` counts them'
    )
    else min({{ column }})
end
{%- endmacro %}
