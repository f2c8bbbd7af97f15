"""What ``msm check-lookahead`` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType

from msm_py.report.figures import MISSING, count_of, shown_value, told_apart
from msm_py.report.layout import prose
from msm_py.report.line_list import GAP, LineColumn, line_list
from msm_py.report.terminal import Text
from msm_py.runner.dated_tables import NO_DAY, WITHOUT_A_DAY
from msm_py.runner.lookahead import Compared
from msm_py.store.parting import Parting

FIRST_SHOWN: Final = 20
REAL, ROUNDED = "later days", "rounding"
WIDEST: Final = 17  # of a value
NARROW: Final = 80  # of a terminal in which all is to be read


def progress_line(done: Compared, seconds: float) -> Text:
    """Return a line on a comparison that is done."""
    kind = "noise after" if done.with_noise else "cut after"
    line = Text(f"  {seconds:5.1f} s  {kind} {done.last_day}: {sum(done.n_rows.values()):,} rows, ")
    if not done.partings:
        return line.append("equal")
    first, what = _first(done.partings)
    return line.append(f"{first} {'parts' if what == REAL else 'is rounded otherwise'}", "red")


def _first(partings: Sequence[Parting]) -> tuple[str, str]:
    """Return the first model that parts, by more than rounding if any does, and by what."""
    real = [x.table for x in partings if not x.is_rounding]
    return (real[0], REAL) if real else (partings[0].table, ROUNDED)


def partings_of(found: Sequence[Compared]) -> list[tuple[Compared, Parting]]:
    """Return the first parting of every column, in the order in which models are built.

    One by more than rounding comes before one by rounding alone.
    """
    first: dict[tuple[str, str | None], tuple[Compared, Parting]] = {}
    pairs = [(compared, parting) for compared in found for parting in compared.partings]
    for compared, parting in sorted(pairs, key=lambda pair: pair[1].is_rounding):
        first.setdefault((parting.table, parting.column), (compared, parting))
    order = {name: place for place, name in enumerate(found[0].n_rows)}
    return sorted(first.values(), key=lambda pair: order[pair[1].table])


def report(found: Sequence[Compared], *, full: bool = False) -> RenderableType:
    """Return the verdict, what parts, and with ``full`` every table that was compared."""
    partings = [parting for _, parting in partings_of(found)]
    real = [x for x in partings if not x.is_rounding]
    rounded = [x for x in partings if x.is_rounding]
    return Group(
        *_verdict(found, real, rounded),
        *_parting_lines(real),
        *_rounding_lines(rounded),
        *_left_out(found[0].left_out, full=full),
        *(_tables(found) if full else ()),
    )


def _verdict(
    found: Sequence[Compared], real: Sequence[Parting], rounded: Sequence[Parting]
) -> Iterator[RenderableType]:
    days = sorted({x.last_day for x in found})
    n_columns = sum(map(len, found[0].columns.values()))
    rows = sum(sum(x.n_rows.values()) for x in found)
    yield prose(
        f"{count_of(len(days), 'day')} from {days[0]} to {days[-1]}, the lake cut there and with "
        f"other numbers after it: {count_of(len(found[0].n_rows), 'table')}, {n_columns} columns, "
        f"{rows:,} rows compared to the last bit."
    )
    if real:
        models = len({x.table for x in real})
        yield prose(
            f"{count_of(models, 'model')} depend{'s' if models == 1 else ''} on later days, first "
            f"in the graph: {real[0].table}",
            "bold red",
        )
    elif rounded:
        yield prose("Nothing depends on a later day by more than rounding.", "bold yellow")
    else:
        yield Text("Nothing depends on a later day.", style="bold green")


def _parting_lines(partings: Sequence[Parting]) -> Iterator[RenderableType]:
    if not partings:
        return
    shown = partings[:FIRST_SHOWN]
    pairs = [_values(x) for x in shown]
    values = [
        LineColumn("whole", [x for x, _ in pairs], least=WIDEST, is_needed=True),
        LineColumn("without_later", [x for _, x in pairs], least=WIDEST, is_needed=True),
    ]
    yield Text()
    yield line_list([*_where(shown, values), _rest_column(shown)])
    yield from _more(partings)


def _rounding_lines(partings: Sequence[Parting]) -> Iterator[RenderableType]:
    if not partings:
        return
    shown = partings[:FIRST_SHOWN]
    models = len({x.table for x in partings})
    yield Text()
    yield prose(
        f"{count_of(models, 'model')} differ{'s' if models == 1 else ''} by rounding alone, first "
        f"in the graph: {partings[0].table}. That is the order of sums, not the future; but not "
        "the same to the last bit, which runs promise. `exact_sum` and `weighted_mean` mend it: "
        "docs/architecture.md, Adding a feature.",
        "yellow",
    )
    values = [
        LineColumn("whole", [_whole(x) for x in shown], is_needed=True),
        LineColumn("difference", [_difference(x) for x in shown], is_needed=True),
    ]
    yield Text()
    yield line_list([*_where(shown, values), _rest_column(shown)])
    yield from _more(partings)


def _where(partings: Sequence[Parting], values: Sequence[LineColumn]) -> Sequence[LineColumn]:
    """Return columns that say where tables part, and then values; names get what these leave."""
    assets = [str(x.key.get("asset_id", MISSING)) for x in partings]
    rest = [
        LineColumn("first_date", [str(x.day) for x in partings], "left", is_needed=True),
        *(
            [LineColumn("asset", assets, "left", least=10, is_needed=True)]
            if {*assets} - {MISSING}
            else []
        ),
        *values,
    ]
    least = max(8, (NARROW - sum(x.narrowest + GAP for x in rest) - GAP) // 2)
    columns = [x.column or "(the row)" for x in partings]
    return [
        LineColumn("model", [x.table for x in partings], "left", least=least, is_needed=True),
        LineColumn("column", columns, "left", least=least, is_needed=True),
        *rest,
    ]


def _more(partings: Sequence[Parting]) -> Iterator[RenderableType]:
    if len(partings) > FIRST_SHOWN:
        yield Text(f"and {len(partings) - FIRST_SHOWN} columns more (--json has all)")


def _left_out(left_out: Mapping[str, str], *, full: bool) -> Iterator[RenderableType]:
    """Yield what was not compared; of MSM's own models only where all is asked for."""
    for name, reason in left_out.items():
        if name not in WITHOUT_A_DAY:
            yield prose(f"Not compared: {name} ({reason}).", "yellow")
    own = sorted(left_out.keys() & WITHOUT_A_DAY)
    if full and own:
        yield prose(f"Not compared, as {NO_DAY.replace('its', 'their')}: {', '.join(own)}.")


def _values(parting: Parting) -> tuple[str, str]:
    """Return both values, numbers with as many digits as it takes to see that they differ."""
    if parting.column is None:
        return ("there", "not there") if parting.left else ("not there", "there")
    return told_apart(*_first_difference(parting.left, parting.right))


def _first_difference(left: Any, right: Any) -> tuple[Any, Any]:
    """Return the first parts of two values that differ: of lists of numbers, or of maps."""
    pairs: Sequence[tuple[Any, Any]] = ()
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = list(zip(left, right, strict=True))
    elif isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        pairs = [(left[x], right[x]) for x in left]
    for one, other in pairs:
        if one != other:
            return _first_difference(one, other)
    return left, right


def _difference(parting: Parting) -> str:
    left, right = _first_difference(parting.left, parting.right)
    return f"{right - left:.1e}"


def _whole(parting: Parting) -> str:
    return shown_value(_first_difference(parting.left, parting.right)[0], 6)


def _rest_column(partings: Sequence[Parting]) -> LineColumn:
    """Return what else names the rows."""
    named = [
        ", ".join(str(value) for key, value in x.key.items() if key != "asset_id") for x in partings
    ]
    return LineColumn("of", named, "left", least=12)


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
    """Return a row for every comparison, table and column, with what parts, or why not compared."""
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
                        "is_rounding": parting is not None and parting.is_rounding,
                        "date": None if parting is None else parting.day.isoformat(),
                        "key": None
                        if parting is None
                        else {k: str(v) for k, v in parting.key.items()},
                        "whole": None if parting is None else _values(parting)[0],
                        "without_later": None if parting is None else _values(parting)[1],
                        "not_compared": None,
                    }
                )
        rows += (
            {
                **dict.fromkeys(("column", "n_rows", "is_equal", "is_rounding", "date", "key")),
                **dict.fromkeys(("whole", "without_later")),
                "last_day": compared.last_day.isoformat(),
                "with_noise": compared.with_noise,
                "table": table,
                "not_compared": reason,
            }
            for table, reason in compared.left_out.items()
        )
    return rows
