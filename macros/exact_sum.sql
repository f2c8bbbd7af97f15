{% macro exact_sum(expression) %}
{#- A sum that is the same to the last bit in whatever order threads deliver the rows: fixed point,
    18 decimals, multiples of 2^40 apart from the rest, so that a group of magnitudes below 1e40
    never overflows. With any other value in the group the sum is infinity. -#}
{%- set value = '(case when abs(' ~ expression ~ ') < 1e40 then ' ~ expression ~ ' end)' -%}
{%- set part = '1099511627776.0' -%}
{%- set parts = 'trunc(' ~ value ~ ' / ' ~ part ~ ')' -%}
case
    when bool_and(abs({{ expression }}) < 1e40)
        then cast(sum(cast({{ parts }} as hugeint)) as double) * {{ part }}
            + cast(
                sum(cast({{ value }} - {{ parts }} * {{ part }} as decimal(38, 18))) as double
            )
    when count({{ expression }}) > 0 then cast('infinity' as double)
end
{%- endmacro %}
