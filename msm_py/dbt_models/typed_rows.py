"""Rows of tables as frozen dataclasses, which say names, types and descriptions of columns once.

A field is ``name: Annotated[type, "What it holds."]``. An Arrow type among the annotations stands
for the one that belongs to the type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import pyarrow as pa

R = TypeVar("R")
Int64 = Annotated[int, pa.int64()]
ARROW_TYPES: Final = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int32(),
    float: pa.float64(),
    date: pa.date32(),
}


def names(kind: type) -> tuple[str, ...]:
    """Return the columns of a row."""
    return tuple(field.name for field in fields(kind))


def schema(kind: type) -> pa.Schema:
    """Return the Arrow schema of rows.

    Parameters
    ----------
    kind
        A dataclass whose fields are text, numbers, truth values, days, others of its kind, tuples
        of these, or one of these or None.

    Examples
    --------
    >>> from dataclasses import make_dataclass
    >>> schema(make_dataclass("A", [("n", int), ("x", tuple[float, ...] | None)]))
    n: int32
    x: list<item: double>
      child 0, item: double
    """
    return pa.schema([(name, _arrow_type(hint)) for name, hint in hints(kind).items()])


def to_table(rows: Iterable[Any], kind: type) -> pa.Table:
    """Return rows as a table."""
    return pa.Table.from_pylist([_plain(row) for row in rows], schema=schema(kind))


def from_table(table: pa.Table, kind: type[R]) -> list[R]:
    """Return the rows of a table that has the columns of a dataclass, and perhaps others."""
    read: Callable[[Any], R] = _reader(kind)
    return [read(row) for row in table.select(list(names(kind))).to_pylist()]


def hints(kind: type) -> dict[str, Any]:
    """Return the type of each column of a row, with its annotations."""
    found = get_type_hints(kind, include_extras=True)
    return {name: found[name] for name in names(kind)}


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Annotated:
        said = [x for x in hint.__metadata__ if isinstance(x, pa.DataType)]
        return said[0] if said else _arrow_type(hint.__origin__)
    if get_origin(hint) in (Union, UnionType):
        return _arrow_type(_not_none(hint))
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if get_origin(hint) is Literal:
        return _arrow_type(type(get_args(hint)[0]))
    if is_dataclass(hint) and isinstance(hint, type):
        return pa.struct(list(schema(hint)))
    return ARROW_TYPES[hint]


def _plain(value: Any) -> Any:
    """Return a row as a dict; `dataclasses.asdict` takes twice as long, over its copies."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {name: _plain(item) for name, item in vars(value).items()}
    return value


def _not_none(hint: UnionType) -> Any:
    (inner,) = (x for x in get_args(hint) if x is not NoneType)
    return inner


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what makes the value of a field from what Arrow gives."""
    if get_origin(hint) is Annotated:
        return _reader(hint.__origin__)
    if get_origin(hint) in (Union, UnionType):
        known = _reader(_not_none(hint))
        return lambda value: None if value is None else known(value)
    if get_origin(hint) is tuple:
        of_item = _reader(get_args(hint)[0])
        return lambda values: tuple(map(of_item, values))
    if is_dataclass(hint) and isinstance(hint, type):
        kind: Callable[..., Any] = hint
        readers = {name: _reader(inner) for name, inner in hints(hint).items()}
        return lambda row: kind(**{name: read(row[name]) for name, read in readers.items()})
    return lambda value: value
