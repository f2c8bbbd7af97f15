"""What is wrong with a lake's data, table by table: one verdict, detail and remedy per check.

``open_lake`` decides whether a lake can be read at all; this module reads the data. Verdicts:

- ``ok``: nothing to say, or blemishes that cannot reach a number.
- ``warn``: the pipeline has a rule for it, and whoever reads the results should know.
- ``fail``: numbers would be wrong or a run would stop; mend the lake or its lake.yaml first.

Nothing is written, neither to the lake nor elsewhere. Days are calendar days (UTC).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from msm_py.errors import Interrupted, MsmError
from msm_py.lake import (
    check_alignment,
    check_funding,
    check_ids,
    check_pitfalls,
    check_reach,
    check_supply,
)
from msm_py.lake.check_items import ABSENT, FACTS, SHOWN, Item, Verdict, in_days, listed
from msm_py.lake.contract import TABLES
from msm_py.lake.loading import SCHEMA, load
from msm_py.lake.opening import Lake
from msm_py.settings import duckdb_limits

_JUMP_UP: Final = 2.0
_JUMP_DOWN: Final = -0.7
_HUGE_MOVE: Final = 1e3
_NO_MOVE: Final = 1e6  # a run that could hold the asset stops there
_MOST_DROPPED: Final = 0.2  # share of a table's rows
_SUPPLY_JUMP: Final = 1.5
_BREADTH_SHARE: Final = 0.2
_BREADTH_ASSETS: Final = 10
_VOLUME_RATIO: Final = 3.0
_VOLUME_SHARE: Final = 0.15
_VOLUME_ASSETS: Final = 30
_OI_CARRY_DAYS: Final = 7
_LONG_HISTORY_DAYS: Final = 730
_NEEDED_BY: Final = {
    "fact_marketcap": "market caps: only close times supply, and universe.rank_by: volume_30d",
    "fact_supply": "market caps where fact_marketcap has none",
    "fact_funding": "funding_skew, funding_heating and the funding of the strategy",
    "fact_open_interest": "oi_risk and the weights of funding_skew",
    "dim_asset": "the flags that exclude stable, wrapped and exchange tokens",
    "dim_listing": "universe.listed_on",
}


@dataclass(frozen=True)
class LakeReport:
    """All outcomes of one lake.

    Parameters
    ----------
    lake
        Its name.
    items
        In the order of the tables.
    """

    lake: str
    items: tuple[Item, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all items."""
        found = {item.verdict for item in self.items}
        return "fail" if "fail" in found else "warn" if "warn" in found else "ok"

    @property
    def exit_code(self) -> int:
        """Return 1 when any item fails, else 0."""
        return int(self.verdict == "fail")


def check_lake(lake: Lake, spill: Path | None = None) -> LakeReport:
    """Look at every table of a lake.

    Parameters
    ----------
    lake
        A lake that ``open_lake`` accepted.
    spill
        A folder for what finds no room in memory; None: where temporary files go.

    Returns
    -------
    LakeReport
        At least one item per table of the contract, absent ones included.

    Raises
    ------
    MsmError
        When the data cannot be read.
    Interrupted
        When the user stops it.
    """
    try:
        items = _items(lake, spill)
    except RuntimeError as error:  # what Ctrl-C becomes within a query
        if "interrupted" in str(error):
            raise Interrupted from None
        raise
    except duckdb.Error as error:
        raise MsmError(
            "the lake cannot be checked",
            where=str(lake.path),
            received=str(error).splitlines()[0],
            remedy="if it names memory, raise MSM_MEMORY_LIMIT or use a larger machine; else "
            "write the table that it names again",
        ) from error
    order = list(TABLES)
    items.sort(key=lambda item: order.index(item.table))
    return LakeReport(lake.settings.name, tuple(items))


def _items(lake: Lake, spill: Path | None) -> list[Item]:
    items: list[Item] = []
    with TemporaryDirectory(prefix="msm-check-", dir=spill) as own, _database(own) as con:
        check = _Check(con, lake)
        for name in TABLES:
            if name not in lake.tables:
                items += _absent(name)
                continue
            if name in FACTS:
                check.make_days(name)
            for step in _STEPS:
                items += step(check, name)
        items += _overlap(check)
    return items


def _database(spill: str) -> duckdb.DuckDBPyConnection:
    """Open a database in memory; what finds no room there spills into a folder that goes away."""
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "temp_directory": spill}
    return duckdb.connect(config=config | duckdb_limits())


class _Check:
    """The tables of a lake in a scratch database of its own: see `Tables`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
        self.con = con
        self.lake = lake
        self.stale = lake.settings.max_stale_days
        load(con, lake)
        # grouping, sorting and joining millions of rows is twice as fast by number as by text
        ids = " union ".join(f"select asset_id from {SCHEMA}.{name}" for name in FACTS)
        con.execute(
            f"""
            create temp table ids as from ({ids}) where asset_id is not null order by asset_id;
            create temp type id as enum (select asset_id from ids);
            """
        )
        for name in FACTS:
            self._load(name)
        check_pitfalls.set_strays_aside(self)
        con.execute(
            """
            create temp table closes as
            select asset_id, date, value, lag(value) over w as before,
                date - lag(date) over w as days
            from (
                select asset_id, date, min(value) as value from fact_price
                where reason is null group by all
            )
            window w as (partition by asset_id order by date)
            """
        )
        check_supply.make_caps(self)
        self.first_btc: date
        self.last_btc: date
        self.first_btc, self.last_btc = self.span("fact_price", "asset_id = 'BTC'")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.con.execute(query).fetchall()

    def one(self, query: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        return self.rows(query)[0]

    def span(self, name: str, where: str = "true") -> tuple[date, date]:
        """Return the first and last day of a table's usable rows."""
        first, last = self.one(
            f"select min(date), max(date) from {name} where reason is null and {where}"
        )
        return first, last

    def numbers(self, name: str) -> list[str]:
        """Return all columns of a table that are numbers."""
        return [x for x, kind in TABLES[name].all_columns.items() if kind == "number"]

    def make_days(self, name: str) -> None:
        """Make ``days``: a table's usable rows by asset and day.

        ``n`` rows, the least ``value`` of them, and their ``total``.
        """
        self.con.execute(
            f"""
            create or replace temp table days as
            select asset_id, date, count(*) as n, min(value) as value, sum(value) as total
            from {name} where reason is null group by all
            """
        )

    def _load(self, name: str) -> None:
        spec = TABLES[name]
        by = [
            column if column in spec.all_columns else f"null as {column}"
            for column in ("instrument_id", "exchange")
        ]
        by += self.numbers(name) if len(self.numbers(name)) > 1 else []
        self.con.execute(
            f"""
            create temp table {name} as
            select asset_id::id as asset_id, date, {spec.value} as value, {", ".join(by)},
                unusable as reason
            from {SCHEMA}.{name}
            """
        )
        self.con.execute(f"drop table {SCHEMA}.{name}_rows cascade")


def _absent(name: str) -> list[Item]:
    """Return the item of a table that is not there; supplies and listings are missed by few."""
    if name in ("fact_supply", "dim_listing"):
        return [Item(name, "rows", "ok", ABSENT)]
    return [Item(name, "rows", "warn", ABSENT, f"a run has to do without {_NEEDED_BY[name]}")]


def _content(check: _Check, name: str) -> list[Item]:
    """Rows, assets, dates, and how many assets a day has in each year."""
    if name not in FACTS:
        n_rows, n_assets = check.one(
            f"select count(*), count(distinct asset_id) from {SCHEMA}.{name}"
        )
        return [Item(name, "rows", "ok", f"{n_rows:,} rows, {n_assets:,} assets")]
    n_rows, n_assets, first, last = check.one(
        f"select count(*), count(distinct asset_id), min(date), max(date) from {name}"
    )
    if not n_rows:
        return [Item(name, "rows", "warn", "no rows", f"a run lacks {_NEEDED_BY[name]}")]
    years = check.rows(
        """
        select year(date), count(distinct asset_id), count(*) / count(distinct date)
        from days group by all order by all
        """
    )
    coverage = ", ".join(f"{y}: {a:,} ({d:.0f} a day)" for y, a, d in years)
    items = [
        Item(name, "rows", "ok", f"{n_rows:,} rows, {n_assets:,} assets, {first} to {last}"),
        Item(name, "assets by year", "ok", coverage),
    ]
    after = check.one(f"select count(*) from {name} where date > date '{check.last_btc}'")[0]
    if after:
        detail = f"{after:,} rows after the last BTC close ({check.last_btc}) are not used"
        items.append(Item(name, "end of the grid", "ok", detail))
    return items


def _duplicates(check: _Check, name: str) -> list[Item]:
    """Keys that occur more than once; whether the values agree decides."""
    spec, files = TABLES[name], check.lake.tables[name]
    aliases = check.lake.settings.aliases
    key = ", ".join(spec.key)
    if spec.value:
        several = check.numbers(name) if len(check.numbers(name)) > 1 else ["value"]
        disagree = " or ".join(f"coalesce(min({x}) <> max({x}), false)" for x in several)
        source = f"""(
            select * from {name} semi join (select * from days where n > 1) using (asset_id, date)
            where reason is null
        )"""
    else:
        columns = [c for c in (*spec.columns, *spec.optional) if c in files.columns]
        source = f"{SCHEMA}.{name}"
        disagree = f"count(distinct ({', '.join(columns)})) > 1"
    agreeing, conflicting, example = check.one(
        f"""
        select
            coalesce(sum(n - 1) filter (where not disagree), 0)::bigint,
            count(*) filter (where disagree),
            min(label) filter (where disagree)
        from (
            select concat_ws(', ', {key}) as label, count(*) as n, {disagree} as disagree
            from {source} group by {key} having count(*) > 1
        )
        """
    )
    if conflicting:
        return [
            Item(
                name,
                "duplicates",
                "fail",
                f"{conflicting:,} keys with values that disagree, such as {example}",
                f"keep one row for each ({key})"
                + (", or date the alias that brings them together" if aliases else ""),
            )
        ]
    if agreeing:
        detail = f"{agreeing:,} surplus rows that agree: one of each is kept"
        return [Item(name, "duplicates", "warn", detail)]
    return [Item(name, "duplicates", "ok", "none")]


def _impossible(check: _Check, name: str) -> list[Item]:
    """Values that are dropped, by reason."""
    if name not in FACTS:
        return []
    rows = check.rows(
        f"""
        select reason, count(*), min_by((asset_id, date), date)
        from {name} where reason is not null group by reason order by reason
        """
    )
    if not rows:
        return [Item(name, "impossible values", "ok", "none")]
    detail = ", ".join(f"{n:,} {reason} (first: {asset} {day})" for reason, n, (asset, day) in rows)
    n_rows = check.one(f"select count(*) from {name}")[0]
    n_dropped = sum(row[1] for row in rows)
    if n_dropped > _MOST_DROPPED * n_rows:
        return [
            Item(
                name,
                "impossible values",
                "fail",
                f"{n_dropped / n_rows:.0%} of the rows are dropped: {detail}",
                "so many are a wrong unit or column: mend the table",
            )
        ]
    verdict: Verdict = "fail" if any(row[0] == "missing key" for row in rows) else "warn"
    return [Item(name, "impossible values", verdict, detail, "they are dropped and counted")]


def _gaps(check: _Check, name: str) -> list[Item]:
    """Days that the whole table lacks, and holes of single assets longer than what is carried."""
    if name not in FACTS:
        return []
    empty = check.rows(
        """
        select date + 1, next_date - 1, next_date - date - 1
        from (
            select date, lead(date) over (order by date) as next_date
            from (select distinct date from days)
        )
        where next_date > date + 1 order by 3 desc, 1
        """
    )
    carried = {
        "fact_funding": 0,
        "fact_open_interest": _OI_CARRY_DAYS,
        "fact_supply": check_supply.SUPPLY_CARRY_DAYS,
    }.get(name, check.stale)
    holes = check.rows(
        f"""
        select asset_id, count(*), max(days), max_by(start, days)
        from (
            select asset_id, date + 1 as start,
                lead(date) over (partition by asset_id order by date) - date - 1 as days
            from days
        )
        where days > {carried} group by asset_id order by 3 desc, 1
        """
    )
    items = []
    if name == "fact_supply":  # supplies are known now and then
        pass
    elif empty:
        lost = sum(row[2] for row in empty)
        items.append(
            Item(
                name,
                "days without rows",
                "warn",
                f"{in_days(lost)}: "
                + listed(f"{a} to {b}" if b > a else f"{a}" for a, b, _ in empty),
                "features that need this table have no value there, nor their z-scores until the "
                "window is full again",
            )
        )
    else:
        items.append(Item(name, "days without rows", "ok", "none"))
    limit = (
        f"longer than the {carried} days that a value is carried"
        if carried
        else ("(funding is never carried)")
    )
    if not holes:
        items.append(Item(name, "gaps of assets", "ok", f"none {limit}"))
        return items
    longest = listed(f"{asset} {in_days(days)} from {start}" for asset, _, days, start in holes)
    btc = any(row[0] == "BTC" for row in holes) and name != "fact_funding"
    items.append(
        Item(
            name,
            "gaps of assets",
            "warn",
            f"{sum(row[1] for row in holes):,} in {len(holes):,} assets {limit}; "
            f"longest: {longest}" + ("; BTC is among them" if btc else ""),
        )
    )
    return items


def _price_jumps(check: _Check, name: str) -> list[Item]:
    """One-day moves that are more often a vendor's error than a market."""
    if name != "fact_price":
        return []
    rows = check.rows(
        f"""
        select asset_id, date, value / before as ratio from closes
        where days = 1 and (ratio > 1 + {_JUMP_UP} or ratio < 1 + {_JUMP_DOWN})
        order by abs(ln(ratio)) desc, asset_id, date
        """
    )
    limits = f"above {_JUMP_UP:+.0%} or below {_JUMP_DOWN:.0%}"
    if not rows:
        return [Item(name, "jumps", "ok", f"no one-day move {limits}")]
    worst = listed((f"{asset} {day} {_move(ratio)}" for asset, day, ratio in rows), 2 * SHOWN)
    if any(ratio >= _NO_MOVE for *_, ratio in rows):
        return [
            Item(
                name,
                "jumps",
                "fail",
                f"{len(rows):,} one-day moves {limits}; largest: {worst}",
                "a run that could hold an asset whose close rises a million times in a day stops: "
                "drop the rows that are a vendor's error",
            )
        ]
    return [
        Item(
            name,
            "jumps",
            "warn",
            f"{len(rows):,} one-day moves {limits}; largest: {worst}",
            "look each one up; drop the rows that are a vendor's error",
        )
    ]


def _move(ratio: float) -> str:
    """Return a one-day move in percent, or as a factor where percents say little."""
    return f"{ratio - 1:+,.0%}" if 1 / _HUGE_MOVE < ratio < _HUGE_MOVE else f"{ratio:.3g}x"


def _ends(check: _Check, name: str) -> list[Item]:
    """Assets whose prices stop for good before the grid does."""
    if name != "fact_price":
        return []
    rows = check.rows(
        f"""
        select date_trunc('month', last)::date, count(*), list(asset_id order by asset_id)
        from (
            select asset_id, max(date) as last from fact_price where reason is null
            group by asset_id
        )
        where last < date '{check.last_btc}' - {check.stale} group by 1 order by 2 desc, 1
        """
    )
    if not rows:
        return [Item(name, "assets that end", "ok", "none before the last BTC close")]
    total = sum(row[1] for row in rows)
    months = listed(f"{month:%Y-%m}: {n} ({listed(assets, 3)})" for month, n, assets in rows)
    return [
        Item(
            name,
            "assets that end",
            "warn",
            f"{total:,} assets end before the last BTC close; by month: {months}",
            "a held asset that ends is traded out at its last close: if a crash came after it, "
            "the lake hides a loss (or, for a short, a gain)",
        )
    ]


def _breadth(check: _Check, name: str) -> list[Item]:
    """Days on which the number of assets with a value changes abruptly."""
    if name not in FACTS or name == "fact_supply":
        return []
    rows = check.rows(
        f"""
        select date, before, now
        from (
            select date, n as now, lag(n) over (order by date) as before
            from (select date, count(*) as n from days group by date)
        )
        where abs(now - before) > greatest({_BREADTH_ASSETS}, {_BREADTH_SHARE} * before)
        order by abs(now - before) desc, date
        """
    )
    if not rows:
        return [Item(name, "breadth", "ok", "no abrupt change of the number of assets")]
    days = listed(f"{day}: {before:,} -> {now:,}" for day, before, now in rows)
    return [
        Item(
            name,
            "breadth",
            "warn",
            f"the number of assets jumps on {in_days(len(rows))}; largest: {days}",
            "end or start the window there, or know that totals and baskets change their meaning",
        )
    ]


def _marketcap(check: _Check, name: str) -> list[Item]:
    """Jumps of the supply that market cap over close implies."""
    if name != "fact_marketcap":
        return []
    rows = check.rows(
        f"""
        select asset_id, date, ratio
        from (
            select asset_id, date, supply / lag(supply) over w as ratio,
                date - lag(date) over w as days
            from (
                select asset_id, date, caps.value / closes.value as supply
                from caps inner join closes using (asset_id, date)
                where not caps.is_derived
            )
            window w as (partition by asset_id order by date)
        )
        where days = 1 and (ratio > {_SUPPLY_JUMP} or ratio < 1 / {_SUPPLY_JUMP})
        order by abs(ln(ratio)) desc, asset_id, date
        """
    )
    if not rows:
        return [Item(name, "jumps", "ok", f"implied supply never moves {_SUPPLY_JUMP:g}x a day")]
    worst = listed(f"{asset} {day} {ratio:.3g}x" for asset, day, ratio in rows)
    return [
        Item(
            name,
            "jumps",
            "warn",
            f"{len(rows):,} days on which market cap / close moves more than {_SUPPLY_JUMP:g}x, in "
            f"{len({row[0] for row in rows}):,} assets; largest: {worst}",
            "market caps made from dated supplies, or a wrong close: both change baskets",
        )
    ]


def _volume(check: _Check, name: str) -> list[Item]:
    """Days on which the volume level of many assets shifts: a change of venue or vendor."""
    if name != "fact_volume":
        return []
    week = ", ".join(f"lead(value, {n}) over by_asset" for n in range(7))
    rows = check.rows(
        f"""
        with weeks as (
            select asset_id, date, [{week}] as week
            from days where value > 0
            window by_asset as (partition by asset_id order by date)
        ),
        levels as (
            -- of whole weeks only: the week before is seven rows before
            select date, level - lag(level, 7) over (partition by asset_id order by date) as shift
            from (
                select asset_id, date, ln(list_median(week)) as level
                from weeks where week[7] is not null
            )
        ),
        relative as (
            select date, abs(shift - median(shift) over (partition by date)) as shift
            from levels where shift is not null
        ),
        shares as (
            select date, count(*) filter (where shift > ln({_VOLUME_RATIO})) as moved,
                count(*) as n
            from relative group by date
        )
        select date, moved, n from shares
        where n >= {_VOLUME_ASSETS} and moved > {_VOLUME_SHARE} * n
        order by moved / n desc, date
        """
    )
    peaks: list[tuple[date, int, int]] = []
    for day, moved, n in rows:
        if all(abs((day - other).days) > 14 for other, _, _ in peaks):
            peaks.append((day, moved, n))
    what = f"the week's median volume of assets moves {_VOLUME_RATIO:g}x against the others"
    if not peaks:
        return [Item(name, "level", "ok", f"on no day for more than {_VOLUME_SHARE:.0%}: {what}")]
    days = listed(f"{day}: {moved} of {n} assets" for day, moved, n in peaks)
    return [
        Item(
            name,
            "level",
            "warn",
            f"{what}, around {days}",
            "a change of venue or vendor: liquidity and its z-score move without the market",
        )
    ]


def _open_interest(check: _Check, name: str) -> list[Item]:
    """How far open interest reaches, and by how many instruments."""
    if name != "fact_open_interest":
        return []
    long, assets, venues = check.one(
        f"""
        select count(*) filter (where days >= {_LONG_HISTORY_DAYS}), count(*), max(instruments)
        from (
            select asset_id, count(distinct date) as days,
                count(distinct (instrument_id, exchange)) as instruments
            from fact_open_interest where reason is null group by asset_id
        )
        """
    )
    if not assets:
        return []
    detail = (
        f"{long:,} of {assets:,} assets have {_LONG_HISTORY_DAYS} days or more; at most {venues} "
        f"instrument{'s' if venues != 1 else ''} an asset"
    )
    return [Item(name, "depth", "ok" if long == assets else "warn", detail)]


def _flags(check: _Check, name: str) -> list[Item]:
    """How many assets dim_asset marks."""
    if name != "dim_asset":
        return []
    files = check.lake.tables[name]
    flags = [f for f, kind in TABLES[name].optional.items() if kind == "flag"]
    there = [flag for flag in flags if flag in files.columns]
    if not there:
        remedy = "without flags only the project's own list excludes stable and wrapped assets"
        return [Item(name, "flags", "warn", "no flag column", remedy)]
    counts = check.one(
        "select "
        + ", ".join(f"count(*) filter ({flag})" for flag in there)
        + f" from {SCHEMA}.{name} where unusable is null"
    )
    detail = ", ".join(f"{n} {flag}" for flag, n in zip(there, counts, strict=True))
    missing = [flag for flag in flags if flag not in there]
    if missing:
        detail += f"; no column {', '.join(missing)}"
    return [Item(name, "flags", "ok", detail)]


def _listings(check: _Check, name: str) -> list[Item]:
    """Perpetuals that end before they begin, and exchanges that experiments can name."""
    if name != "dim_listing":
        return []
    usable = f"(from {SCHEMA}.{name} where unusable is null)"
    backwards = check.rows(
        f"select asset_id, exchange, listed::varchar, delisted::varchar from {usable} "
        "where delisted <= listed order by all"
    )
    items = []
    if backwards:
        asset, exchange, listed_on, delisted = backwards[0]
        items.append(
            Item(
                name,
                "listings",
                "warn",
                f"{len(backwards):,} perpetuals end before they begin, such as {asset} on "
                f"{exchange}, {listed_on} to {delisted}",
                "they can never be traded: listed is the first day at whose close they can, "
                "delisted the first at whose close they no longer can",
            )
        )
    per_exchange = check.rows(
        f"select exchange, count(distinct asset_id) from {usable} group by 1 order by 2 desc, 1"
    )
    counts = [f"{exchange} {n:,} assets" for exchange, n in per_exchange]
    items.append(Item(name, "exchanges", "ok", listed(counts) or "none"))
    return items


def _overlap(check: _Check) -> list[Item]:
    """Assets and days that a table has and fact_price has not, or the other way round."""
    items = []
    for name in TABLES:
        # supplies of some assets and days are enough
        if name in ("fact_price", "fact_supply") or name not in check.lake.tables:
            continue
        assets = (
            f"(select distinct asset_id from {name} where reason is null)"
            if name in FACTS
            else f"(select distinct asset_id from {SCHEMA}.{name})"
        )
        priced = "(select distinct asset_id from fact_price where reason is null)"
        extra = _only(check, assets, priced)
        lacking = _only(check, priced, assets)
        parts = []
        if lacking:
            parts.append(f"{len(lacking):,} priced assets are not in it: {listed(lacking)}")
        if extra:
            parts.append(f"{len(extra):,} assets have no price: {listed(extra)}")
        if name in FACTS:
            begins, ends = check.span(name)
            if begins and begins > check.first_btc:
                parts.append(
                    f"it begins {(begins - check.first_btc).days:,} days after BTC, on {begins}"
                )
            if ends and ends < check.last_btc:
                parts.append(f"it ends {(check.last_btc - ends).days:,} days before BTC, on {ends}")
        remedy = {
            "fact_marketcap": "an asset without a market cap is never an alt"
            + (", unless it has a supply" if "fact_supply" in check.lake.tables else ""),
            "fact_volume": "an asset without a volume is never an alt",
            "dim_asset": "an asset without a row has no flag: it counts as an alt",
            "dim_listing": "an asset without a row is no alt where universe.listed_on is asked for",
        }.get(name)
        if parts:
            items.append(
                Item(name, "overlap", "warn", "; ".join(parts), remedy if lacking else None)
            )
        else:
            items.append(Item(name, "overlap", "ok", "same assets and days as fact_price"))
    return items


def _only(check: _Check, these: str, those: str) -> list[str]:
    """Return the asset ids that one relation has and another has not, in order."""
    return [
        row[0]
        for row in check.rows(
            f"select asset_id from {these} where asset_id is not null and asset_id not in "
            f"(select asset_id from {those} where asset_id is not null) order by asset_id"
        )
    ]


_STEPS: Final[tuple[Callable[[_Check, str], list[Item]], ...]] = (
    _content,
    check_pitfalls.stray_dates,
    check_pitfalls.asset_ids,
    check_ids.declared,
    check_ids.undeclared,
    _duplicates,
    _impossible,
    _gaps,
    check_pitfalls.daily_closes,
    _breadth,
    _price_jumps,
    _ends,
    check_pitfalls.pegs,
    check_reach.reach,
    check_reach.majors,
    check_reach.scale,
    check_alignment.alignment,
    _marketcap,
    check_supply.supplies,
    _volume,
    check_funding.rates,
    _open_interest,
    _flags,
    _listings,
)
