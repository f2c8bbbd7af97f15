"""What ``msm check-lookahead`` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType

from msm_py.report.figures import count_of
from msm_py.report.layout import prose
from msm_py.report.line_list import LineColumn, line_list
from msm_py.report.terminal import Text
from msm_py.runner.lookahead import Compared
from msm_py.store.parting import Parting

FIRST_SHOWN: Final = 20


def progress_line(done: Compared, seconds: float) -> Text:
    """Return a line on a comparison that is done."""
    kind = "noise after" if done.with_noise else "cut after"
    line = Text(f"  {seconds:5.1f} s  {kind} {done.last_day}: {sum(done.n_rows.values()):,} rows, ")
    if not done.partings:
        return line.append("equal")
    first = done.partings[0]
    return line.append(f"{first.table} parts", "red")


def partings_of(found: Sequence[Compared]) -> list[tuple[Compared, Parting]]:
    """Return the first parting of every column, in the order in which models are built."""
    first: dict[tuple[str, str | None], tuple[Compared, Parting]] = {}
    for compared in found:
        for parting in compared.partings:
            first.setdefault((parting.table, parting.column), (compared, parting))
    order = {name: place for place, name in enumerate(found[0].n_rows)}
    return sorted(first.values(), key=lambda pair: order[pair[1].table])


def report(found: Sequence[Compared], *, full: bool = False) -> RenderableType:
    """Return the verdict, what parts, and with ``full`` every table that was compared."""
    return Group(*_verdict(found), *_parting_lines(found), *(_tables(found) if full else ()))


def _verdict(found: Sequence[Compared]) -> Iterator[RenderableType]:
    days = sorted({x.last_day for x in found})
    n_columns = sum(map(len, found[0].columns.values()))
    rows = sum(sum(x.n_rows.values()) for x in found)
    yield prose(
        f"{count_of(len(days), 'day')} from {days[0]} to {days[-1]}, the lake cut there and with "
        f"other numbers after it: {count_of(len(found[0].n_rows), 'table')}, {n_columns} columns, "
        f"{rows:,} rows compared to the last bit."
    )
    partings = partings_of(found)
    if not partings:
        yield Text("Nothing depends on a later day.", style="bold green")
        return
    first = partings[0][1].table
    models = len({parting.table for _, parting in partings})
    yield Text(
        f"{count_of(models, 'model')} depend{'s' if models == 1 else ''} on later days, first in "
        f"the graph: {first}",
        style="bold red",
    )


def _parting_lines(found: Sequence[Compared]) -> Iterator[RenderableType]:
    partings = partings_of(found)
    if not partings:
        return
    shown = [parting for _, parting in partings[:FIRST_SHOWN]]
    yield Text()
    yield line_list(
        [
            LineColumn("model", [x.table for x in shown], "left", is_needed=True),
            LineColumn("column", [x.column or "(the row)" for x in shown], "left", is_needed=True),
            LineColumn("first_date", [str(x.day) for x in shown], "left", is_needed=True),
            LineColumn("whole", [_values(x)[0] for x in shown], least=6, is_needed=True),
            LineColumn("without_later", [_values(x)[1] for x in shown], least=6, is_needed=True),
            LineColumn("of", [_named(x) for x in shown], "left", least=12),
        ]
    )
    if len(partings) > len(shown):
        yield Text(f"and {len(partings) - len(shown)} columns more (--json has all)")


def _values(parting: Parting) -> tuple[str, str]:
    """Return both values, floats with as many digits as it takes to see that they differ."""
    if parting.column is None:
        return ("there", "not there") if parting.left else ("not there", "there")
    for digits in (6, 10):
        whole, cut = _shown(parting.left, digits), _shown(parting.right, digits)
        if whole != cut:
            return whole, cut
    return _shown(parting.left, 17), _shown(parting.right, 17)


def _shown(value: Any, digits: int) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_shown(x, digits) for x in value)}]"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _named(parting: Parting) -> str:
    asset = parting.key.get("asset_id")
    rest = [str(value) for key, value in parting.key.items() if key != "asset_id"]
    return ", ".join([*([asset] if asset is not None else []), *rest])


def _tables(found: Sequence[Compared]) -> Iterator[RenderableType]:
    parted: dict[str, set[str]] = {}
    for compared in found:
        for parting in compared.partings:
            parted.setdefault(parting.table, set()).add(parting.column or "rows")
    names = list(found[0].n_rows)
    rows = {name: sum(x.n_rows.get(name, 0) for x in found) for name in names}
    yield Text()
    yield line_list(
        [
            LineColumn("model", names, "left", is_needed=True),
            LineColumn("columns", [str(len(found[0].columns[name])) for name in names]),
            LineColumn("rows", [f"{rows[name]:,}" for name in names]),
            LineColumn(
                "verdict",
                [
                    f"parts: {', '.join(sorted(parted[name]))}"
                    if name in parted
                    else "equal"
                    if rows[name]
                    else "no rows"
                    for name in names
                ],
                "left",
                is_needed=True,
            ),
        ]
    )


def as_rows(found: Sequence[Compared]) -> list[Mapping[str, Any]]:
    """Return a row for every comparison, table and column, with what parts."""
    rows: list[Mapping[str, Any]] = []
    for compared in found:
        parted = {(x.table, x.column): x for x in compared.partings}
        for table, columns in compared.columns.items():
            for column in (None, *columns):
                parting = parted.get((table, column))
                rows.append(
                    {
                        "last_day": compared.last_day.isoformat(),
                        "with_noise": compared.with_noise,
                        "table": table,
                        "column": column or "(the row)",
                        "n_rows": compared.n_rows[table],
                        "is_equal": parting is None,
                        "date": None if parting is None else parting.day.isoformat(),
                        "key": None
                        if parting is None
                        else {k: str(v) for k, v in parting.key.items()},
                        "whole": None if parting is None else _values(parting)[0],
                        "without_later": None if parting is None else _values(parting)[1],
                    }
                )
    return rows
