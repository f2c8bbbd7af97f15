{% macro agreed(column, table, key) %}
{#- The one value of `column` in a group of rows with the same key: an error, naming table and
    key, when the rows do not agree (duplicates that agree are one row). -#}
case
    when min({{ column }}) is distinct from max({{ column }}) then error(
        'Conflicting duplicate rows in {{ table }}: key ('
        || concat_ws(', ', {{ key | join(', ') }})
        || ') has {{ column }} ' || min({{ column }}) || ' and ' || max({{ column }})
        || '. Keep one row per key: `msm lake check` lists all of them.'
    )
    else min({{ column }})
end
{%- endmacro %}
