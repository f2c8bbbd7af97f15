"""What is wrong with a lake, as shown by its check and at the top of every run on it."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain

from msm_py.lake.check import LakeReport
from msm_py.lake.check_items import ABSENT, Item, Verdict
from msm_py.report.figures import count_of
from msm_py.report.layout import PROSE_WIDTH, fact_table, prose, section
from msm_py.report.terminal import Text
from msm_py.store.lake_records import Findings

COLOURS: Final[Mapping[Verdict, str]] = {"fail": "bold red", "warn": "yellow", "ok": "green"}
MARKS: Final[Mapping[Verdict, str]] = {"ok": " ", "warn": "!", "fail": "!!"}


def lake_report(report: LakeReport, *, every: bool = False) -> RenderableType:
    """Return what a check found: a summary, what is wrong with remedies, the summary again.

    Parameters
    ----------
    report
        The outcomes.
    every
        Whether items that are well are shown too.
    """
    shown = [item for item in report.items if every or item.verdict != "ok"]
    parts: list[RenderableType] = [_verdict(report), *_headlines(report)]
    for table, items in itertools.groupby(shown, key=lambda item: item.table):
        parts += section(table, *map(_item, items))
    last = _verdict(report)
    if not every and any(item.verdict == "ok" for item in report.items):
        last.append("; --all shows the others too", style="dim")
    if len(shown) > 1:
        parts += [Text(), last]
    return Group(*parts)


def _verdict(report: LakeReport) -> Text:
    counts = Counter(item.verdict for item in report.items)
    words: Mapping[Verdict, str] = {
        "fail": "fails: mend it before you believe a number",
        "warn": "can be used; read what the check warns of",
        "ok": "is in order",
    }
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLOURS)
    line = Text(f"Lake {report.lake} ", style="bold")
    line.append(words[report.verdict], style=COLOURS[report.verdict])
    return line.append(f" ({said})", style="default")


def _headlines(report: LakeReport) -> Iterator[RenderableType]:
    """Yield what the lake has, and what runs have of it."""
    rows = [
        (item.table, item.detail)
        for item in report.items
        if item.check == "rows" and item.detail != ABSENT
    ]
    absent = [item.table for item in report.items if item.detail == ABSENT]
    if absent:
        rows.append(("not there", ", ".join(absent)))
    rows += [("runs have", item.detail) for item in report.items if item.check == "what runs have"]
    yield fact_table(*rows)


def _item(item: Item) -> RenderableType:
    text = Text.assemble(
        (f"{MARKS[item.verdict]} {item.check}: ".lstrip(), COLOURS[item.verdict]), item.detail
    )
    if item.remedy:
        text.append(f"\n-> {item.remedy}", style="italic")
    return Constrain(text, PROSE_WIDTH)


def as_rows(report: LakeReport) -> list[dict[str, object]]:
    """Return every outcome as a row for programs."""
    return [asdict(item) for item in report.items]


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
