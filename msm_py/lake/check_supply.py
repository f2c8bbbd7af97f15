"""Circulating supplies: what share of market caps is made of them, and whether both agree."""

from __future__ import annotations

from typing import Final

from msm_py.lake.check_items import Item, Tables, listed

SUPPLY_CARRY_DAYS: Final = 31
_TABLE: Final = "fact_supply"
_FITS: Final = 1.5  # market cap over close times supply, or its inverse, at most
_FEWEST_DAYS: Final = 10


def make_caps(check: Tables) -> None:
    """Make ``caps``: market caps, and closes times supplies on days without one."""
    check.con.execute(
        f"""
        create temp table caps as
        with known as (
            select asset_id, date, min(value) as value from fact_marketcap
            where reason is null group by all
        ),
        supplies as (
            select asset_id, date, min(value) as value from {_TABLE}
            where reason is null group by all
        ),
        priced as (
            select closes.asset_id, closes.date, closes.value * supplies.value as value
            from (select * from closes semi join supplies using (asset_id)) as closes
            asof inner join supplies
                on closes.asset_id = supplies.asset_id and closes.date >= supplies.date
            where closes.date - supplies.date <= {SUPPLY_CARRY_DAYS}
        )
        select *, false as is_derived from known
        union all
        select priced.*, true from priced
        asof left join known on priced.asset_id = known.asset_id and priced.date >= known.date
        where known.date is null or priced.date - known.date > {check.stale}
        """
    )


def supplies(check: Tables, name: str) -> list[Item]:
    """Say how many market caps are close times supply, and of which assets both disagree."""
    if name != _TABLE:
        return []
    n_derived, n, assets = check.one(
        """
        select count(*) filter (is_derived), count(*),
            count(distinct asset_id) filter (is_derived) from caps
        """
    )
    items = [
        Item(
            name,
            "market caps",
            "ok",
            f"{n_derived:,} of {n:,} market caps ({n_derived / max(n, 1):.1%}), of {assets:,} "
            "assets, are close times supply",
        )
    ]
    apart = check.rows(
        f"""
        select asset_id, median(m.value / (p.value * s.value)) as ratio
        from fact_marketcap as m
        inner join closes as p using (asset_id, date)
        inner join {_TABLE} as s using (asset_id, date)
        where m.reason is null and s.reason is null
        group by asset_id having count(*) >= {_FEWEST_DAYS}
            and (ratio > {_FITS} or ratio < 1 / {_FITS})
        order by abs(ln(ratio)) desc, asset_id
        """
    )
    if apart:
        shown = listed(f"{asset} {ratio:.3g}x" for asset, ratio in apart)
        items.append(
            Item(
                name,
                "fit",
                "warn",
                f"market cap over close times supply is beyond {_FITS:g}x in the median of "
                f"{len(apart):,} assets: {shown}",
                "a total in place of a circulating supply, or other units: mend the supplies",
            )
        )
    return items
