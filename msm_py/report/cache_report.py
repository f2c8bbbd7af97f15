"""What the cache holds, as ``msm cache`` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType

from msm_py.report.figures import count_of
from msm_py.report.terminal import Table, Text
from msm_py.store.cache import Entry

MEGABYTE = 1e6


def listing(folder: Path, entries: Sequence[Entry], most_bytes: int) -> RenderableType:
    """Return a line for each file, and how full the cache is.

    Parameters
    ----------
    folder
        The cache.
    entries
        What it holds, the least recently used first.
    most_bytes
        Size beyond which the first of them go.
    """
    size = _megabytes(sum(entry.n_bytes for entry in entries))
    n_files = count_of(len(entries), "file")
    total = Text(f"{n_files}, {size} of at most {_megabytes(most_bytes)}, in {folder}")
    if not entries:
        return total
    table = Table("holds", "used last, UTC", "size", "file", box=None, header_style="dim")
    table.columns[2].justify = "right"
    for entry in entries:
        used = f"{entry.used_at:%Y-%m-%d %H:%M}"
        table.add_row(entry.stage, used, _megabytes(entry.n_bytes), entry.file.name[:24] + "...")
    return Group(table, total)


def removed(folder: Path, entries: Sequence[Entry]) -> Text:
    """Return what was removed, in a sentence."""
    size = _megabytes(sum(entry.n_bytes for entry in entries))
    return Text(f"Removed {count_of(len(entries), 'file')}, {size}, from {folder}.")


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / MEGABYTE:,.1f} MB"
