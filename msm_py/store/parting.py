"""Where two tables of days part: the first row of every column in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from msm_py._typing import Row


@dataclass(frozen=True)
class Parting:
    """The first row in which two tables part in a column.

    Parameters
    ----------
    table, column
        Where. The column is None where a row is on one side only.
    day
        Its date.
    key
        What else names the row.
    left, right
        Both values.
    """

    table: str
    column: str | None
    day: date
    key: Mapping[str, Any]
    left: Any
    right: Any


def key_of(rows: pa.Table) -> list[str]:
    """Return what may name a row where nobody says: what holds no measurement."""
    return [
        column.name
        for column in rows.schema
        if column.name == "horizon_days"
        or pa.types.is_string(column.type)
        or pa.types.is_date(column.type)
        or pa.types.is_boolean(column.type)
    ]


def day_key(rows: pa.Table) -> list[str]:
    """Return what names a row of a file of a run folder."""
    return [x for x in ("date", "feature_id", "asset_id") if x in rows.column_names]


def partings_of(
    name: str,
    left: pa.Table,
    right: pa.Table,
    key: Sequence[str] | None = None,
    *,
    with_rows: bool = True,
) -> Iterator[Parting]:
    """Yield the first parting of every column of two tables with days, bit for bit.

    Parameters
    ----------
    name
        What they are called.
    left, right
        Tables of the same columns, ``date`` among them.
    key
        What names a row; None: see `key_of`.
    with_rows
        Whether a row that is on one side only counts.
    """
    key = key_of(left) if key is None else list(key)
    if not set(key) <= set(left.column_names):  # of names that are not compared
        key = key_of(left)
    if "date" not in key:
        key = ["date", *key]
    with duckdb.connect() as con:
        con.register("a", left)
        con.register("b", right)
        columns = ", ".join(f'"{x}"' for x in left.column_names)
        n_other = 0
        for own, one, another in (("rest_a", "a", "b"), ("rest_b", "b", "a")):
            con.execute(
                f"create table {own} as "
                f"select {columns} from {one} except all select {columns} from {another}"
            )
            n_other += con.execute(f"select count(*) from {own}").fetchall()[0][0]
        if n_other == 0:
            return
        on = " and ".join(f'a."{x}" is not distinct from b."{x}"' for x in key)
        names = ", ".join(f'coalesce(a."{x}", b."{x}") as "{x}"' for x in key)
        rest = [x for x in left.column_names if x not in key]
        pairs = ", ".join(f'a."{x}" as "left {x}", b."{x}" as "right {x}"' for x in rest)
        con.execute(
            f"""
            create table pairs as
            select {names}, a.here as in_left, b.here as in_right{", " if rest else ""}{pairs}
            from (select *, true as here from rest_a) as a
            full join (select *, true as here from rest_b) as b on {on}
            """
        )
        places = ", ".join(f'"{x}"' for x in key)
        first = con.execute(
            f"select * from pairs where in_left is null or in_right is null "
            f"order by date, {places} limit 1"
        )
        row = _first(first)
        if row is not None and with_rows:
            yield _parting(name, None, row, key, row["in_left"], row["in_right"])
        for column in rest:
            row = _first(
                con.execute(
                    f'select * from pairs where in_left and in_right and "left {column}" is '
                    f'distinct from "right {column}" order by date, {places} limit 1'
                )
            )
            if row is not None:
                yield _parting(
                    name, column, row, key, row[f"left {column}"], row[f"right {column}"]
                )


def _first(found: duckdb.DuckDBPyConnection) -> Row | None:
    names = [column[0] for column in found.description]
    row = found.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _parting(
    name: str, column: str | None, row: Row, key: Sequence[str], left: Any, right: Any
) -> Parting:
    named = {x: row[x] for x in key if x != "date" and row[x] is not None}
    return Parting(name, column, row["date"], named, left, right)
