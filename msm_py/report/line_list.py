"""Lists with one line per row, whatever the width: what varies is shown, as much as there is room.

A column whose cells are all the same is said once, below. Of the others those that matter most are
kept; names are cut in the middle before a column is left out, and no line is ever folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType

from msm_py.report.layout import Fitted, new_table, prose
from msm_py.report.terminal import Text, visible

ELLIPSIS: Final = "…"
GAP: Final = 2  # between columns


@dataclass(frozen=True)
class LineColumn:
    """A column of a list.

    Parameters
    ----------
    head
        Its name; words that are joined by ``_`` may stand one above the other.
    cells
        A text for each row.
    justify
        Numbers right, names left.
    least
        How narrow a name may get; None: it is shown whole.
    is_needed
        Whether it stays though all cells are the same.
    """

    head: str
    cells: Sequence[str | Text]
    justify: Literal["left", "right"] = "right"
    least: int | None = None
    is_needed: bool = False

    @property
    def texts(self) -> list[Text]:
        """Return the cells as texts in which everything is seen."""
        return [Text(cell) if isinstance(cell, str) else cell for cell in self.cells]

    @property
    def head_lines(self) -> list[str]:
        """Return the head, a word a line where that is narrower than it needs to be."""
        widest = max((cell_len(text.plain) for text in self.texts), default=0)
        if cell_len(self.head) <= widest:
            return [self.head]
        lines: list[str] = []
        longest = max(widest, *(cell_len(word) for word in self.head.split("_")))
        for word in self.head.split("_"):
            if lines and cell_len(f"{lines[-1]}_{word}") <= longest:
                lines[-1] += f"_{word}"
            else:
                lines.append(word)
        return lines

    @property
    def width(self) -> int:
        """Return how wide it is, shown whole."""
        return max(cell_len(line) for line in (*self.head_lines, *(x.plain for x in self.texts)))

    @property
    def narrowest(self) -> int:
        """Return how wide it is at least."""
        return self.width if self.least is None else min(self.width, self.least)

    @property
    def said_once(self) -> str | None:
        """Return what it says of all rows; None when rows differ, or it has to stay."""
        texts = {text.plain.strip() for text in self.texts}
        if self.is_needed or len(self.cells) < 2 or len(texts) > 1:
            return None
        return f"{self.head.replace('_', ' ')} {texts.pop()}".strip()


def line_list(columns: Sequence[LineColumn]) -> RenderableType:
    """Return a list with a line for each row, and what all rows have in common below it.

    Parameters
    ----------
    columns
        In the order in which they are given up when there is no room: the last one first. They are
        shown in this order.
    """
    same = [said for column in columns if (said := column.said_once)]
    varying = [column for column in columns if column.said_once is None]
    table = Fitted(lambda width: _table(varying, width))
    if not same:
        return table
    return Group(table, Text(), prose(f"The same in all: {', '.join(same)}.", "dim"))


def _table(columns: Sequence[LineColumn], width: int) -> RenderableType:
    widths = fitted(columns, width)
    shown = [(column, widths[place]) for place, column in enumerate(columns) if widths[place]]
    height = max((len(column.head_lines) for column, _ in shown), default=1)
    table = new_table()
    table.padding = (0, GAP - 1, 0, 0)  # a column's end is a space already
    for column, own in shown:
        lines = column.head_lines
        head = "\n".join([*[""] * (height - len(lines)), *(shortened(line, own) for line in lines)])
        table.add_column(Text(head), justify=column.justify, no_wrap=True, width=own)
    cells = [(column.texts, own) for column, own in shown]
    for row in range(len(columns[0].cells) if columns else 0):
        table.add_row(*(_cut(texts[row], own) for texts, own in cells))
    return table


def fitted(columns: Sequence[LineColumn], width: int) -> list[int]:
    """Return how wide each column gets in a line of some width, 0 where there is no room for it.

    Examples
    --------
    >>> name, number = LineColumn("name", ["a long name"], least=6), LineColumn("n", ["1.25"])
    >>> fitted([name, number], 20), fitted([name, number], 14), fitted([name, number], 8)
    ([11, 4], [8, 4], [8, 0])
    """
    widths = [0] * len(columns)
    room = width + GAP
    for place, column in enumerate(columns):
        if place == 0:
            widths[place] = min(column.narrowest, width)
        elif column.narrowest + GAP <= room:
            widths[place] = column.narrowest
        else:
            continue
        room -= widths[place] + GAP
    for place, column in enumerate(columns):
        if widths[place]:
            more = min(column.width - widths[place], room)
            widths[place] += max(more, 0)
            room -= max(more, 0)
    return widths


def shortened(text: str, width: int) -> str:
    """Return a text that is no wider than so many cells, cut in the middle.

    Examples
    --------
    >>> shortened("msm_v1_btc_eth_70_30", 12), shortened("short", 12), shortened("牛牛牛牛牛", 6)
    ('msm_v1_…0_30', 'short', '牛 …牛')
    """
    text = visible(text)
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = (width - 1) * 2 // 5
    last = "".join(reversed(set_cell_size("".join(reversed(text)), tail)))
    return set_cell_size(text, width - 1 - tail) + ELLIPSIS + last


def _cut(text: Text, width: int) -> Text:
    """Return a text cut to a width, in the style that it has."""
    if cell_len(text.plain) <= width:
        return text
    return Text(shortened(text.plain.replace("\n", " "), width), style=text.style)
