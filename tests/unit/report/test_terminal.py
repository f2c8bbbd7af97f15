"""Text from files is shown as it stands: it steers nothing, hides nothing, crashes nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.text import Text as RichText
from support.hostile_text import ENCODINGS, HOSTILE, MARKUP, SHOWN_IN, STEERING, clean, terminal
from support.pipeline import ROOT
from support.run_content import FIVE, catalog_row, make_warehouse, run_content, write

from msm_py.lake.check import LakeReport
from msm_py.lake.check_items import Item
from msm_py.report import robustness_report, sweep_report
from msm_py.report.comparison import comparison
from msm_py.report.lake_report import lake_report
from msm_py.report.progress import RunDisplay
from msm_py.report.run_report import run_report
from msm_py.report.runs_table import Choice, choose, runs_table
from msm_py.report.terminal import REPLACEMENT, Table, Text, encodable, visible
from msm_py.runner import robustness_panel
from msm_py.runner.experiment_work import Computing
from msm_py.runner.invocation import NodeFinished
from msm_py.store.trial import Trial

# --- The cleaner ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "character",
    [chr(code) for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
    + list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    + list("\u00ad\u200b\u2028\u2029\u2060\ufeff\U000e0041\ud800"),
    ids=ascii,
)
def test_what_is_not_seen_is_replaced_by_one_cell(character: str) -> None:
    assert visible(f"a{character}b") == f"a{REPLACEMENT}b"
    assert cell_len(REPLACEMENT) == 1
    assert Text(f"a{character}b").append(character).plain == f"a{REPLACEMENT}b{REPLACEMENT}"


@pytest.mark.parametrize(
    "text", ["two\n\tlines", "\u0645\u06cc\u200c\u062e\u0648", "👩\u200d🔬", "é 牛 — 🦀\ufe0f"]
)
def test_what_is_seen_stays(text: str) -> None:
    assert visible(text) == text


def test_stand_ins_are_as_wide_as_what_they_stand_for() -> None:
    text = "— \u2212 … \u00d7 “q” \u2018q\u2019 │ ┃ ─ ━ ▁▂▃▄▅▆▇█ ▏▎▍▌▋▊▉ ▲ → é 牛 🦀"
    shown = encodable(text, "ascii")
    assert shown == "- - ~ x \"q\" 'q' | | - - ..::++## ..::++# ^ > ? ?? ??"
    assert cell_len(shown) == cell_len(text)
    assert encodable(text, "utf-8") == text
    assert "\u00d7 " in encodable(text, "latin-1")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", [str, Text, RichText])
def test_whatever_is_printed_passes_the_cleaner(encoding: str, kind: Callable[[str], Any]) -> None:
    console, written = terminal(encoding)
    console.print(kind(HOSTILE))
    shown = written().rstrip("\n")
    if kind is RichText:  # rich itself takes the bell away
        bell = encodable(REPLACEMENT, encoding)
        assert shown == SHOWN_IN[encoding].replace(f"2J{bell}", "2J", 1)
    else:
        assert shown == SHOWN_IN[encoding]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tables_stay_aligned(encoding: str) -> None:
    console, written = terminal(encoding)
    table = Table(title=Text(HOSTILE))
    table.add_column("title", no_wrap=True)
    table.add_column("number", justify="right")
    for title in (HOSTILE, "plain", STEERING):
        table.add_row(title, "1")
    console.print(table)
    lines = written().rstrip("\n").split("\n")
    assert SHOWN_IN[encoding] in lines[0]
    assert SHOWN_IN[encoding] in lines[4]
    assert len({cell_len(line) for line in lines[1:]}) == 1
    assert clean("".join(lines))


def test_styles_and_control_of_rich_itself_stay() -> None:
    console, written = terminal(force_terminal=True, color_system="standard", width=300)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        progress.add_task(HOSTILE)
        console.print(Text("blue", style="blue"))
    assert "\x1b[34mblue\x1b[0m" in written()
    assert "\x1b[?25l" in written()  # the cursor is hidden
    assert f"{MARKUP} {REPLACEMENT}[31m" in written()
    assert STEERING[:5] not in written()


def test_the_display_of_a_run_shows_its_title() -> None:
    console, written = terminal(force_terminal=True, color_system=None)
    with RunDisplay(console, lambda *_: None) as display:
        display.tell(Computing(1, HOSTILE))
        display.tell(NodeFinished("states", HOSTILE, 1.0, 1, 2))
    assert MARKUP in written()
    assert SHOWN_IN["utf-8"] in " ".join(written().split())
    assert "running the state machine, 1 of 2 done, 1 s" in " ".join(written().split())
    assert STEERING[:5] not in written()


# --- What is shown, in any console ---------------------------------------------------------------


def shown(renderable: Any) -> str:
    """Return what a console of rich's, such as a notebook's, shows."""
    file = io.StringIO()
    Console(file=file, width=300).print(renderable)
    assert clean(file.getvalue())
    return " ".join(file.getvalue().split())


def test_reports_are_literal(tmp_path: Path) -> None:
    content = run_content(FIVE)
    content["metrics"] |= {"title": HOSTILE, "warnings": [HOSTILE]}
    content["manifest"]["lake"]["name"] = HOSTILE
    for row in content["evaluation"]["edges"]:
        row["evidence"] = MARKUP
    a = write(tmp_path / "a", content)
    content["manifest"]["lake"] |= {"name": "[/other]", "fingerprint": "f" * 64}
    content["manifest"]["spec"]["universe"] = {"exclude_assets": [HOSTILE]}
    b = write(tmp_path / "b", content, [MARKUP] * 4)
    report = shown(run_report(a))
    assert report.count(SHOWN_IN["utf-8"]) == 3
    assert report.count(MARKUP) > 3
    compared = shown(comparison(a, b))
    assert compared.count(SHOWN_IN["utf-8"]) == 4
    assert "[/other]" in compared
    assert f"2024-01-01 BALANCED {MARKUP}" in compared
    rows = [catalog_row("one-0123456789", "2026-01-01 00:00:00", title=HOSTILE)]
    file = make_warehouse(tmp_path / "m.duckdb", rows, [])
    assert SHOWN_IN["utf-8"] in shown(runs_table(choose(file, Choice()), Choice(), file))


def test_the_check_of_a_lake_is_literal() -> None:
    items = (Item("dim_asset", HOSTILE, "fail", HOSTILE, HOSTILE),)
    table = shown(lake_report(LakeReport(HOSTILE, items)))
    assert table.count(SHOWN_IN["utf-8"]) == 4


def sweep_record() -> dict[str, Any]:
    overall = {"n_runs": 1, "n_common_days": 100, "pbo": None, "spa_p_consistent": None}
    run = dict.fromkeys(("net_sharpe", "deflated_sharpe", "is_tied_with_leader", "is_superior"))
    return {
        "sweep_id": HOSTILE,
        "started_at": HOSTILE,
        "n_trials": 1,
        "overall": overall,
        "runs": [{"run_id": HOSTILE, **run}],
        "trials": [{"run_id": HOSTILE, "title": HOSTILE}],
        "edges": [],
    }


def test_sweeps_are_literal(tmp_path: Path) -> None:
    assert shown(sweep_report.leaderboard(sweep_record(), tmp_path)).count(SHOWN_IN["utf-8"]) == 2
    listed = shown(sweep_report.listing([sweep_record()], tmp_path))
    assert listed.count(SHOWN_IN["utf-8"]) == 2
    failed = Trial(None, HOSTILE, HOSTILE, "failed", error=HOSTILE)
    line = shown(sweep_report.trial_line(failed, 1, 2, tmp_path))
    assert line.startswith(f"[1/2] {SHOWN_IN['utf-8']}, {SHOWN_IN['utf-8']}, failed: ")
    assert line.endswith(SHOWN_IN["utf-8"])


def test_panels_are_literal() -> None:
    row = {"check_name": MARKUP, "setting": HOSTILE, "status": "failed", "note": HOSTILE}
    figures = ("net_sharpe", "net_cagr", "spread_trade_edge", "spread_p_value", "spread_evidence")
    summary = {
        **dict.fromkeys((*figures, "placebo_p")),
        "verdict": robustness_panel.NOTHING,
        "n_placebos": 50,
        "n_failed": 1,
    }
    record = {"run_id": MARKUP, "title": HOSTILE, "rows": [row], "summary": summary}
    panel = shown(robustness_report.panel(record))
    assert panel.count(SHOWN_IN["utf-8"]) == 4
    assert panel.count(MARKUP) == 7


def test_no_module_has_text_or_tables_of_its_own() -> None:
    """What parses markup, and what the cleaner does not see before it is laid out."""
    other = re.compile(
        r"rich\.(markup|text|table)|from_markup|markup=True|emoji=True|highlight=True|Console\("
        r"|\"\[/?(bold|red|green|yellow|dim|cyan)"
    )
    found = [
        f"{file.name}: {line}"
        for file in sorted((ROOT / "msm_py").rglob("*.py"))
        if file.name != "terminal.py"
        for line in file.read_text().splitlines()
        if other.search(line)
    ]
    assert found == []
