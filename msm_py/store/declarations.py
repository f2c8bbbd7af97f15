"""What a table of the warehouse is declared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

FIRST_VERSION: Final = "0.2.0"
SqlType = Literal["varchar", "double", "integer", "bigint", "boolean", "date", "timestamp"]


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name, type
        Its name and its SQL type.
    description
        What it holds, without the unit.
    unit
        Of a number; None where it has none or the description is about a count.
    since
        The version of MSM that brought it.
    """

    name: str
    type: SqlType
    description: str
    unit: str | None = None
    since: str = FIRST_VERSION

    @property
    def text(self) -> str:
        """Return description, unit and version in one line.

        Examples
        --------
        >>> Column("short_n", "integer", "Members, at most.", unit="assets", since="0.3.0").text
        'Members, at most. Unit: assets. Since 0.3.0.'
        """
        return self.description + ("" if self.unit is None else f" Unit: {self.unit}.") + self.news

    @property
    def news(self) -> str:
        """Return a sentence about the version that brought it; nothing for the first one."""
        return "" if self.since == FIRST_VERSION else f" Since {self.since}."

    def called(self, name: str) -> Column:
        """Return the same column under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Table:
    """One table, or a view of others.

    Parameters
    ----------
    name
        Its name.
    description
        What a row is, and what one must know of the whole.
    columns
        In their order.
    query
        The query of a view; None for a table. It yields the columns in their order.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    query: str | None = None

    @property
    def row(self) -> str:
        """Return what a row is: the first sentence of the description."""
        return self.description.split(". ")[0].rstrip(".") + "."

    @property
    def names(self) -> list[str]:
        """Return the names of the columns, in order."""
        return [column.name for column in self.columns]

    def __iter__(self) -> Iterator[Column]:
        """Yield the columns, in order."""
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        """Return the column of a name."""
        return {column.name: column for column in self.columns}[name]


def by_name(*tables: Table) -> Mapping[str, Table]:
    """Return tables by their names."""
    return {table.name: table for table in tables}
