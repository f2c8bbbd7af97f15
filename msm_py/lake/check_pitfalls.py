"""What no run would notice: each of these gives numbers without a word, and wrong ones.

- Closes on some days only: a missing close counts as a return of 0 while others move.
- One asset under ids that differ in case only: its market cap, or its exclusion, is not found.
- Rows dated far away from all others: the first and last BTC close span the calendar of a run.
- Assets that follow USD, gold, BTC or ETH and are not excluded: they enter the short basket.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from msm_py.lake.check_items import FACTS, SHOWN, Item, Tables, in_days, listed, sql_text
from msm_py.lake.contract import LEAST_MARKETCAP_USD, TABLES
from msm_py.lake.exclusions import FILE, PROJECT_LIST, project_list
from msm_py.lake.loading import SCHEMA

MAJORS: Final = ("BTC", "ETH")
GOLD: Final = ("PAXG", "XAUT")
"""Tokens of gold that a lake may have, to tell others by."""

_EVERY_DAY: Final = 0.9  # share of its days on which a major has a close, at least
_MOST_HOLES: Final = 0.1  # share of an alt's closes that come after a hole, at most
_FEWEST_CLOSES: Final = 10  # below, nothing is said of how regular they are
_FAR: Final = 365  # days between a row and the rest
_FAR_SHARE: Final = 0.1  # of the days of a table; more are a part of it, however far
_PEGGED: Final = 0.003  # median absolute log change of a day, against what it is pegged to
_PEG_DAYS: Final = 60
_REMEDY_IDS: Final = 20


def set_strays_aside(check: Tables) -> None:
    """Move rows dated far from the rest into ``strays``, so that other checks judge the rest."""
    check.con.execute(
        "create temp table strays (name varchar, asset_id varchar, date date, reason varchar)"
    )
    for name in FACTS:
        if name in check.lake.tables:
            _set_aside(
                check, name, "date is not null and reason is distinct from 'impossible date'"
            )
    _set_aside(check, "fact_price", "asset_id = 'BTC' and reason is null")


def _set_aside(check: Tables, name: str, where: str) -> None:
    check.con.execute(
        f"""
        create or replace temp table far as
        with islands as (
            select date, count(*) filter (gap > {_FAR}) over (
                order by date rows unbounded preceding
            ) as island
            from (
                select date, date - lag(date) over (order by date) as gap
                from (select distinct date from {name} where {where})
            )
        ),
        sizes as (select island, count(*) as n from islands group by island)
        select date from islands inner join sizes using (island)
        where n < {_FAR_SHARE} * (select count(*) from islands)
        """
    )
    chosen = f"{where} and date in (select date from far)"
    if not check.one("select count(*) from far")[0]:
        return
    check.con.execute(
        f"insert into strays select {sql_text(name)}, asset_id, date, reason from {name} "
        f"where {chosen}"
    )
    check.con.execute(f"delete from {name} where {chosen}")


def stray_dates(check: Tables, name: str) -> list[Item]:
    """Rows dated more than a year away from all others."""
    if name not in FACTS:
        return []
    strays = check.rows(
        f"""
        select asset_id, count(*), min(date)::varchar, max(date)::varchar, count(reason)
        from strays where name = {sql_text(name)} group by asset_id
        order by asset_id is distinct from 'BTC', asset_id
        """
    )
    if not strays:
        return [Item(name, "stray dates", "ok", "none")]
    shown = listed(
        f"{n:,} of {asset} ({first}{f' to {last}' if last != first else ''})"
        for asset, n, first, last, _ in strays
    )
    first, last = check.span(name)
    detail = (
        f"more than a year away from the other rows ({first} to {last}): {shown}; all other items "
        "are about the rest"
    )
    asset, n, *_, n_impossible = strays[0]
    if name != "fact_price" or asset != "BTC" or n == n_impossible:
        return [Item(name, "stray dates", "warn", detail, "mend their dates, or drop them")]
    calendar = check.one(
        """
        select max(date) - min(date) + 1 from (
            select date from strays
            where name = 'fact_price' and asset_id = 'BTC' and reason is null
            union all
            select date from fact_price where asset_id = 'BTC' and reason is null
        )
        """
    )[0]
    return [
        Item(
            name,
            "stray dates",
            "fail",
            detail,
            f"mend the dates of BTC, or drop these rows: its first and last close span the "
            f"calendar of a run, which would have {in_days(calendar)}",
        )
    ]


def daily_closes(check: Tables, name: str) -> list[Item]:
    """Assets that have a close on some days only, again and again."""
    if name != "fact_price":
        return []
    rows = check.rows(
        f"""
        with stretches as (
            select asset_id, date_trunc('quarter', date) as quarter,
                count(*) / (max(date) - min(date) + 1) as share,
                count(*) filter (days > 1) / count(*) as holes,
                count(*) filter (isodow(date) > 5) = 0 as is_weekdays
            from closes group by all having count(*) >= {_FEWEST_CLOSES}
        )
        -- the worst quarter of an asset: a vendor may change its habits
        select asset_id, arg_min(share, (share, quarter)), max(holes),
            arg_min(is_weekdays, (share, quarter)), min(quarter) filter (holes = worst)
        from (select *, max(holes) over (partition by asset_id) as worst from stretches)
        group by asset_id order by asset_id not in {MAJORS}, asset_id
        """
    )
    majors = [row for row in rows if row[0] in MAJORS and row[1] < _EVERY_DAY]
    alts = [row for row in rows if row[0] not in MAJORS]
    sparse = [row for row in alts if row[2] > _MOST_HOLES]
    if not majors and not sparse:
        return [Item(name, "daily closes", "ok", "no asset lacks them again and again")]
    shown = listed(
        f"{asset} on {share:.0%} of the days of a quarter"
        + (" (weekdays only)" if is_weekdays else "")
        + f", such as from {quarter:%Y-%m} on"
        for asset, share, _, is_weekdays, quarter in (*majors, *sparse)
    )
    is_fatal = bool(majors) or 2 * len(sparse) > len(alts)
    return [
        Item(
            name,
            "daily closes",
            "fail" if is_fatal else "warn",
            f"{len(majors) + len(sparse):,} of {len(rows):,} assets have a close on some days "
            f"only: {shown}",
            "use a source with a close for every calendar day, and fill none in: on a day without "
            "one an asset returns 0 while others move",
        )
    ]


def asset_ids(check: Tables, name: str) -> list[Item]:
    """Ids that differ in case (or outer spaces) only, in all tables and the project's own list."""
    if name != "fact_price":
        return []
    places: dict[str, list[str]] = defaultdict(list)
    for table in check.lake.tables:
        source = table if table in FACTS else f"{SCHEMA}.{table}"
        for (asset,) in check.rows(
            f"select distinct asset_id from {source} where asset_id is not null order by asset_id"
        ):
            places[asset].append(table)
    found = [f"{_with_places(these, places)}" for these in _alike(places) if len(these) > 1]
    excluded, listed_ids = _flagged(check), set(project_list())
    spelled = {_folded(asset): asset for asset in listed_ids}
    found += [
        f"{_with_places([asset], places)} beside {spelled[_folded(asset)]} ({PROJECT_LIST})"
        for asset in places
        if _folded(asset) in spelled and asset not in listed_ids | excluded
    ]
    if not found:
        return [Item(name, "asset ids", "ok", "no two differ in case only")]
    return [
        Item(
            name,
            "asset ids",
            "fail",
            f"one asset under more than one id: {listed(found)}",
            "ids are case-sensitive: give an asset one id in all tables, and the one of "
            f"{PROJECT_LIST} if it is listed there",
        )
    ]


def _alike(assets: Iterable[str]) -> list[list[str]]:
    """Return the ids that differ in case or outer spaces only, together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for asset in assets:
        groups[_folded(asset)].append(asset)
    return list(groups.values())


def _with_places(these: Iterable[str], places: dict[str, list[str]]) -> str:
    return " beside ".join(f"{asset} ({', '.join(places[asset])})" for asset in sorted(these))


def _folded(asset: str) -> str:
    return asset.strip().casefold()


def pegs(check: Tables, name: str) -> list[Item]:
    """Large assets that follow USD, gold, BTC or ETH day by day, and that nobody excludes."""
    if name != "fact_price":
        return []
    excluded = excluded_assets(check) | set(MAJORS)
    rows = check.rows(
        f"""
        with large as (
            select asset_id from caps
            group by asset_id having max(value) >= {LEAST_MARKETCAP_USD}
        ),
        moves as (
            select asset_id, date, ln(value / before) as move
            from closes
            where days = 1 and (
                asset_id in {MAJORS + GOLD} or asset_id in (select asset_id from large)
            )
        ),
        of_gold as (
            select date, min_by(move, asset_id) as move from moves
            where asset_id in {GOLD} group by date
        )
        select moves.asset_id,
            count(*), median(abs(moves.move)),
            count(btc.move), median(abs(moves.move - btc.move)),
            count(eth.move), median(abs(moves.move - eth.move)),
            count(of_gold.move), median(abs(moves.move - of_gold.move))
        from moves
        left join moves as btc on btc.asset_id = 'BTC' and btc.date = moves.date
        left join moves as eth on eth.asset_id = 'ETH' and eth.date = moves.date
        left join of_gold on of_gold.date = moves.date
        group by moves.asset_id order by moves.asset_id
        """
    )
    found = [
        (asset, *nearest)
        for asset, *medians in rows
        if asset not in excluded and (nearest := _nearest(medians)) is not None
    ]
    if not found:
        return [Item(name, "pegs", "ok", "no large asset follows USD, gold, BTC or ETH unexcluded")]
    assets = json.dumps([asset for asset, *_ in found][:_REMEDY_IDS], ensure_ascii=False)
    return [
        Item(
            name,
            "pegs",
            "warn",
            "large, following USD, gold, BTC or ETH, and not excluded: "
            + listed(
                (f"{asset} ({peg}, median move {move:.2%} a day)" for asset, peg, move in found),
                2 * SHOWN,
            ),
            f"add lines to the lake's {FILE} (asset_id,reason), set is_stable or is_wrapped in "
            f"dim_asset, or add to the experiment\nuniverse:\n  exclude_assets: {assets}",
        )
    ]


def _nearest(medians: list[Any]) -> tuple[str, float] | None:
    """Return what an asset is pegged to and how far it moves from it on a usual day."""
    numbers = iter(medians)
    found = [
        (move, peg)
        for peg, n, move in zip(("USD", *MAJORS, "gold"), numbers, numbers, strict=True)
        if n >= _PEG_DAYS and move < _PEGGED
    ]
    return (min(found)[1], min(found)[0]) if found else None


def excluded_assets(check: Tables) -> set[str]:
    """Return the ids that no basket ever holds: of the project's list, the lake's, and flagged."""
    return {*project_list(), *check.lake.exclusions, *_flagged(check)}


def _flagged(check: Tables) -> set[str]:
    """Return the ids that a flag of dim_asset excludes."""
    files = check.lake.tables.get("dim_asset")
    kinds = TABLES["dim_asset"].optional.items()
    flags = [flag for flag, kind in kinds if kind == "flag" and files and flag in files.columns]
    if files is None or not flags:
        return set()
    return {
        row[0]
        for row in check.rows(
            f"select asset_id from {SCHEMA}.dim_asset "
            f"where unusable is null and ({' or '.join(flags)})"
        )
    }
