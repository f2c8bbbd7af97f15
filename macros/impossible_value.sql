{% macro impossible_value(column, lower_bound=none) %}
{#- Why a row of a lake table cannot be used, or NULL when it can. `lower_bound`: 'positive' or
    'not negative'. A value of 1e18 and more is a unit error, and fixed-point sums end at 1e20.
    Never ask isnan(): where the statistics of a Parquet file, which leave NaN out, speak against
    it, DuckDB folds it to false. -#}
{%- if lower_bound not in [none, 'positive', 'not negative'] -%}
    {{ exceptions.raise_compiler_error("impossible_value: lower_bound is '" ~ lower_bound
        ~ "'; use 'positive', 'not negative' or leave it out") }}
{%- endif -%}
case
    when asset_id is null or date is null then 'missing key'
    when {{ column }} is null then 'missing value'
    when not isfinite(cast({{ column }} as double))
        then case
            when cast(cast({{ column }} as double) as varchar) = 'nan' then 'not a number'
            else 'infinite'
        end
    when abs({{ column }}) >= 1e18 then 'out of range'
{%- if lower_bound == 'positive' %}
    when {{ column }} <= 0 then 'not positive'
    {%- elif lower_bound == 'not negative' %}
    when {{ column }} < 0 then 'negative'
{%- endif %}
end
{%- endmacro %}
