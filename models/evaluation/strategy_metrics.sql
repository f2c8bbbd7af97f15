-- One row per strategy, sample and series (net, gross; BTC beside the controls) over the test days
-- of the sample: the usual performance measures, annualised with 365 days. Undefined ratios are
-- missing, and all that are annualised are when few days stand behind them or the strategy was
-- ruined: nothing but its CAGR, which is -100%, says anything then.
with
daily_returns as (
    select
        daily_returns.*,
        samples.sample
    from {{ ref('daily_returns') }} as daily_returns
    inner join {{ ref('samples') }} as samples
        on
            daily_returns.strategy_id = samples.strategy_id
            and daily_returns.date between samples.first_date and samples.last_date
    where daily_returns.is_test_day
),

ruins as (
    select distinct
        daily_returns.strategy_id,
        samples.sample
    from {{ ref('daily_returns') }} as daily_returns
    inner join {{ ref('samples') }} as samples
        on
            daily_returns.strategy_id = samples.strategy_id
            and daily_returns.ruined_on <= samples.last_date
),

series as (
    select
        strategy_id,
        sample,
        'net' as series,
        date,
        r_net as r,
        gross_exposure,
        turnover,
        cost,
        funding
    from daily_returns
    union all
    select
        strategy_id,
        sample,
        'gross' as series,
        date,
        r_gross as r,
        gross_exposure,
        turnover,
        cost,
        funding
    from daily_returns
    union all
    select
        strategy_id,
        sample,
        'btc' as series,
        date,
        r_btc as r,
        1 as gross_exposure,
        null as turnover,
        null as cost,
        null as funding
    from daily_returns
    where not is_run and r_btc is not null
),

{% set by_day = 'partition by strategy_id, sample, series order by date' %}
with_equity as (
    select
        *,
        {{ compounded('r', by_day) }} as equity
    from series
),

-- moments are taken of returns near 1, so that ratios do not depend on the scale of a strategy
scales as (
    select
        strategy_id,
        sample,
        series,
        greatest(max(abs(r)), max(gross_exposure)) as magnitude,
        {{ power_of_two('max(abs(r))') }} as scale
    from series
    group by strategy_id, sample, series
),

with_peak as (
    select
        with_equity.*,
        scales.scale,
        scales.magnitude / scales.scale as magnitude,
        with_equity.r / scales.scale as x,
        greatest(1, max(with_equity.equity) over (
            partition by with_equity.strategy_id, with_equity.sample, with_equity.series
            order by with_equity.date
            rows between unbounded preceding and current row
        )) as peak
    from with_equity
    inner join scales
        on
            with_equity.strategy_id = scales.strategy_id
            and with_equity.sample = scales.sample
            and with_equity.series = scales.series
),

-- a drawdown is the stretch of days below the last day at the peak
with_drawdown as (
    select
        *,
        count(case when equity >= peak then 1 end) over (
            {{ by_day }} rows between unbounded preceding and current row
        ) as drawdown_number
    from with_peak
),

sums as (
    select
        strategy_id,
        sample,
        series,
        count(*) as n_days,
        arg_max(equity, date) as final_equity,
        any_value(scale) as scale,
        any_value(magnitude) as magnitude,
        {{ exact_sum('x') }} / count(*) as mean,
        sqrt({{ exact_sum('case when x < 0 then x * x else 0 end') }} / count(*)) as downside,
        min(equity / peak - 1) as max_drawdown,
        arg_min(drawdown_number, (equity / peak - 1, date)) as worst_drawdown,
        count(case when gross_exposure > 0 and r > 0 then 1 end)
        / nullif(count(case when gross_exposure > 0 then 1 end), 0) as hit_rate,
        count(case when gross_exposure > 0 then 1 end) as n_invested_days,
        {{ scaled_sum('gross_exposure', 'scale') }} / count(*) as avg_gross_exposure,
        {{ scaled_sum('turnover', 'scale') }} / count(*) as avg_turnover,
        {{ scaled_sum('cost', 'scale') }} / count(*) * 365 as cost_drag,
        {{ scaled_sum('funding', 'scale') }} / count(*) * 365 as funding_drag
    from with_drawdown
    group by strategy_id, sample, series
),

-- days from the peak before the deepest trough to the day that regained it, or to the last day
drawdowns as (
    select
        sums.strategy_id,
        sums.sample,
        sums.series,
        count(case
            when
                with_drawdown.drawdown_number = sums.worst_drawdown
                and with_drawdown.equity < with_drawdown.peak
                then 1
        end)
        + case
            when max(with_drawdown.drawdown_number) > any_value(sums.worst_drawdown) then 1 else 0
        end as max_drawdown_days
    from sums
    inner join with_drawdown
        on
            sums.strategy_id = with_drawdown.strategy_id
            and sums.sample = with_drawdown.sample
            and sums.series = with_drawdown.series
    where sums.max_drawdown < 0
    group by sums.strategy_id, sums.sample, sums.series
),

sums_of_squares as (
    select
        with_peak.strategy_id,
        with_peak.sample,
        with_peak.series,
        {{ exact_sum('(with_peak.x - sums.mean) * (with_peak.x - sums.mean)') }} as sum_of_squares
    from with_peak
    inner join sums
        on
            with_peak.strategy_id = sums.strategy_id
            and with_peak.sample = sums.sample
            and with_peak.series = sums.series
    group by with_peak.strategy_id, with_peak.sample, with_peak.series
),

-- of the sample, and of the population for the shapes
deviations as (
    select
        sums.strategy_id,
        sums.sample,
        sums.series,
        sqrt(sums_of_squares.sum_of_squares / nullif(sums.n_days - 1, 0)) as sample_std,
        {{ resolved('sample_std', 'sums.magnitude') }} as std,
        case when std is not null then sqrt(sums_of_squares.sum_of_squares / sums.n_days) end
            as population_std
    from sums
    inner join sums_of_squares
        on
            sums.strategy_id = sums_of_squares.strategy_id
            and sums.sample = sums_of_squares.sample
            and sums.series = sums_of_squares.series
),

standardised as (
    select
        with_peak.strategy_id,
        with_peak.sample,
        with_peak.series,
        (with_peak.x - sums.mean) / deviations.population_std as z
    from with_peak
    inner join sums
        on
            with_peak.strategy_id = sums.strategy_id
            and with_peak.sample = sums.sample
            and with_peak.series = sums.series
    inner join deviations
        on
            with_peak.strategy_id = deviations.strategy_id
            and with_peak.sample = deviations.sample
            and with_peak.series = deviations.series
),

shapes as (
    select
        strategy_id,
        sample,
        series,
        {{ exact_sum('z * z * z') }} / count(*) as skewness,
        {{ exact_sum('z * z * z * z') }} / count(*) as kurtosis
    from standardised
    group by strategy_id, sample, series
),

ratios as (
    select
        sums.*,
        drawdowns.max_drawdown_days,
        shapes.skewness,
        shapes.kurtosis,
        deviations.std as daily_std,
        pow(sums.final_equity, 365.0 / sums.n_days) - 1 as growth_per_year,
        case when isfinite(growth_per_year) then growth_per_year end as cagr
    from sums
    inner join deviations
        on
            sums.strategy_id = deviations.strategy_id
            and sums.sample = deviations.sample
            and sums.series = deviations.series
    inner join shapes
        on
            sums.strategy_id = shapes.strategy_id
            and sums.sample = shapes.sample
            and sums.series = shapes.series
    left join drawdowns
        on
            sums.strategy_id = drawdowns.strategy_id
            and sums.sample = drawdowns.sample
            and sums.series = drawdowns.series
),

measured as (
    select
        ratios.strategy_id,
        ratios.sample,
        ratios.series,
        ratios.n_days,
        ratios.n_invested_days,
        ratios.final_equity - 1 as total_return,
        ratios.cagr,
        coalesce(ratios.scale * ratios.daily_std, case when ratios.n_days > 1 then 0 end)
        * sqrt(365) as volatility,
        ratios.mean / ratios.daily_std * sqrt(365) as sharpe,
        ratios.mean / {{ resolved('ratios.downside', 'ratios.magnitude') }} * sqrt(365) as sortino,
        ratios.max_drawdown,
        coalesce(ratios.max_drawdown_days, 0) as max_drawdown_days,
        ratios.cagr / {{ resolved('-ratios.max_drawdown', '1') }} as calmar,
        ratios.hit_rate,
        ratios.skewness,
        ratios.kurtosis,
        normal_cdf(
            ratios.mean / ratios.daily_std * sqrt(ratios.n_days - 1)
            / sqrt(
                nullif(greatest(
                    1 - ratios.skewness * ratios.mean / ratios.daily_std
                    + (ratios.kurtosis - 1) / 4 * pow(ratios.mean / ratios.daily_std, 2), 0
                ), 0)
            )
        ) as probabilistic_sharpe,
        ratios.avg_gross_exposure,
        ratios.avg_turnover,
        ratios.cost_drag,
        ratios.funding_drag,
        case
            when ruins.strategy_id is not null and ratios.series <> 'btc' then 'ruined'
            when ratios.n_days < {{ fewest_days('test') }}
                then 'fewer than {{ fewest_days('test') }} test days'
            when ratios.n_invested_days < {{ fewest_days('invested') }}
                then 'fewer than {{ fewest_days('invested') }} invested days'
        end as ratios_missing_because
    from ratios
    left join ruins
        on ratios.strategy_id = ruins.strategy_id and ratios.sample = ruins.sample
),

{% set lost_all = "ratios_missing_because = 'ruined' and series = 'net'" -%}
final as (
    select
        * replace (
            case when {{ lost_all }} then -1 else total_return end as total_return,
            case
                when {{ lost_all }} then -1
                when ratios_missing_because is null or ratios_missing_because = 'ruined' then cagr
            end as cagr,
            case when {{ lost_all }} then -1 else max_drawdown end as max_drawdown,
            {%- for name in ['volatility', 'sharpe', 'sortino', 'calmar', 'probabilistic_sharpe'] %}
            case when ratios_missing_because is null then {{ name }} end as {{ name }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        )
    from measured
)

select * from final
