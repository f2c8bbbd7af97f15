"""Lists for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from msm_py._typing import Row


def json_text(rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects, a line each."""
    lines = ",\n".join(json.dumps(dict(row), default=str) for row in rows)
    return f"[\n{lines}\n]" if lines else "[]"


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV after a line of names; missing values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(row.values())
    return text.getvalue().rstrip("\n")
