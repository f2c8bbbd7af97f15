"""Lists for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Final

from msm_py._typing import Row

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def json_text(rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects, a line each."""
    lines = ",\n".join(json.dumps(dict(row), default=str) for row in rows)
    return f"[\n{lines}\n]" if lines else "[]"


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV after a line of names; missing values are empty.

    Texts that a spreadsheet would take for a formula have an apostrophe before them.

    Examples
    --------
    >>> print(csv_text([{"title": "=1+1", "sharpe": -0.5, "p": None}]))
    title,sharpe,p
    '=1+1,-0.5,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_harmless(value) for value in row.values()])
    return text.getvalue().rstrip("\n")


def _harmless(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value
