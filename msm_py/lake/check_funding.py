"""Funding rates as a run reads them: undeclared units, levels, wild days, intervals.

All of it judges the rate of a day, after lake.yaml: what a contract pays an hour, four or eight is
no measure.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from msm_py.lake.check_items import Item, Tables, listed, sql_text
from msm_py.lake.lake_yaml import FundingUnit

UNIT_SWITCH_RATIO: Final = 20.0
_TABLE: Final = "fact_funding"
_MIN_ROWS_A_MONTH: Final = 10  # below, a month's median says nothing about units
_WILD_RATE: Final = 0.09  # decimal, per day: three times where venues cap the rate of eight hours
_HIGH_MEDIAN: Final = 0.003  # decimal, per day: ten times the usual rate
_SUM_RATIO: Final = 1.5  # a mean in place of a sum is two thirds off and more
_FEWEST_SUMS: Final = 30


def rates(check: Tables, name: str) -> list[Item]:
    """Return the items of the funding table."""
    if name != _TABLE:
        return []
    units = check.lake.settings.funding_units
    named = {unit.exchange for unit in units if unit.exchange is not None}
    check.con.execute(
        "create temp table units (exchange varchar, first date, until date, units_per_one double, "
        "hours double)"
    )
    check.con.executemany(
        "insert into units values (?, ?, ?, ?, ?)",
        [
            (
                *(u.exchange, u.from_date or date.min, u.until_date or date.max),
                *(u.units_per_one, u.interval_hours),
            )
            for u in units
        ],
    )
    names = "(" + ", ".join(sql_text(n) for n in sorted(named)) + ")" if named else "('')"
    # `written` is the rate of eight hours in the vendor's unit, `rate` that of a day in decimals
    check.con.execute(
        f"""
        create temp table rates as
        select *, coalesce(day_sum / 3, of_interval * 8 / hours) as written,
            coalesce(day_sum, of_interval * 24 / hours) / units_per_one as rate
        from (
            select f.asset_id, f.date, f.instrument_id, f.exchange, f.interval_hours,
                f.funding_rate as of_interval, f.funding_rate_1d_sum as day_sum,
                coalesce(f.interval_hours, u.hours) as hours, u.units_per_one
            from {_TABLE} as f inner join units as u
                on u.exchange is not distinct from
                    case when f.exchange in {names} then f.exchange end
                and f.date between u.first and u.until
            where f.reason is null
        )
        """
    )
    return [
        _switches(check, units),
        _wild(check),
        _intervals(check, units),
        *_sums(check),
        *_sources(check, named),
    ]


def _wild(check: Tables) -> Item:
    wild = check.rows(
        f"""
        select asset_id, date, rate from rates where abs(rate) > {_WILD_RATE} * (1 + 1e-9)
        order by abs(rate) desc, asset_id, date
        """
    )
    limit = f"beyond {_WILD_RATE:.0%} a day"
    if not wild:
        return Item(_TABLE, "wild rates", "ok", f"none {limit}")
    shown = listed(f"{asset} {day} {rate:+.1%}" for asset, day, rate in wild)
    return Item(
        _TABLE,
        "wild rates",
        "warn",
        f"{len(wild):,} {limit}, where venues cap those of 8 hours: {shown}",
        "drop them, or mend the date of a unit switch beside them in lake.yaml",
    )


def _intervals(check: Tables, units: Sequence[FundingUnit]) -> Item:
    """How long the intervals are, by how they are known, and whose changed."""
    n_rows, n_sums, n_own = check.one(
        "select count(*), count(day_sum), count(*) filter (day_sum is null and interval_hours "
        "is not null) from rates"
    )
    by_hours = check.rows(
        "select hours, count(distinct (asset_id, instrument_id, exchange)) from rates "
        "where interval_hours is not null group by hours order by hours"
    )
    changes = check.rows(
        """
        select asset_id, exchange, date, before, interval_hours
        from (
            select *, lag(interval_hours) over (
                partition by asset_id, instrument_id, exchange order by date
            ) as before
            from rates where interval_hours is not null
        )
        where before <> interval_hours
        order by date desc, asset_id, exchange
        """
    )
    declared = ", ".join(
        sorted({f"{u.exchange + ' ' if u.exchange else ''}{u.interval_hours:g}h" for u in units})
    )
    left = n_rows - n_sums - n_own
    parts = [f"{n_sums:,} rows are sums of a day"] if n_sums else []
    if by_hours:
        shown = ", ".join(f"{n:,} of {hours:g}h" for hours, n in by_hours)
        parts.append(f"instruments by their own interval: {shown}")
    if left:
        parts.append(f"{left:,} rows have the interval of lake.yaml ({declared})")
    if changes:
        latest = listed(
            f"{asset}{' on ' + exchange if exchange else ''} {before:g}h to {now:g}h on {day}"
            for asset, exchange, day, before, now in changes
        )
        n = len({row[:2] for row in changes})
        parts.append(f"{n:,} changed it, at last {latest}")
    return Item(_TABLE, "intervals", "ok", "; ".join(parts) or "no usable row")


def _sums(check: Tables) -> list[Item]:
    """Whether what is called a sum of the day is one, where rate and interval are known too."""
    n, ratio = check.one(
        """
        select count(*), median(day_sum / (of_interval * 24 / interval_hours))
        from rates where day_sum <> 0 and of_interval <> 0 and interval_hours is not null
        """
    )
    if n < _FEWEST_SUMS or 1 / _SUM_RATIO <= ratio <= _SUM_RATIO:
        return []
    return [
        Item(
            _TABLE,
            "sums of days",
            "warn",
            f"funding_rate_1d_sum is {ratio:.2f} of funding_rate x 24 / interval_hours, in the "
            f"median of {n:,} rows",
            "it must be the sum of the day's prints, in the unit of funding_rate; not their mean",
        )
    ]


def _sources(check: Tables, named: set[str]) -> list[Item]:
    present = {row[0] for row in check.rows(f"select distinct exchange from {_TABLE}")}
    if not named - present:
        return []
    known = ", ".join(sorted(p for p in present if p)) or "no exchange at all"
    return [
        Item(
            _TABLE,
            "sources of lake.yaml",
            "warn",
            f"no row has the exchange {', '.join(sorted(named - present))}",
            f"the rows have {known}; names are case-sensitive",
        )
    ]


def _switches(check: Tables, units: Sequence[FundingUnit]) -> Item:
    """Compare median absolute rates of adjacent months, over all rows and for each exchange."""
    rows = check.rows(
        f"""
        with months as (
            select exchange, date_trunc('month', date)::date as month,
                median(abs(rate)) as level, count(*) as n
            from (
                select null as exchange, date, rate from rates
                union all
                select exchange, date, rate from rates where exchange is not null
            )
            group by all
        )
        select exchange, month, level, lag(month) over w, lag(level) over w
        from months where n >= {_MIN_ROWS_A_MONTH} and level > 0
        window w as (partition by exchange order by month) order by exchange nulls first, month
        """
    )
    declared = ", ".join(
        f"{u.exchange + ' ' if u.exchange else ''}{u.unit}"
        + (f" from {u.from_date}" if u.from_date else "")
        + (f" until {u.until_date}" if u.until_date else "")
        for u in units
    )
    pairs = [row for row in rows if row[3] is not None and (row[1] - row[3]).days <= 31]
    jumps = [row for row in pairs if _ratio(row[2], row[4]) > UNIT_SWITCH_RATIO]
    if jumps:
        return _undeclared(check, jumps, declared)
    levels = [row[2] for row in rows if row[0] is None]
    high = [level for level in levels if level > _HIGH_MEDIAN]
    if len(high) > len(levels) / 2:
        return Item(
            "fact_funding",
            "unit",
            "fail",
            f"declared {declared}; then half of all months have a median rate of {min(high):.2%} "
            "and more a day, ten times the usual",
            "the rates are likely percent or bps all along: say so in lake.yaml, such as\n"
            "funding:\n  units:\n    - {unit: percent}",
        )
    largest = max((_ratio(row[2], row[4]) for row in pairs), default=1.0)
    return Item(
        "fact_funding",
        "unit",
        "ok",
        f"declared {declared}; then median rates of adjacent months differ by {largest:.1f}x at "
        f"most (limit {UNIT_SWITCH_RATIO:g}x)",
    )


def _undeclared(check: Tables, jumps: Sequence[tuple[Any, ...]], declared: str) -> Item:
    """Return the failure for unit switches that lake.yaml does not tell of, with its new lines."""
    jumping = {jump[0] for jump in jumps}
    exchanges = {row[0] for row in check.rows("select distinct exchange from rates")}
    everywhere = jumping == {None} or jumping >= {*exchanges, None}
    switches: dict[str | None, list[tuple[date, str, str]]] = {}
    found = []
    for exchange, month, level, before_month, before in jumps:
        if (exchange is None) is not everywhere:
            continue
        only = "" if exchange is None else f" and exchange = {sql_text(exchange)}"
        within = f"date >= date '{before_month}' and date < date '{month}' + interval 1 month{only}"
        days = check.rows(
            f"""
            select date, median(abs(rate)) from rates
            where {within} and rate <> 0 group by date order by date
            """
        )
        # The day whose median differs most from the day before is the first one of the new unit.
        first = max(itertools.pairwise(days), key=lambda pair: _ratio(pair[1][1], pair[0][1]))[1][0]
        raw_before, raw_after = check.one(
            f"""
            select median(abs(written)) filter (date < date '{first}'),
                median(abs(written)) filter (date >= date '{first}')
            from rates where {within}
            """
        )
        switch = (first, _likely_unit(raw_before), _likely_unit(raw_after))
        switches.setdefault(exchange, []).append(switch)
        found.append(
            f"{exchange + ': ' if exchange else ''}{_ratio(level, before):,.0f}x between "
            f"{before_month:%Y-%m} and {month:%Y-%m}, on {first}"
        )
    return Item(
        "fact_funding",
        "unit",
        "fail",
        f"declared {declared}; then median rates jump more than {UNIT_SWITCH_RATIO:g}x: "
        + "; ".join(found),
        "a unit switch that nobody declared; if so, lake.yaml needs\n" + _unit_lines(switches),
    )


def _unit_lines(switches: dict[str | None, list[tuple[date, str, str]]]) -> str:
    """Return the lines of lake.yaml that declare switches (first day, unit before, unit since)."""
    lines = ["funding:", "  units:" if None in switches else "  sources:"]
    for exchange, dated in switches.items():
        indent = "    "
        if exchange is not None:
            lines += [f"    - exchange: {exchange}", "      units:"]
            indent = "        "
        day_before = [f"until: {first - timedelta(days=1)}, " for first, _, _ in dated]
        lines.append(f"{indent}- {{{day_before[0]}unit: {dated[0][1]}}}")
        for (first, _, unit), until in zip(dated, [*day_before[1:], ""], strict=True):
            lines.append(f"{indent}- {{from: {first}, {until}unit: {unit}}}")
    return "\n".join(lines)


def _likely_unit(level: float) -> str:
    """Return the unit in which a usual rate (one basis point) is nearest to a level."""
    return "decimal" if level < 1e-3 else "percent" if level < 1e-1 else "bps"


def _ratio(one: float, other: float) -> float:
    """Return by how many times two positive numbers differ, whichever is larger."""
    return max(one / other, other / one)
