-- One row per run: how much of what it found hangs on what may be bad prices (see leg_spikes): sums
-- of y over the days that edges are judged on, of r_gross over the test days, and the parts of them
-- that spikes, risers and both together make. `y` is the daily one, which looks back.
with
strategies as (
    select * from {{ ref('strategies') }}
    where is_run
),

daily_returns as (
    select
        strategy_id,
        date,
        r_btc,
        y,
        r_gross,
        is_test_day,
        coalesce(date <= ruined_on, true) as is_alive
    from {{ ref('daily_returns') }}
    where is_run
),

positions as (
    select
        strategy_id,
        date + 1 as date,
        long_exposure_after as long_exposure,
        short_exposure_after as short_exposure
    from {{ ref('positions') }}
),

leg_spikes as (
    select * from {{ ref('leg_spikes') }}
),

judged as (
    select
        daily_returns.*,
        case when not strategies.has_search or daily_returns.is_test_day then daily_returns.y end
            as judged_y,
        case when daily_returns.is_test_day then daily_returns.r_gross end as judged_gross
    from daily_returns
    inner join strategies on daily_returns.strategy_id = strategies.strategy_id
),

totals as (
    select
        strategy_id,
        {{ exact_sum('judged_y') }} as y_total,
        {{ exact_sum('judged_gross') }} as gross_total
    from judged
    group by strategy_id
),

leg_gains as (
    select
        strategies.strategy_id,
        leg_spikes.date,
        1 as y_sign,
        -1 as gross_sign,
        leg_spikes.of_spikes,
        leg_spikes.of_risers,
        leg_spikes.of_both
    from strategies
    inner join leg_spikes on strategies.short_leg_id = leg_spikes.leg_id
    union all
    select
        strategies.strategy_id,
        leg_spikes.date,
        case strategies.benchmark when 'long_leg' then -1 else 0 end as y_sign,
        1 as gross_sign,
        leg_spikes.of_spikes,
        leg_spikes.of_risers,
        leg_spikes.of_both
    from strategies
    inner join leg_spikes on strategies.long_leg_id = leg_spikes.leg_id
),

parts as (
    select
        leg_gains.strategy_id,
        case
            when judged.judged_y is not null then leg_gains.y_sign * leg_gains.of_spikes
        end as y_of_spikes,
        case
            when judged.judged_gross is not null and judged.is_alive
                then
                    leg_gains.gross_sign * leg_gains.of_spikes
                    * case leg_gains.gross_sign
                        when 1 then positions.long_exposure
                        else positions.short_exposure
                    end
        end as gross_of_spikes,
        case
            when judged.judged_y is not null then leg_gains.y_sign * leg_gains.of_risers
        end as y_of_risers,
        case
            when judged.judged_gross is not null and judged.is_alive
                then
                    leg_gains.gross_sign * leg_gains.of_risers
                    * case leg_gains.gross_sign
                        when 1 then positions.long_exposure
                        else positions.short_exposure
                    end
        end as gross_of_risers,
        case
            when judged.judged_y is not null then leg_gains.y_sign * leg_gains.of_both
        end as y_of_both,
        case
            when judged.judged_gross is not null and judged.is_alive
                then
                    leg_gains.gross_sign * leg_gains.of_both
                    * case leg_gains.gross_sign
                        when 1 then positions.long_exposure
                        else positions.short_exposure
                    end
        end as gross_of_both
    from leg_gains
    inner join judged
        on leg_gains.strategy_id = judged.strategy_id and leg_gains.date = judged.date
    inner join positions
        on leg_gains.strategy_id = positions.strategy_id and leg_gains.date = positions.date
    union all
    -- BTC itself, where it is what Y is measured against
    select
        judged.strategy_id,
        -judged.r_btc as y_of_spikes,
        0 as gross_of_spikes,
        0 as y_of_risers,
        0 as gross_of_risers,
        -judged.r_btc as y_of_both,
        0 as gross_of_both
    from judged
    inner join strategies on judged.strategy_id = strategies.strategy_id
    where
        strategies.benchmark = 'btc'
        and judged.judged_y is not null
        and (
            judged.r_btc > {{ spike_limit('up') }} or judged.r_btc < {{ spike_limit('down') }}
        )
),

sums as (
    select
        strategy_id,
        {{ exact_sum('y_of_spikes') }} as y_of_spikes,
        {{ exact_sum('gross_of_spikes') }} as gross_of_spikes,
        {{ exact_sum('y_of_risers') }} as y_of_risers,
        {{ exact_sum('gross_of_risers') }} as gross_of_risers,
        {{ exact_sum('y_of_both') }} as y_of_both,
        {{ exact_sum('gross_of_both') }} as gross_of_both
    from parts
    group by strategy_id
),

final as (
    select
        totals.strategy_id as run_id,
        totals.y_total,
        totals.gross_total,
        coalesce(sums.y_of_spikes, 0) as y_of_spikes,
        coalesce(sums.gross_of_spikes, 0) as gross_of_spikes,
        coalesce(sums.y_of_risers, 0) as y_of_risers,
        coalesce(sums.gross_of_risers, 0) as gross_of_risers,
        coalesce(sums.y_of_both, 0) as y_of_both,
        coalesce(sums.gross_of_both, 0) as gross_of_both,
        coalesce(sums.y_of_spikes, 0) / nullif(totals.y_total, 0) as y_share_of_spikes,
        coalesce(sums.gross_of_spikes, 0) / nullif(totals.gross_total, 0)
            as gross_share_of_spikes,
        coalesce(sums.y_of_risers, 0) / nullif(totals.y_total, 0) as y_share_of_risers,
        coalesce(sums.gross_of_risers, 0) / nullif(totals.gross_total, 0)
            as gross_share_of_risers
    from totals
    left join sums on totals.strategy_id = sums.strategy_id
)

select * from final
