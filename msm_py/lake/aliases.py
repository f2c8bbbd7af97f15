"""One asset under one id: what ``lake.yaml`` says about ids that stand for another asset.

Vendors quote a thousand coins as one (1000SHIB), rename assets (MATIC, POL) and redenominate them.
Every reader of a lake gets its rows with aliases resolved (`resolved`), from one place
(`msm_py.lake.loading.load`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from msm_py.errors import MsmError
from msm_py.lake.contract import TableSpec


@dataclass(frozen=True)
class Alias:
    """What an id in the tables stands for, over a range of days.

    Parameters
    ----------
    id
        As the tables have it.
    asset_id
        The asset that it is. Outside the range the id is an asset of its own.
    multiple
        How many coins of the asset one of the id is: 1000 for 1000SHIB.
    from_date, until_date
        First and last day, both inclusive; None means open.
    """

    id: str
    asset_id: str
    multiple: float = 1.0
    from_date: date | None = None
    until_date: date | None = None

    @property
    def first(self) -> date:
        """Return the first day."""
        return self.from_date or date.min

    @property
    def last(self) -> date:
        """Return the last day."""
        return self.until_date or date.max

    @property
    def is_always(self) -> bool:
        """Return whether it holds on every day."""
        return self.from_date is None and self.until_date is None

    def meets(self, other: Alias) -> bool:
        """Return whether there is a day on which both hold."""
        return self.first <= other.last and other.first <= self.last

    @property
    def text(self) -> str:
        """Return what it says, in words."""
        days = "" if self.from_date is None else f" from {self.from_date}"
        days += "" if self.until_date is None else f" until {self.until_date}"
        return f"{self.id} is {self.asset_id}{days}"


def checked(aliases: Sequence[Alias], where: str) -> tuple[Alias, ...]:
    """Return aliases by id and day, after seeing that every id stands for one asset on a day.

    Parameters
    ----------
    aliases
        In any order.
    where
        The place of which a message speaks.

    Raises
    ------
    MsmError
        A range that ends before it starts, two of one id that overlap, an alias of an alias, and
        one that changes nothing.
    """
    ordered = tuple(sorted(aliases, key=lambda alias: (alias.id, alias.first, alias.last)))
    for alias in ordered:
        if alias.first > alias.last:
            raise MsmError(
                "a range of an alias ends before it starts",
                where=where,
                received=alias.text,
                remedy="both dates are inclusive; swap them",
            )
        if alias.id == alias.asset_id and alias.multiple == 1:
            raise MsmError(
                "an alias changes nothing",
                where=where,
                received=alias.text,
                remedy="name the asset that the id stands for, or remove the entry",
            )
    for before, after in itertools.pairwise(ordered):
        if before.id == after.id and before.meets(after):
            start = "" if before.last == date.max else f", from: {before.last + timedelta(days=1)}"
            raise MsmError(
                "aliases of one id overlap",
                where=where,
                received=f"{before.text}; {after.text}",
                remedy="an id is one asset on a day, and both dates are inclusive: let each range "
                f"start after the one before{start}",
            )
    by_id = {key: list(group) for key, group in itertools.groupby(ordered, lambda x: x.id)}
    for alias in ordered:
        for onward in by_id.get(alias.asset_id, []):
            if alias.id != alias.asset_id and onward.id != onward.asset_id and alias.meets(onward):
                raise MsmError(
                    "an alias of an alias",
                    where=where,
                    received=f"{alias.text}; {onward.text}",
                    remedy=f"name the last one: asset_id: {onward.asset_id} for the id {alias.id} "
                    "(and the product of both multiples), or let the ranges not meet",
                )
    return ordered


def put(con: duckdb.DuckDBPyConnection, table: str, aliases: Sequence[Alias]) -> None:
    """Make a table of aliases, which `resolved` reads: thousands of them are no text of a query."""
    con.execute(
        f"create or replace table {table} "
        "(id varchar, asset varchar, multiple double, a date, b date, is_own boolean)"
    )
    rows = [
        (x.id, x.asset_id, x.multiple, x.first, x.last, not x.is_always or x.id == x.asset_id)
        for x in aliases
    ]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join(["unnest(?)"] * len(columns))
        con.execute(f"insert into {table} select {values}", columns)


def resolved(relation: str, spec: TableSpec, known: str) -> str:
    """Return the query of a table's rows under the ids of their assets.

    A price is divided by the alias's multiple, a supply multiplied by it; rates and amounts of USD
    are what they are. A row that names no instrument, of a table with instruments, has the id for
    one: 1000SHIB is another contract than SHIB. A listing is of the asset of its first day. Of
    ``dim_asset``, which has no days, an asset's own
    row wins over those of its aliases, and an id that is an asset of its own on some days keeps its
    row.

    Parameters
    ----------
    relation
        A table, or a query in brackets, with all columns of the contract, typed.
    spec
        The table.
    known
        The table of aliases, made by `put`.

    Returns
    -------
    str
        A query in brackets.
    """
    day = next((name for name, kind in spec.columns.items() if kind == "date"), None)
    if day is None:
        return (
            f"(select distinct given.* replace (coalesce(asset, asset_id) as asset_id) "
            f"from {relation} as given left join {known} as alias on given.asset_id = alias.id "
            f"where alias.id is null "
            f"or asset not in (select asset_id from {relation} where asset_id is not null) "
            f"union all select * from {relation} "
            f"where asset_id in (select id from {known} where is_own))"
        )
    replaced = ["coalesce(asset, asset_id) as asset_id"]
    if "instrument_id" in spec.all_columns:
        replaced.append("coalesce(instrument_id, alias.id) as instrument_id")
    if spec.in_units:
        sign = "/" if spec.in_units == "divided" else "*"
        (number,) = spec.numbers
        replaced.append(f"{number} {sign} coalesce(multiple, 1) as {number}")
    return (
        f"(select given.* replace ({', '.join(replaced)}) from {relation} as given "
        f"left join {known} as alias on given.asset_id = alias.id and given.{day} between a and b)"
    )
