"""The verdict of a robustness panel, and what it leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from msm_py.report import robustness_report
from msm_py.runner import robustness_panel
from msm_py.runner.robustness_panel import judge
from msm_py.store import layout

# --- The verdict ---------------------------------------------------------------------------------


def row(check: str, sharpe: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "check_name": check,
        "setting": "s",
        "status": "complete",
        "note": None,
        "net_sharpe": sharpe,
        "sign_flips": None if sharpe is None else sharpe <= 0,
        "edge_sign_flips": False,
        **changes,
    }


GOOD = [row("costs", 0.5), row("start", 0.8)]
WEAK = [row("placebo", 0.1 * k - 5) for k in range(50)]  # -5 to -0.1


@pytest.mark.parametrize(
    ("own", "rows", "verdict", "p"),
    [
        (1.0, [*GOOD, *WEAK], "robust", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("placebo", 1.0)], "robust", 2 / 52),
        (1.0, [*GOOD, *WEAK, *[row("placebo", 1.1)] * 2], "not robust", 3 / 53),
        (1.0, [*GOOD, *WEAK, row("costs", -0.1)], "not robust", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("costs", None)], "incomplete", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("costs", None), row("z", -0.1)], "not robust", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("z", 1.0, edge_sign_flips=True)], "not robust", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("z", None, status="failed")], "incomplete", 1 / 51),
        (1.0, [*GOOD, *WEAK, row("z", None, status="skipped")], "robust", 1 / 51),
        (1.0, [*GOOD, *WEAK[:18]], "incomplete", 1 / 19),
        (1.0, [*GOOD], "incomplete", None),
        (-0.4, [*GOOD, *WEAK], "nothing to be robust about", 5 / 51),
        (None, [*GOOD, *WEAK], "nothing to be robust about", None),
        # a placebo that held nothing counts as 0
        (-0.4, [row("placebo", None)] * 3, "nothing to be robust about", 1.0),
    ],
)
def test_verdicts(
    own: float | None, rows: list[dict[str, Any]], verdict: str, p: float | None
) -> None:
    found = judge({"net_sharpe": own}, rows)
    assert found["verdict"] == verdict
    assert found["placebo_p"] == (None if p is None else pytest.approx(p))


EMPTY = row("without feature", None, setting="momentum")


def test_a_neighbour_that_holds_nothing_has_no_sign_and_is_not_the_worst() -> None:
    found = judge({"net_sharpe": 1.0}, [*GOOD, EMPTY, *WEAK])
    assert (found["n_neighbours"], found["n_flips"], found["n_empty"]) == (3, 0, 1)
    assert (found["worst_check"], found["worst_net_sharpe"]) == ("costs", 0.5)
    alone = judge({"net_sharpe": 1.0}, [EMPTY, *WEAK])
    worst = [alone[name] for name in ("worst_check", "worst_setting", "worst_net_sharpe")]
    assert worst == [None, None, None]


def said(own: float | None, rows: list[dict[str, Any]]) -> str:
    result = {
        "net_sharpe": own,
        "net_cagr": None,
        "spread_trade_edge": 0.01,
        "spread_horizon_days": 5,
        "spread_p_value": None,
        "spread_evidence": None,
    }
    full = [{**result, "net_sharpe_change": None, **x} for x in rows]
    summary = {**result, **judge(result, rows)}
    panel = robustness_report.panel({"run_id": "r", "title": "t", "rows": full, "summary": summary})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(panel)
    assert max(map(len, capture.get().splitlines())) <= 80
    return " ".join(capture.get().split())


def test_the_panel_says_what_it_found() -> None:
    robust = said(1.0, [*GOOD, *WEAK])
    assert "Robust, as far as this panel can tell." in robust
    assert "Net Sharpe stays positive with all 2 neighbours. The worst is 0.50 (costs s)." in robust
    assert "stands above 100% of its 50 placebos (p 0.020)" in robust
    assert "The spread's trade edge (+1.00% over 5 days) keeps its sign." in robust
    unseen = said(1.0, [row("costs", 0.5, edge_sign_flips=None), *WEAK])
    assert "The spread cannot be compared" in unseen
    flipped = said(1.0, [*GOOD, *WEAK, row("costs", -0.1, setting="x2")])
    assert "Not robust. Net Sharpe turns negative with 1 of 3 neighbours (costs x2)." in flipped
    empty = said(1.0, [*GOOD, EMPTY, *WEAK])
    assert (
        "Incomplete: nothing speaks against the run, but not all is known. Net Sharpe stays "
        "positive with all 2 neighbours that hold anything. The worst is 0.50 (costs s). It holds "
        "nothing with 1 of 3 neighbours (without feature momentum)."
    ) in empty
    assert "momentum — — — +1.00 — empty" in empty
    alone = said(1.0, [EMPTY, *WEAK])
    assert "It holds nothing with 1 of 1 neighbours" in alone
    assert "The worst" not in alone
    assert "turns" not in alone
    loss = said(-0.38, [row("costs", 0.1, setting="x0", sign_flips=True), *WEAK])
    assert "There is nothing to be robust about: the net Sharpe ratio is -0.38." in loss
    assert "Net Sharpe turns positive with 1 of 1 neighbours (costs x0)." in loss
    assert "the run has no net Sharpe ratio" in said(None, [*GOOD, *WEAK])
    assert "too few for a p of 5%" in said(1.0, GOOD)
    failed = said(1.0, [*GOOD, row("costs", None, status="failed", note="no disk\nmore")])
    assert "costs s, FAILED: no disk" in failed
    short = row("start", None, status="skipped", note="271 days would be left, 272 are needed")
    skipped = said(1.0, [*GOOD, short, *WEAK])
    assert "s 0.50 — — +1.00 —" in skipped, "the reason squeezes the figures"
    assert "start s, skipped: 271 days would be left, 272 are needed" in skipped


# --- Leftovers -----------------------------------------------------------------------------------


DIGITS = "-0000000000"


def test_neighbours_that_no_panel_names_are_dropped_after_a_day(tmp_path: Path) -> None:
    hidden = tmp_path / ".robustness" / "runs"
    panels = {"there": ["shared", "named"], "gone": ["shared", "of_gone"]}
    for name, names in panels.items():
        run_id = f"{name}{DIGITS}"
        hidden.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = [{"neighbour_run_id": f"{each}{DIGITS}"} for each in names]
        rows.append({"neighbour_run_id": None})
        record = {"run_id": run_id, "title": "t", "rows": rows, "summary": {}}
        (hidden.parent / f"{run_id}.json").write_text(json.dumps(record))
    (tmp_path / f"there{DIGITS}").mkdir()
    for name in ("shared", "named", "of_gone", "wanted", "young"):
        folder = hidden / f"{name}{DIGITS}"
        folder.mkdir(parents=True)
        (folder / layout.MANIFEST).write_text(json.dumps({"run_id": folder.name}))
        if name != "young":
            os.utime(folder, (0, 0))

    def left() -> list[str]:
        return sorted(x.name.removesuffix(DIGITS) for x in hidden.iterdir())

    damaged = hidden.parent / f"there{DIGITS}.json"
    text = damaged.read_text()
    damaged.write_text(text[:20])
    robustness_panel.drop_leftovers(tmp_path, [f"wanted{DIGITS}", f"not_there_yet{DIGITS}"])
    assert left() == ["named", "of_gone", "shared", "wanted", "young"]
    damaged.write_text(text)
    robustness_panel.drop_leftovers(tmp_path, [])  # another process, while the first one computes
    assert left() == ["named", "shared", "wanted", "young"]
    assert [x.name for x in hidden.parent.glob("*.json")] == [f"there{DIGITS}.json"]
