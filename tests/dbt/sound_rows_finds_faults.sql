-- The generic test sound_rows on given rows: each faulty table yields its number of faults, a sound
-- one none.
{{ config(tags=['project']) }}
{%- set good = "(values (1, date '2024-01-01', 0.5), (1, date '2024-01-02', null), "
    ~ "(2, date '2024-01-02', 1.0)) as given (id, date, x)" -%}
{%- set hole = "(values (1, date '2024-01-01', 0.5), (1, date '2024-01-03', 0.5)) "
    ~ "as given (id, date, x)" -%}
{%- set twice = "(values (1, date '2024-01-01', 0.5), (1, date '2024-01-01', 0.5)) "
    ~ "as given (id, date, x)" -%}
{%- set spine = "(values (date '2024-01-01'), (date '2024-01-02')) as spine (date)" -%}
{%- set cases = [
    ('a sound table', good, {'grain': ['id', 'date'], 'holds': ['x <= 1']}, 0),
    ('without holes', good, {'grain': ['id', 'date'], 'dense_along': 'date'}, 0),
    ('a line that begins late', good,
     {'grain': ['id', 'date'], 'dense_along': 'date', 'spine': spine}, 1),
    ('a hole', hole, {'grain': ['id', 'date'], 'dense_along': 'date'}, 1),
    ('a key twice', twice, {'grain': ['id', 'date']}, 1),
    ('a key twice, once with a fault', twice, {'grain': ['id', 'date'], 'holds': ['id > 1']}, 3),
    ('a missing value', good, {'grain': ['id', 'date'], 'not_null': ['x']}, 1),
    ('a broken promise', good, {'grain': ['id', 'date'], 'holds': ['x < 0.6', 'id > 1']}, 3),
] -%}
with
faults as (
    {%- for name, rows, arguments, expected in cases %}
    select
        '{{ name }}' as case_name,
        {{ expected }} as expected,
        (select count(*) from ({{ test_sound_rows(rows, **arguments) }})) as found
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select *
from faults
where found <> expected
