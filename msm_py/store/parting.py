"""Where two tables of days part: the first row of every column in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

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
    is_rounding
        Whether no row parts in the column by more than rounding: see `ROUNDING`.
    """

    table: str
    column: str | None
    day: date
    key: Mapping[str, Any]
    left: Any
    right: Any
    is_rounding: bool = False


ROUNDING: Final = 1e-12
"""How far apart numbers are that differ by the order of sums alone.

Relative to the larger one, or to the median of their column up to 1, as sums may come near 0.
"""


def key_of(rows: pa.Table) -> list[str]:
    """Return what may name a row where nobody says: what holds no measurement."""
    return [
        column.name
        for column in rows.schema
        if column.name == "horizon_days"
        or pa.types.is_string(column.type)
        or pa.types.is_date(column.type)
        or pa.types.is_timestamp(column.type)
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
    day: str = "date",
) -> Iterator[Parting]:
    """Yield the first parting of every column of two tables with days, bit for bit.

    Parameters
    ----------
    name
        What they are called.
    left, right
        Tables of the same columns.
    key
        What names a row; None: see `key_of`.
    with_rows
        Whether a row that is on one side only counts.
    day
        The column with the day of a row.
    """
    key = key_of(left) if key is None else list(key)
    if not set(key) <= set(left.column_names):  # of names that are not compared
        key = key_of(left)
    if day not in key:
        key = [day, *key]
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
            f'order by "{day}", {places} limit 1'
        )
        row = _first(first)
        if row is not None and with_rows:
            yield _parting(name, None, row, key, day, (row["in_left"], row["in_right"]))
        for column in rest:
            differs = f'in_left and in_right and "left {column}" is distinct from "right {column}"'
            rounding = _rounding_sql(column, left.schema.field(column).type)
            # what is more than rounding is shown, though it may come later
            row = _first(
                con.execute(
                    f"select *, {rounding} as is_rounding from pairs where {differs} "
                    f'order by is_rounding, "{day}", {places} limit 1'
                )
            )
            if row is not None:
                values = (row[f"left {column}"], row[f"right {column}"])
                yield _parting(name, column, row, key, day, values, is_rounding=row["is_rounding"])


def _rounding_sql(column: str, kind: pa.DataType) -> str:
    """Return the SQL that is true for a pair of numbers that differ by no more than rounding."""
    one, other = f'"left {column}"', f'"right {column}"'
    if pa.types.is_floating(kind):
        usual = f'(select least(1, coalesce(median(abs("{column}")), 0)) from a)'
        return f"coalesce({_is_rounding(one, other, usual)}, false)"
    if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
        each = _is_rounding("pair[1]", "pair[2]", "1")
        both_missing = "(pair[1] is null and pair[2] is null)"
        return (
            f"coalesce(len({one}) = len({other}) and list_bool_and(list_transform("
            f"list_zip({one}, {other}), lambda pair: {both_missing} or coalesce({each}, false)"
            ")), false)"
        )
    return "false"


def _is_rounding(one: str, other: str, usual: str) -> str:
    return (
        f"(isfinite({one}) and isfinite({other}) and abs({one} - {other}) <= "
        f"{ROUNDING} * greatest(abs({one}), abs({other}), {usual}))"
    )


def _first(found: duckdb.DuckDBPyConnection) -> Row | None:
    names = [column[0] for column in found.description]
    row = found.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _parting(
    name: str,
    column: str | None,
    row: Row,
    key: Sequence[str],
    day: str,
    values: tuple[Any, Any],
    *,
    is_rounding: bool = False,
) -> Parting:
    when = row[day]
    if isinstance(when, datetime):
        when = when.date()
    named = {x: row[x] for x in key if x != day and row[x] is not None}
    return Parting(name, column, when, named, *values, is_rounding)
