"""What `msm lake pull` and `msm lake fetch` show: a bar while they work, then what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeRemainingColumn,
)

from msm_py.pull.lake_copy import Fetched
from msm_py.pull.work import Event, RequestEnded, SourceBegun, SourcePulled, TriedAgain
from msm_py.report.figures import count_of
from msm_py.report.terminal import Table, Text

MOST_NAMED: Final = 10
"""Reasons that are told, of each source."""


class PullDisplay(Progress):
    """Shows how far a pull has come, on a terminal.

    Parameters
    ----------
    console
        Where.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            _Name(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            _Reason(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._current: TaskID | None = None

    def tell(self, event: Event) -> None:
        """Show an event."""
        match event:
            case SourceBegun(source_id, n_requests):
                self._current = self.add_task(source_id, total=n_requests, reason="")
            case RequestEnded() if self._current is not None:
                self.update(self._current, advance=1, reason="")
            case TriedAgain(reason) if self._current is not None:
                self.update(self._current, reason=f"waiting: {reason}")


class FetchDisplay(Progress):
    """Shows how many files of a lake are copied, on a terminal.

    Parameters
    ----------
    console
        Where.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._files = self.add_task("files", total=None)

    def tell(self, n_done: int, n_files: int) -> None:
        """Show that so many files of all are there."""
        self.update(self._files, completed=n_done, total=n_files)


def fetched_lines(fetched: Fetched, link: Path) -> list[str]:
    """Return what came of a fetch, in sentences."""
    n_linked = count_of(fetched.n_linked, "unchanged file")
    copied = f"{count_of(fetched.n_copied, 'file')} copied ({fetched.n_bytes / 1e6:,.1f} MB)"
    checked = f"{fetched.n_hashed:,} compared by hash, {fetched.n_sized:,} by size alone"
    return [
        f"{copied}, {checked}; {n_linked}." if fetched.n_copied else f"Nothing new: {n_linked}.",
        f"{link} leads to {fetched.lake.name}{'' if fetched.is_new else ', as before'}.",
    ]


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description)


class _Reason(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["reason"], style="yellow", no_wrap=True, overflow="ellipsis")


def pull_table(sources: Sequence[SourcePulled]) -> Table:
    """Return a line per source: files that came, were there, are absent, and failed."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source")
    for name in ("pulled", "MB", "there", "absent", "missing"):
        table.add_column(name, justify="right")
    for source in sources:
        counts = (
            f"{source.n_pulled:,}",
            f"{source.n_bytes / 1e6:,.1f}",
            f"{source.n_there:,}",
            f"{len(source.absent):,}",
            f"{len(source.missing):,}",
        )
        table.add_row(source.source_id, *counts)
    return table


def absent_lines(sources: Sequence[SourcePulled]) -> list[str]:
    """Return a sentence per source about archives that the vendor does not have."""
    return [
        f"{source.source_id}: absent at the vendor, as before a listing or until it is published: "
        f"{_some(source.absent)}"
        for source in sources
        if source.absent
    ]


def missing_lines(sources: Sequence[SourcePulled]) -> list[str]:
    """Return what failed, the first reasons of every source, a line each."""
    lines = []
    for source in sources:
        reasons = [
            (reason, [missing.what for missing in alike])
            for reason, alike in groupby(source.missing, key=attrgetter("reason"))
        ]
        for reason, what in reasons[:MOST_NAMED]:
            lines.append(f"{source.source_id}: {_some(what)}: {reason}")
        n_more = sum(len(what) for _, what in reasons[MOST_NAMED:])
        if n_more:
            lines.append(f"{source.source_id}: {n_more:,} more")
    return lines


def _some(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return ", ".join(names)
    return f"{len(names):,} files, {names[0]} to {names[-1]}"
