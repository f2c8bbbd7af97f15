"""Whether tables tell of the same days: one that is shifted lets features see the future.

A market cap moves with the close of its day, and volume and open interest move with the size of the
day's return. Each table is held against prices as it is, a day earlier and a day later; where
another shift fits clearly better, its rows are dated wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msm_py.lake.check_items import Item, Tables

SHIFTS: Final = (-1, 0, 1)
_FEWEST_MOVES: Final = 300
_CLEARLY: Final = 2.0
"""A median difference that is so many times smaller at another shift is no accident."""
_FEWEST_PAIRS: Final = 5_000
_MARGIN: Final = 0.03
_LEAST: Final = 0.05
"""A mean correlation of so much, and higher by the margin at another shift, is no accident."""
_FEWEST_DAYS: Final = 60  # of an asset, for a correlation
_MOST_ASSETS: Final = 200  # those with most days are enough


def alignment(check: Tables, name: str) -> list[Item]:
    """Shift a table by a day against prices, and say where another shift fits clearly better."""
    if name == "fact_marketcap":
        differences = _fits(check, "value", _difference)
        best = min(differences, key=lambda shift: (differences[shift], abs(shift)), default=0)
        is_wrong = best != 0 and differences[0] > _CLEARLY * differences[best]
        return _items(
            name,
            "median difference of its daily moves and those of closes",
            differences,
            best if is_wrong else 0,
        )
    if name in ("fact_volume", "fact_open_interest"):
        correlations = _fits(check, "total", _correlation)
        best = max(correlations, key=lambda shift: (correlations[shift], -abs(shift)), default=0)
        is_wrong = (
            best != 0
            and correlations[best] > _LEAST
            and correlations[best] - correlations[0] > _MARGIN
        )
        return _items(
            name,
            "mean correlation of its moves with the size of returns",
            correlations,
            best if is_wrong else 0,
        )
    return []


def _fits(
    check: Tables, value: str, measure: Callable[[Tables, int], float | None]
) -> dict[int, float]:
    """Return how well each shift fits; nothing when there is too little to tell by.

    What is measured is the table ``moves``: how a column of ``days`` moves from one day to the next
    (logarithms).
    """
    check.con.execute(
        f"""
        create temp table moves as
        select asset_id, date, move
        from (
            select asset_id, date, ln({value} / lag({value}) over by_asset) as move,
                date - lag(date) over by_asset as days
            from days where {value} > 0 window by_asset as (partition by asset_id order by date)
        )
        where days = 1
        """
    )
    found = {shift: measure(check, shift) for shift in SHIFTS}
    check.con.execute("drop table moves")
    known = {shift: fit for shift, fit in found.items() if fit is not None}
    return known if len(known) == len(SHIFTS) else {}


def _items(name: str, what: str, fits: Mapping[int, float], best: int) -> list[Item]:
    if not fits:
        return []
    by_shift = ", ".join(f"{shift:+d} {fit:.3g}" for shift, fit in fits.items())
    shown = f"{what}, by shift in days: {by_shift}"
    if best == 0:
        return [Item(name, "alignment", "ok", shown)]
    how = (
        "a day too early: features and baskets see the future, and no result can be believed"
        if best > 0
        else "a day too late: runs see what was known a day before"
    )
    return [
        Item(
            name,
            "alignment",
            "fail",
            f"its rows are dated {how} ({shown})",
            f"add {best} to its dates; if it is prices that are dated wrong, shift them",
        )
    ]


def _difference(check: Tables, shift: int) -> float | None:
    """Return the median of |dlog market cap - dlog close| over assets and days."""
    n, median = check.one(
        f"""
        select count(*), median(abs(moves.move - ln(closes.value / closes.before)))
        from moves inner join closes
            on moves.asset_id = closes.asset_id and moves.date + ({shift}) = closes.date
        where closes.days = 1 and moves.move <> 0
        """
    )
    return median if n >= _FEWEST_MOVES else None


def _correlation(check: Tables, shift: int) -> float | None:
    """Return the mean over assets of the correlation of |return| and the move of the table."""
    n, mean = check.one(
        f"""
        with pairs as (
            select moves.asset_id, moves.move, abs(ln(closes.value / closes.before)) as size
            from moves inner join closes
                on moves.asset_id = closes.asset_id and moves.date + ({shift}) = closes.date
            where closes.days = 1
        ),
        assets as (
            select asset_id, corr(move, size) as correlation, count(*) as n
            from pairs group by asset_id having count(*) >= {_FEWEST_DAYS}
            order by n desc, asset_id limit {_MOST_ASSETS}
        )
        select coalesce(sum(n), 0), avg(correlation) filter (isfinite(correlation)) from assets
        """
    )
    return mean if n >= _FEWEST_PAIRS else None
