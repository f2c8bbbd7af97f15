{% macro compounded(return_column, over) %}
{#- What 1 has become after all returns up to and including the row, in the window `over`. The sum
    of logarithms is in fixed point, so the last bits do not depend on the order of the additions;
    after a loss of everything it stays 0. -#}
case
    when min(1 + {{ return_column }})
        over ({{ over }} rows between unbounded preceding and current row) <= 0 then 0
    else exp(cast(sum(
        cast(case when {{ return_column }} > -1 then ln(1 + {{ return_column }}) end as decimal(38, 18))
    ) over ({{ over }} rows between unbounded preceding and current row) as double))
end
{%- endmacro %}
