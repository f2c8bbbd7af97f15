"""The parts that reports are laid out from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.rule import Rule

from msm_py.report.terminal import Table, Text

PROSE_WIDTH: Final = 100


class _Fitted:
    """A renderable that is made for the width it is given."""

    def __init__(self, make: Callable[[int], RenderableType]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._make(options.max_width)


def _section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(title, style="bold"), align="left", style="dim")
    yield from parts


def _prose(text: str, style: str = "") -> Constrain:
    return Constrain(Text(text, style=style), PROSE_WIDTH)


def _table(*, roomy: bool = False) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if roomy else 0),
        header_style="dim",
    )


def _numbers(table: Table, *headers: str) -> None:
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="top")


def _facts(*facts: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        table.add_row(Text(name), Text(fact))
    return table


def _pairs(*rows: tuple[str, str, str], head: str) -> Table:
    table = _table(roomy=True)
    table.add_column(head, overflow="fold")
    table.add_column("A", overflow="fold")
    table.add_column("B", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
