"""The way to the terminal: text from files is shown there as it stands, and never obeyed.

No string is markup: styles come from `Text` and style objects alone. What would steer the terminal,
reorder a line or hide in it is replaced by a character that is seen, and what the encoding of the
terminal cannot say has a stand-in as wide as itself.
"""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any, Final, cast

import rich.style
import rich.table
import rich.text
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from msm_py.errors import MsmError

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

# controls, formats (directions, what has no width), halves of characters, separators of lines
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# scripts and emoji need the joiners
_KEPT: Final = frozenset("\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")

_PLAIN: Final = {
    character: plain
    for plain, characters in {
        "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212─━",  # hyphens, dashes, minus, lines
        "|": "│┃",
        "'": "\u2018\u2019\u201a",
        '"': "\u201c\u201d\u201e«»",
        "x": "\u00d7",
        "~": "…",
        "*": "·•",
        ">": "→",
        "^": "▲",
        " ": "\u00a0\u2009\u202f",
        ".": "▁▂▏▎",  # parts of bars
        ":": "▃▄▍▌",
        "+": "▅▆▋▊",
        "#": "▇█▉",
    }.items()
    for character in characters
}


def visible(text: str) -> str:
    r"""Return text in which every character is seen and stands where it was written.

    Line ends and tabs stay, and so do the two joiners without a width, which change the form of
    their neighbours only.

    Examples
    --------
    >>> visible("Alts [/majors] v2")
    'Alts [/majors] v2'
    >>> visible("\x1b[31mred \u202efdp.exe")
    '�[31mred �fdp.exe'
    """
    if text.isprintable():
        return text
    return "".join(
        REPLACEMENT
        if unicodedata.category(character) in _UNSEEN and character not in _KEPT
        else character
        for character in text
    )


def encodable(text: str, encoding: str) -> str:
    """Return text that an encoding can say, as wide as it was.

    Examples
    --------
    >>> encodable("BTC — “é” 牛", "latin-1"), encodable("BTC — “é” 牛", "ascii")
    ('BTC - "é" ??', 'BTC - "?" ??')
    """
    return text.encode(encoding, _STAND_INS).decode(encoding)


def _stand_ins(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(_PLAIN.get(x, "?" * cell_len(x)) for x in unknown), error.end


_STAND_INS: Final = "msm_stand_ins"
codecs.register_error(_STAND_INS, _stand_ins)


def write_exactly(text: str) -> None:
    """Write what a program reads to standard output: as it is, or not at all.

    Raises
    ------
    MsmError
        The encoding of standard output cannot say it.
    """
    try:
        sys.stdout.write(f"{text}\n")
    except UnicodeEncodeError as error:
        raise MsmError(
            "this is for programs to read, and holds a character that the encoding cannot say",
            where="standard output",
            received=f"{error.object[error.start]!a} in {error.encoding}",
            remedy="set PYTHONIOENCODING=utf-8",
        ) from None


class Text(rich.text.Text):
    """Rich's text with nothing in it that is not seen, so that it is as wide as it looks."""

    def __init__(self, text: str = "", *args: Any, **options: Any) -> None:
        super().__init__(visible(text), *args, **options)

    def append(
        self, text: rich.text.Text | str, style: str | rich.style.Style | None = None
    ) -> Text:
        """Add text."""
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self


class Table(rich.table.Table):
    """Rich's table, whose cells are literal in any console: a string is never markup."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row."""
        super().add_row(*(Text(x) if isinstance(x, str) else x for x in cells), **options)

    @classmethod
    def grid(cls, *headers: Any, **options: Any) -> Table:
        """Return a table without lines and headers."""
        return cast(Table, super().grid(*headers, **options))


class Terminal(Console):
    """The console of the command line.

    It parses no markup, shows nothing unseen, writes only what its encoding can say, and goes on in
    silence when nobody reads it any more (`msm run ... | head`).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> rich.text.Text:
        """Return a string as text, made visible before anything is laid out."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is written: every text of every kind passes here."""
        for segment in super().render(renderable, options):
            if segment.control:  # rich's own, such as moving the cursor of a display
                yield segment
            else:
                text = encodable(visible(segment.text), self.encoding)
                yield Segment(text, segment.style)

    def on_broken_pipe(self) -> None:
        """Send the rest nowhere: what is being computed must not be lost with its display."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
