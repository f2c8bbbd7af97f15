"""What is wrong with a lake, as shown by its check and at the top of every run on it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import RenderableType
from rich.constrain import Constrain

from msm_py.lake.check import LakeReport
from msm_py.report.figures import count_of
from msm_py.report.layout import PROSE_WIDTH, prose
from msm_py.report.terminal import Table, Text
from msm_py.store.lake_records import Findings


def report_table(report: LakeReport) -> Table:
    """Return a report as a rich table, one row per item."""
    colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    title = Text(f"Lake {report.lake}: {report.verdict}", style="table.title")
    table = Table(title=title, show_lines=False)
    for heading in ("table", "check", "verdict", "detail"):
        table.add_column(heading, no_wrap=heading != "detail")
    shown = ""
    for item in report.items:
        detail = Text(item.detail)
        if item.remedy:
            detail.append(f"\n-> {item.remedy}", style="italic")
        table.add_row(
            item.table if item.table != shown else "",
            item.check,
            Text(item.verdict, style=colours[item.verdict]),
            detail,
        )
        shown = item.table
    return table


def lake_findings(found: Findings) -> Iterator[RenderableType]:
    """Yield what the lake check fails, with its remedies, and how much it warns of."""
    if found.failures:
        yield prose(
            f"The check of the lake fails ({count_of(len(found.failures), 'item')}): mend the lake "
            "before you believe a number.",
            "bold white on red",
        )
        for item in found.failures:
            text = Text.assemble((f"!! {item.table}, {item.check}: ", "bold red"), item.detail)
            if item.remedy:
                text.append(f"\n-> {item.remedy}", style="italic")
            yield Constrain(text, PROSE_WIDTH)
    for item in found.loud:
        text = Text.assemble((f"! {item.table}, {item.check}: ", "yellow"), item.detail)
        if item.remedy:
            text.append(f"\n-> {item.remedy}", style="italic")
        yield Constrain(text, PROSE_WIDTH)
    if found.n_warnings:
        yield prose(
            f"The check of the lake warns ({count_of(found.n_warnings, 'item')}): "
            f"{_check_command(found)}",
            "dim",
        )
    if found.failures or found.n_warnings:
        yield Text()


def lake_line(found: Findings) -> Iterator[RenderableType]:
    """Yield a line on what the lake check found, for what is said of many runs at once."""
    if found.failures:
        failing = ", ".join(f"{item.table} {item.check}" for item in found.failures)
        yield Text(
            f"!! The check of the lake fails ({failing}): {_check_command(found)}", style="bold red"
        )
    elif found.n_warnings:
        loud = "".join(f"; {item.table} {item.check}: {item.detail}" for item in found.loud)
        yield Text(
            f"The check of the lake warns ({count_of(found.n_warnings, 'item')}{loud}): "
            f"{_check_command(found)}",
            style="yellow" if loud else "dim",
        )


def _check_command(found: Findings) -> str:
    return f"msm lake check {shlex.quote(found.path)}"
