{% macro weighted_mean(value, weight=none) %}
{#- The mean of `value`, weighted if a weight is given, over the rows of a group that have both;
    missing without any weight above 0. It lies between the least and the greatest value, which
    rounding must not leave: the mean of equal values is that value. -#}
{%- set both = value ~ ' * ' ~ weight if weight else value -%}
{%- set known = 'case when ' ~ weight ~ ' > 0 then ' ~ value ~ ' end' if weight else value -%}
{%- set total = exact_sum('case when ' ~ value ~ ' is not null then ' ~ weight ~ ' end') if weight
    else 'count(' ~ value ~ ')' -%}
case
    when {{ total }} > 0
        then least(greatest(
            {{ exact_sum(both) }} / {{ total }}, min({{ known }})
        ), max({{ known }}))
end
{%- endmacro %}
