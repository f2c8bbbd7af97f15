"""What ``msm lake ingest`` shows while it works and at its end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from msm_py.ingest.work import FilesRead, Making, Outcome, Waiting
from msm_py.report.figures import count_of
from msm_py.report.lake_report import lake_report
from msm_py.report.layout import fact_table, prose
from msm_py.report.terminal import Text


class IngestDisplay:
    """A bar of files on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("reading files", total=None)

    def __enter__(self) -> IngestDisplay:
        """Start the bar where there is a terminal to draw it on."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the bar."""
        self._bar.stop()

    def tell(self, event: FilesRead | Waiting | Making) -> None:
        """Show what goes on."""
        if isinstance(event, FilesRead):
            self._bar.update(
                self._task, completed=event.n_read, total=event.n_files, description=event.source
            )
        elif isinstance(event, Waiting):
            self._console.print(Text(f"Waiting: another ingest works in {event.store}."))
        else:
            since = "all days" if event.since is None else f"the days from {event.since} on"
            self._bar.update(self._task, description=f"making {since}")


def ingest_report(outcome: Outcome, store: Path, *, dry_run: bool) -> RenderableType:
    """Return what an ingest came to."""
    parts: list[RenderableType] = [
        Text(
            f"{count_of(outcome.n_files, 'file')}, {outcome.n_new_files} of them new"
            if outcome.n_files
            else "No file was read: the lake of a day that is past."
        )
    ]
    rows = [
        (
            source,
            f"{one.n_new:,} new, {one.n_revised:,} revised, {one.n_same:,} known before"
            + (f", {one.n_contradicting:,} contradict each other" if one.n_contradicting else ""),
        )
        for source, one in outcome.added.items()
    ]
    rows += [(table, f"{n:,} rows made") for table, n in outcome.tables.items()]
    if rows:
        parts.append(fact_table(*rows))
    parts += [
        prose(
            f"! {note.source}, {note.table}: {note.reason}: {note.n:,} (such as {note.example})",
            "yellow",
        )
        for note in outcome.notes
    ]
    parts += [
        prose(
            f"!! {source}: {count_of(n, 'file')} that are gone were read in another way than now: "
            "what they said is not used. Put them back, or the old mapping.",
            "bold red",
        )
        for source, n in outcome.unread.items()
    ]
    if dry_run:
        return Group(*parts, Text("A dry run: nothing was written."))
    if outcome.generation is None:
        return Group(*parts, Text(f"Nothing new: {store / 'lake'} stays as it is."))
    if outcome.report is not None:
        parts += [Text(), lake_report(outcome.report)]
    parts.append(Text())
    if outcome.is_published:
        parts.append(Text(f"Published: {store / 'lake'} is {outcome.generation.id}."))
        parts.append(Text(f"Next: msm run EXPERIMENT --lake {store / 'lake'}"))
    else:
        parts.append(Text(f"Made, not published: {outcome.generation.folder}"))
    if outcome.removed:
        parts.append(Text(f"Removed old lakes: {', '.join(outcome.removed)}", style="dim"))
    return Group(*parts)
