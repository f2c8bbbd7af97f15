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


class Fitted:
    """A renderable that is made for the width it is given."""

    def __init__(self, make: Callable[[int], RenderableType]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what is made for the width at hand."""
        yield self._make(options.max_width)


def section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    """Yield parts under a heading."""
    yield Text()
    yield Rule(Text(title, style="bold"), align="left", style="dim")
    yield from parts


def prose(text: str, style: str = "") -> Constrain:
    """Return text that is no wider than one likes to read."""
    return Constrain(Text(text, style=style), PROSE_WIDTH)


def new_table(*, roomy: bool = False) -> Table:
    """Return an empty table as all of them look."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if roomy else 0),
        header_style="dim",
    )


def number_columns(table: Table, *headers: str) -> None:
    """Add columns of numbers to a table."""
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="top")


def fact_table(*facts: tuple[str, str]) -> Table:
    """Return names and what is said of each."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        table.add_row(Text(name), Text(fact))
    return table


def pair_table(*rows: tuple[str, str, str], head: str) -> Table:
    """Return rows of a name and the values of A and of B."""
    table = new_table(roomy=True)
    table.add_column(head, overflow="fold")
    table.add_column("A", overflow="fold")
    table.add_column("B", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
