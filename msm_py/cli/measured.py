"""What the README says of speed, taken from the page that `make bench` writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msm_py.markup import markdown_table

PAGE: Final = "docs/performance.md"
_ROWS: Final = (
    ("one experiment", "runs", "every later one"),
    ("a sweep of 100 variants", "sweeps", "100"),
    ("a sweep of 1,000 variants, 999 replicates and 4 horizons each", "sweeps", "1,000"),
    (
        "1,000 variants over 5 universes and 50 baskets",
        "sweeps",
        "5 universes x 10 short legs x 20 weights",
    ),
    ("the first one on a generated lake of 5,000 assets and 10 years", "big", "10 years"),
)
"""A job, the section of the page, and how its row there begins."""


def speed_table(root: Path) -> str:
    """Return the table of jobs, wall seconds and peak memory.

    Raises
    ------
    LookupError
        When the page lacks a row.
    """
    page = (root / PAGE).read_text()
    return markdown_table(
        ("job", "wall", "peak memory"),
        [(job, *_measured(page, section, begins)) for job, section, begins in _ROWS],
    )


def _measured(page: str, section: str, begins: str) -> tuple[str, str]:
    found = re.search(rf"<!-- bench: {section} -->(.*?)<!-- end: {section} -->", page, re.DOTALL)
    head: list[str] = []
    for line in found.group(1).splitlines() if found else ():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if "seconds" in cells:
            head = cells
        if head and cells[0] == begins:
            of = dict(zip(head, cells, strict=False))
            return f"{of['seconds']} s", f"{of['peak MB']} MB"
    raise LookupError(f"{PAGE} has no row {begins!r} in {section}")
