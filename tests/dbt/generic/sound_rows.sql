{% test sound_rows(model, grain, not_null=none, holds=[], dense_along=none, spine=none) %}
{#- What a model promises of its rows, in one query: one row per `grain`; a value in every column of
    `not_null` (those of the grain unless given); every condition of `holds` true or unknown; and no
    hole along the date column `dense_along` for what the rest of the grain names, from the first to
    the last day of the relation `spine` if one is given. Yields the offending keys and why, a row
    for every key that is there twice and for every row with a fault. -#}
{%- if grain is string -%}
{{ exceptions.raise_compiler_error("sound_rows: grain must be a list, not '" ~ grain ~ "'") }}
{%- endif -%}
{%- if dense_along is not none and dense_along not in grain -%}
{{ exceptions.raise_compiler_error("sound_rows: dense_along is '" ~ dense_along
    ~ "', which is no column of the grain (" ~ grain | join(', ') ~ ")") }}
{%- endif -%}
{#- what is wrong with single rows is looked for before rows are grouped, which costs the most -#}
{%- set faults = [] -%}
{%- for column in (grain if not_null is none else not_null) -%}
{%- do faults.append((column ~ " is null", column ~ " is missing")) -%}
{%- endfor -%}
{%- for condition in holds -%}
{%- do faults.append(("not (" ~ condition ~ ")", "not so: " ~ condition | trim)) -%}
{%- endfor -%}
{%- set lines = grain | reject('equalto', dense_along) | join(', ') -%}
with
keys as (
    select
        concat_ws(' | ', {{ grain | join(', ') }}) as row_key,
        count(*) || ' rows of one key' as problem
    from {{ model }}
    group by {{ grain | join(', ') }}
    having count(*) > 1
),

faulty as (
{%- if faults %}
    select
        concat_ws(' | ', {{ grain | join(', ') }}) as row_key,
        concat_ws(
            ', '
            {%- for fault, name in faults %},
            case when {{ fault }} then '{{ name | replace("'", "''") }}' end
            {%- endfor %}
        ) as problem
    from {{ model }}
    where {% for fault, _ in faults %}{{ fault }}{{ ' or ' if not loop.last }}{% endfor %}
    {%- else %}
    select * from keys
    where false
    {%- endif %}
),

lines as (
{%- if dense_along is none %}
    select * from keys
    where false
    {%- else %}
    select
        concat_ws(' | ', {{ lines }}) as row_key,
        'days are missing between ' || min({{ dense_along }}) || ' and ' || max({{ dense_along }})
            as problem
    from {{ model }}
    group by {{ lines }}
    having
        count(*) <> max({{ dense_along }}) - min({{ dense_along }}) + 1
        {%- if spine is not none %}
        or min({{ dense_along }}) <> (select min({{ dense_along }}) from {{ spine }})
        or max({{ dense_along }}) <> (select max({{ dense_along }}) from {{ spine }})
        {%- endif %}
    {%- endif %}
)

select * from keys
union all
select * from faulty
union all
select * from lines
{% endtest %}
