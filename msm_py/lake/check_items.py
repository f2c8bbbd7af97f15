"""What every check of a lake works with: its outcome, the tables it sees, the words it uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, Protocol

import duckdb

from msm_py.lake.contract import TABLES
from msm_py.lake.opening import Lake

Verdict = Literal["ok", "warn", "fail"]

ABSENT: Final = "absent"
LOUD: Final = ("daily closes", "pegs", "stray dates")
"""Checks whose warnings are shown whole on every run: they change numbers without a word."""

FACTS: Final = tuple(name for name, spec in TABLES.items() if spec.value)
SHOWN: Final = 5


@dataclass(frozen=True)
class Item:
    """The outcome of one check.

    Parameters
    ----------
    table
        The table it is about.
    check
        Its name.
    verdict
        ok, warn or fail.
    detail
        What was found, with counts, dates and examples.
    remedy
        What to do, None where nothing needs to be done.
    """

    table: str
    check: str
    verdict: Verdict
    detail: str
    remedy: str | None = None


class Tables(Protocol):
    """The tables of a lake in a scratch database, as a check sees them.

    Each fact table is ``<name>``: asset_id, date, value, instrument_id, exchange, all numbers of a
    table with several, and reason, which says why a value is impossible (null when it is not); an
    absent one has no rows. ``closes`` has one row per asset and day with a usable close: asset_id,
    date, value, the value before, and the days since. ``caps`` has asset_id, date, value and
    is_derived: market caps, and closes times supplies where there is none. ``days`` has the usable
    rows of the fact table that is being checked, by asset_id and date: how many (n), the least
    value and the total.
    """

    con: duckdb.DuckDBPyConnection
    lake: Lake
    stale: int
    first_btc: date
    last_btc: date

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        ...

    def one(self, query: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        ...

    def span(self, name: str, where: str = "true") -> tuple[date, date]:
        """Return the first and last day of a table's usable rows."""
        ...


def in_days(n: int) -> str:
    """Return a number of days in words.

    Examples
    --------
    >>> in_days(1), in_days(1200)
    ('1 day', '1,200 days')
    """
    return f"{n:,} day" + ("s" if n != 1 else "")


def listed(words: Iterable[str], n: int = SHOWN) -> str:
    """Return the first n of many words and how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = list(words)
    more = f" and {len(shown) - n:,} more" if len(shown) > n else ""
    return ", ".join(shown[:n]) + more


def sql_text(word: str) -> str:
    """Return a SQL string literal."""
    return "'" + word.replace("'", "''") + "'"
