"""Markdown and YAML of what is declared in Python."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

WIDTH: Final = 100
DEPTH: Final = 8  # spaces before a line, at most, that are added afterwards


def yaml_text(key: str, text: str, indent: str) -> list[str]:
    """Return a key and its text as folded YAML, whatever characters the text has.

    Examples
    --------
    >>> yaml_text("description", "Yes: a # sign.", "  ")
    ['  description: >', '    Yes: a # sign.']
    """
    inner = f"{indent}  "
    lines = textwrap.wrap(text, WIDTH - len(inner) - DEPTH, break_on_hyphens=False)
    return [f"{indent}{key}: >", *(inner + line for line in lines)]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table in Markdown.

    Examples
    --------
    >>> print(markdown_table(("a", "b"), [("1", "x | y")]), end="")
    | a | b |
    | -- | -- |
    | 1 | x \| y |
    """
    lines = [head, *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    text = [f"| {' | '.join(line)} |" for line in cells]
    return "".join(f"{line}\n" for line in (text[0], "| -- " * len(head) + "|", *text[1:]))


def prose(text: str) -> str:
    """Return a paragraph wrapped as the docs are."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)
