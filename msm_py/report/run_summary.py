"""The end of ``msm run``: reports of a few runs, a line each of many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType

from msm_py.report.lake_report import lake_findings
from msm_py.report.run_report import run_report
from msm_py.report.run_screen import run_screen
from msm_py.report.sweep_report import headline, quality_lines
from msm_py.report.terminal import Text
from msm_py.runner.experiment_work import RunsEnded

MOST_REPORTS: Final = 3  # more than these are a line each


def are_whole(done: RunsEnded) -> bool:
    """Return whether few enough runs ended for a whole report of each."""
    return 0 < len(done.folders) <= MOST_REPORTS


def reports(done: RunsEnded, warehouse: Path, *, full: bool = False) -> Iterator[RenderableType]:
    """Yield the report of every run that ended; of many a line each, texts that wrap by words."""
    if are_whole(done):
        for folder in done.folders:
            yield (run_report if full else run_screen)(folder, warehouse=warehouse)
        return
    yield Group(*lake_findings(done.findings))  # else they stand at the top of each report
    for folder in done.folders:
        yield Text(f"{folder.name}: {headline(folder)}")
    yield from quality_lines(done.folders)
    if done.folders:
        yield Text("`msm show RUN_ID` shows one of them whole, `msm list` all runs.")
