-- One row per limit of returns, asset that a leg holds and day: 20-day volatility of daily returns
-- and 20-day average volume (USD; at least 10 values), both up to and including t. A day without a
-- close has none: whether the grid goes on there depends on prices to come.
with
needed as (
    select distinct
        max_abs_return_1d,
        asset_id
    from {{ ref('leg_holdings') }}
),

asset_days as (
    select
        asset_days.max_abs_return_1d,
        asset_days.asset_id,
        asset_days.date,
        asset_days.close,
        asset_days.return_1d,
        asset_days.volume_usd
    from {{ ref('asset_days') }} as asset_days
    inner join needed
        on
            asset_days.asset_id = needed.asset_id
            and asset_days.max_abs_return_1d is not distinct from needed.max_abs_return_1d
),

{% set by_asset = 'partition by max_abs_return_1d, asset_id order by date' -%}
final as (
    select
        max_abs_return_1d,
        asset_id,
        date,
        {{ trailing('stddev_samp', 'return_1d', 20, by_asset) }} as sigma_20d,
        case
            when close is not null and count(volume_usd) over last_20_days >= 10
                then nullif(list_avg(list(volume_usd) over last_20_days), 0)
        end as adv_20d_usd
    from asset_days
    window last_20_days as (
        {{ by_asset }} rows between 19 preceding and current row
    )
)

select * from final
