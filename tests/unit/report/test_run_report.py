"""What the terminal shows of runs: every number there, no line too long, no word too much."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from support.run_content import (
    FIVE,
    THREE,
    catalog_row,
    edge,
    make_warehouse,
    run_content,
    stamp_of,
    trading,
    write,
)

from msm_py.errors import MsmError
from msm_py.report.comparison import comparison
from msm_py.report.figures import MISSING, excludes_zero, figure, p_text
from msm_py.report.run_report import run_report
from msm_py.report.run_screen import run_screen
from msm_py.report.verdict import verdict
from msm_py.store import layout
from msm_py.store.families import Family
from msm_py.store.run import Run

Write = Callable[..., Path]
WIDTHS = (80, 100, 120)
ALONE = Family(1, 0.87, {(5, name): 0.004 for name in ("edge_best", "spread")})


def shown(renderable: RenderableType, width: int = 120) -> str:
    """Return what a file gets, and see that nothing is cut off and no line is too long."""
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    text = out.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    return text


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def content() -> dict[str, Any]:
    return run_content(FIVE)


@pytest.fixture
def run(tmp_path: Path) -> Write:
    return lambda content, name="demo-0123456789": write(tmp_path / "runs" / name, content)


@pytest.mark.parametrize("width", WIDTHS)
def test_report_shows_every_headline_number_at_every_width(
    content: dict[str, Any], run: Write, width: int
) -> None:
    text = shown(run_report(run(content), warehouse=Path("warehouse/msm.duckdb")), width)
    for expected in (
        "Demo [not markup]",
        "demo-0123456789",
        "2024-01-01 to 2024-12-31",
        "365 decision days, 100 of them test days",
        "12.3 switches a year, average stay 8.8 days",
        "WEAK_RISK_ON_MAJORS",
        "26.0%",
        "95 days",
        "plus is good",
        "12.3%",  # total return
        "1.25",  # Sharpe
        "87.0%",  # PSR
        "-8.0%",  # max drawdown
        "12d",
        "1.83%",  # costs
        "-0.21%",  # funding
        "99.0%",  # BTC
        "1 warning:",
        "! Something [to know] about the numbers.",
        "manifest.json",
        "warehouse/msm.duckdb",
        "msm show demo-0123456789",
        "msm diff demo-0123456789",
        "docs/bi.md",
    ):
        assert expected in words(text), expected


def test_edge_row_carries_all_its_numbers_in_order(content: dict[str, Any], run: Write) -> None:
    content["evaluation"]["edges"][3] |= {"p_edge": 0.044, "p_shift": 0.044, "ci_high": -0.001}
    text = shown(run_report(run(content)), 120)
    assert "Negative Y and edge are good for the trade" in words(text)
    (row,) = [
        line.split()
        for line in text.splitlines()
        if line.startswith("WEAK_RISK_ON_MAJORS") and "normal" in line
    ]
    # state, n, spells, mean Y, hit rate, edge, CI, trade edge, p_edge, p_shift, p_max_t, p_ewc
    assert (
        row[1:] == "95 12 -1.23 44 -0.90 -2.90 -0.10 +0.90 0.044* 0.044 0.430 0.420 normal".split()
    )


def test_narrow_report_has_short_names_and_the_same_numbers(
    content: dict[str, Any], run: Write
) -> None:
    text = shown(run_report(run(content)), 80)
    (row,) = [line.split() for line in text.splitlines() if line.startswith("weak majors")]
    assert row[2:] == "95/12 -1.23 44 -0.90 -2.90 1.10 +0.90 0.410 0.410 normal".split()


def widest(content: dict[str, Any]) -> None:
    for row in content["evaluation"]["edges"]:
        row |= {"estimate": -0.123, "ci_low": -0.234, "ci_high": -0.112, "trade_edge": 0.123}
        row |= {"p_edge": 0.001, "n_spells": 123, "evidence": "shift only"}
    for row in content["evaluation"]["regime_statistics"]:
        row |= {"n": 1234, "n_spells": 123, "mean": -0.123, "hit_rate": 1.0}


def test_widest_numbers_fit_80_columns(content: dict[str, Any], run: Write) -> None:
    widest(content)
    text = shown(run_report(run(content)), 80)
    (row,) = [line.split() for line in text.splitlines() if line.startswith("weak majors")]
    assert "strong majors" in text
    expected = "1234/123 -12.3 100 -12.3 -23.4 -11.2 +12.3 0.001* 0.410 shift only"
    assert row[2:] == expected.split()


def test_the_first_screen_is_24_lines_of_80_columns(content: dict[str, Any], run: Write) -> None:
    widest(content)
    content["metrics"]["warnings"] = [f"Warning {i}. It goes on and on. " * 5 for i in range(9)]
    text = shown(run_screen(run(content)), 80)
    lines = text.rstrip().splitlines()
    assert len(lines) <= 23, text
    assert max(map(len, lines)) <= 80
    for expected in (
        "Demo [not markup]",
        "demo-0123456789, 2024-01-01 to 2024-12-31, 100 test days",
        "weak majors 1234/123 +12.3 +11.2 +23.4 0.001* shift only",
        "plus is good for long majors, short alts",
        "strategy, net",
        "ungated, net",
        "! Warning 0",
        "! and 7 warnings more",
        "msm show demo-0123456789 --full",
    ):
        assert expected in words(text), expected


def test_few_spells_show_neither_p_nor_interval(content: dict[str, Any], run: Write) -> None:
    content["evaluation"]["edges"][3] = edge("WEAK_RISK_ON_MAJORS", -0.009, 2)
    (row,) = [
        line.split()
        for line in shown(run_report(run(content)), 100).splitlines()
        if line.startswith("WEAK_RISK_ON_MAJORS") and "none" in line
    ]
    assert row[3:] == ["-1.23", "44", "-0.90", MISSING, MISSING, "+0.90", *[MISSING] * 2, "none"]


def test_student_p_of_overlapping_returns_is_not_shown(content: dict[str, Any], run: Write) -> None:
    assert "<.001" not in shown(run_report(run(content)))


def test_states_never_seen_are_named_not_tabulated(content: dict[str, Any], run: Write) -> None:
    text = shown(run_report(run(content)), 120)
    assert "Never seen: STRONG_RISK_ON_ALTS, STRONG_RISK_ON_MAJORS." in words(text)
    assert sum(line.startswith("STRONG_RISK_ON_ALTS") for line in text.splitlines()) == 1


@pytest.mark.parametrize(
    ("estimate", "evidence", "colour"),
    [
        (-0.05, "normal", "32"),  # green: alts fall behind BTC, which the trade wants
        (0.05, "normal", "31"),
        (-0.05, "low", None),
        (-0.001, "normal", None),
    ],
)
def test_colour_means_good_for_the_trade_and_needs_evidence(
    content: dict[str, Any],
    run: Write,
    estimate: Any,
    evidence: Any,
    colour: Any,
) -> None:
    is_sure = abs(estimate) > 0.02
    content["evaluation"]["edges"][-1] = edge(
        "spread", estimate, p_edge=0.01 if is_sure else 0.9, evidence=evidence
    )
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(
        run_report(run(content))
    )
    line = next(line for line in out.getvalue().splitlines() if line.startswith("spread "))
    assert ("\x1b[3" in line) == (colour is not None)
    assert colour is None or f"\x1b[{colour}m" in line
    assert ("0.010*" in line) == is_sure  # what colour says stands there in plain text, too


@pytest.mark.parametrize("width", WIDTHS)
def test_three_states(run: Write, width: int) -> None:
    text = shown(run_report(run(run_content(THREE, 3))), width)
    assert "RISK_ON_ALTS" in text
    assert "STRONG" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_run_without_regime_evaluation(content: dict[str, Any], run: Write, width: int) -> None:
    content["evaluation"] |= {"edges": [], "regime_statistics": []}
    text = words(shown(run_report(run(content)), width))
    assert "Not evaluated (backtest.with_regime_eval: false)" in text
    assert "nothing is known of an edge" in text
    assert "1.25" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_single_state_run_that_never_traded(run: Write, width: int) -> None:
    content = run_content({"BALANCED": 365})
    content["evaluation"]["edges"][-1] = edge("spread", None, 0)
    undefined = dict.fromkeys(
        ("sharpe", "sortino", "calmar", "hit_rate", "probabilistic_sharpe", "skewness", "kurtosis")
    )
    content["metrics"]["headline"] = {
        series: trading(n_invested_days=0, cagr=0.0, **undefined) for series in ("net", "gross")
    }
    text = words(shown(run_report(run(content)), width))
    assert "The score never left BALANCED" in text
    assert "held nothing on test days" in text
    assert f"Sharpe {MISSING} {MISSING} 0.75" in text
    assert "nan" not in text.lower()
    assert "None" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_missing_numbers_are_dashes(content: dict[str, Any], run: Write, width: int) -> None:
    content["metrics"]["controls"] = {"btc": None}
    for part in (
        content["metrics"]["coverage"],
        *content["metrics"]["headline"].values(),
        *content["evaluation"]["edges"],
    ):
        part |= {
            key: None
            for key in part
            if key not in ("horizon_days", "edge", "evidence", "n_spells", "block_days")
        }
    text = shown(run_report(run(content)), width)
    assert MISSING in text
    assert "None" not in text


def test_verdict_without_an_edge_says_that_none_is_shown(
    content: dict[str, Any], run: Write
) -> None:
    said = verdict(Run.read(run(content)), ALONE)
    assert said.startswith("No edge is shown, which is not to say that there is none.")
    assert "The spread (WEAK_RISK_ON_MAJORS against WEAK_RISK_ON_ALTS) has no trade edge" in said
    assert "The best state (WEAK_RISK_ON_MAJORS) has no trade edge" in said
    assert "that can be told from 0 at 5%, at any horizon; the smallest p_edge is" in said
    assert "at 5 days: +2.00% (CI 0.00% to +4.00%, p_edge 0.410, evidence normal)" in said
    assert "Of 4 tests looked at (states and spread, all horizons), none find an edge at 5%" in said
    assert "luck alone finds about 0.2" in said
    assert "p_max_t" in said


@pytest.mark.parametrize(
    ("estimate", "changes", "opening"),
    [
        (-0.05, {}, "The states show an edge in favour of the trade."),
        (0.05, {}, "The states show an edge against the trade."),
        (
            -0.05,
            {"p_edge": 0.04},
            "The states hint at an edge in favour of the trade, not more: it is in doubt for being "
            "one of 2 tests of spread and best state (p_edge 0.040 x 2 = 0.08).",
        ),
        (
            -0.05,
            {"evidence": "low", "n_spells": 6},
            "The states hint at an edge in favour of the trade, not more: it is in doubt for thin "
            "evidence (low, 6 spells).",
        ),
        (-0.05, {"p_edge": 0.2, "p_shift": 0.2}, "No edge is shown"),
    ],
)
def test_verdict_on_an_edge_names_direction_and_doubts(
    content: dict[str, Any],
    run: Write,
    estimate: Any,
    changes: Any,
    opening: str,
) -> None:
    own = {"p_edge": 0.004, "p_value": 0.002, "p_shift": 0.004, **changes}
    content["evaluation"]["edges"][-1] = edge("spread", estimate, **own)
    said = verdict(Run.read(run(content)), ALONE)
    assert said.startswith(opening)
    assert ("has a trade edge other than 0 at 5%: at 5 days" in said) == (own["p_edge"] < 0.05)


def test_verdict_on_edges_without_tests(content: dict[str, Any], run: Write) -> None:
    for row in content["evaluation"]["edges"]:
        row |= {"p_edge": None, "ci_low": None, "ci_high": None, "evidence": "none"}
    said = verdict(Run.read(run(content)), ALONE)
    assert said.startswith("No edge could be tested: too few spells, or too short a window.")


def test_a_horizon_that_needs_a_longer_window_says_how_long(
    content: dict[str, Any], run: Write
) -> None:
    # 365 days in all: 120 of them have a return over 60 days
    for row in content["evaluation"]["regime_statistics"]:
        row |= {"horizon_days": 60, "n": 120 if row["regime"] == "BALANCED" else 0}
    for row in content["evaluation"]["edges"]:
        row |= {"horizon_days": 60, "p_edge": None, "ci_low": None, "evidence": "none"}
    needed = (
        "At 60 days nothing can be tested: the 120 days with a forward return are 0.7 blocks of "
        "180 days, and it takes 8, a window of 1,501 counted days."
    )
    content["manifest"]["spec"]["backtest"]["execution_lag_days"] = 1
    folder = run(content)
    assert needed in verdict(Run.read(folder), ALONE)
    assert needed in words(shown(run_report(folder), 100))


def test_two_states_are_looked_at_once(run: Write) -> None:
    two = run_content({"RISK_ON_ALTS": 200, "RISK_ON_MAJORS": 165}, 3)
    for row in two["evaluation"]["edges"]:
        row |= {"p_edge": 0.03, "ci_low": 0.01, "ci_high": 0.02, "trade_edge": -0.015}
    folder = run(two)
    said = verdict(Run.read(folder), ALONE)
    assert said.startswith("The states show an edge against the trade.")  # 1 test, not 2
    assert "Of 1 test looked at (states and spread, all horizons), 1 finds an edge at 5%" in said
    assert "one hypothesis" in words(shown(run_report(folder), 100))


def test_a_run_of_an_older_version_can_be_shown(content: dict[str, Any], run: Write) -> None:
    for row in content["evaluation"]["edges"]:
        for name in ("p_edge", "p_ewc", "regime", "against_regime"):
            row.pop(name)
    text = shown(run_report(run(content)), 120)
    assert "0.410 0.430 — normal" in words(text)
    assert "p_edge 0.410" in words(text)  # the larger of its two


def test_verdict_without_bootstrap_rules_no_chance_out(content: dict[str, Any], run: Write) -> None:
    content["manifest"]["spec"]["evaluation"]["bootstrap"]["enabled"] = False
    assert "chance is not ruled out" in verdict(Run.read(run(content)), ALONE)


def test_verdict_warns_of_the_percentile_bootstrap(content: dict[str, Any], run: Write) -> None:
    content["manifest"]["spec"]["evaluation"]["bootstrap"]["method"] = "percentile"
    assert "excludes 0 too easily" in verdict(Run.read(run(content)), ALONE)


@pytest.mark.parametrize(
    ("net", "p", "said"),
    [
        ({}, 0.012, "Net of costs, gating beats the ungated control by Sharpe ratio (p 0.012)."),
        (
            {},
            0.31,
            "No difference between gating and the ungated control can be shown by Sharpe ratio "
            "(p 0.310).",
        ),
        (
            {"sharpe": -1.0},
            0.05,
            "Net of costs, gating is worse than the ungated control by Sharpe ratio (p 0.050).",
        ),
        ({}, None, "Whether gating beats the ungated control by Sharpe ratio could not be tested."),
        ({"cagr": -0.1}, 0.5, "Before costs it made +60.0% a year."),
    ],
)
def test_verdict_tests_gating_against_the_ungated_control(
    content: dict[str, Any], run: Write, net: Any, p: float | None, said: str
) -> None:
    content["metrics"]["headline"]["net"] |= net
    content["metrics"]["sharpe_tests"] |= {"p_ungated": p}
    assert said in verdict(Run.read(run(content)), ALONE)


def test_verdict_gives_the_interval_of_the_sharpe_ratio(
    content: dict[str, Any], run: Write
) -> None:
    said = verdict(Run.read(run(content)), ALONE)
    assert "(Sharpe 1.25, 95% CI -0.50 to 3.00)" in said
    assert "No difference between the strategy and BTC can be shown by Sharpe ratio" in said
    content["metrics"]["headline"]["net"]["sharpe"] = None
    assert (
        "gating"
        not in verdict(Run.read(run(content, "b-0000000000")), ALONE).split("without gating")[1]
    )


@pytest.mark.parametrize(
    ("family", "opening"),
    [
        (Family(60, 0.4, {(5, "spread"): 0.05}), "The states show an edge in favour of the trade."),
        (
            Family(60, 0.4, {(5, "spread"): 0.21}),
            "The states hint at an edge in favour of the trade, not more: it is in doubt for being "
            "one of 60 questions tried on these days (p 0.004 becomes 0.210).",
        ),
        (
            None,
            "The states hint at an edge in favour of the trade, not more: it is in doubt for the "
            "number of questions tried, which nobody has counted (`msm catalog rebuild` does).",
        ),
    ],
)
def test_an_edge_must_stand_among_all_that_was_tried(
    content: dict[str, Any], run: Write, family: Family | None, opening: str
) -> None:
    content["evaluation"]["edges"][-1] = edge("spread", -0.05, p_edge=0.004)
    said = verdict(Run.read(run(content)), family)
    assert said.startswith(opening)
    assert ("above what the best of 60 tries reaches by luck 40% (deflated" in said) == bool(family)


def test_report_says_of_how_many_questions_a_run_is_one(tmp_path: Path) -> None:
    """Two questions on the same days: each report counts both, and none without a warehouse."""
    runs, file = tmp_path / "runs", tmp_path / "msm.duckdb"
    folder = write(runs / "demo-0123456789", run_content(FIVE))
    assert "family unknown" in words(shown(run_report(folder, warehouse=file)))
    rows = [
        catalog_row(name, "2026-01-01 00:00:00", n_family=2, deflated_sharpe=0.625)
        for name in ("demo-0123456789", "other-0000000000")
    ]
    make_warehouse(file, rows, [])
    stamp_of(runs, file)
    text = words(shown(run_report(folder, warehouse=file)))
    assert "family one of 2 questions tried on these days: deflated Sharpe ratio 0.62" in text


def test_interval_and_p_must_both_speak_against_0() -> None:
    sure = edge("spread", 0.05, p_edge=0.01)
    assert excludes_zero(sure)
    assert not excludes_zero({**sure, "p_edge": 0.2})  # as p_shift says
    assert not excludes_zero({**sure, "ci_low": None, "ci_high": None})
    assert not excludes_zero({**sure, "ci_low": -0.01})


def test_missing_and_broken_run_folders_are_reported(
    content: dict[str, Any], run: Write, tmp_path: Path
) -> None:
    with pytest.raises(MsmError, match="no such run") as missing:
        run_report(tmp_path / "runs" / "nothing")
    assert "msm list" in str(missing.value)
    folder = run(content)
    (folder / layout.METRICS).write_text("{")
    with pytest.raises(MsmError, match="broken"):
        run_report(folder)


def test_figures() -> None:
    assert figure(-0.0004, 1, "%") == "0.0%"
    assert figure(1234.5, 1) == "1,234.5"
    assert figure(0.123, 1, "%", sign=True) == "+12.3%"
    assert p_text(0.00049) == "<.001"
    assert p_text(1.0) == "1.000"


# --------------------------------------------------------------------------------- the comparison


@pytest.mark.parametrize("width", WIDTHS)
def test_comparison_shows_what_differs(content: dict[str, Any], tmp_path: Path, width: int) -> None:
    other = copy.deepcopy(content)
    other["manifest"]["spec"]["features"][0]["weight"] = 0.25
    other["manifest"]["spec"]["state_mapping"]["thresholds"] = {"high": 0.5}
    other["manifest"]["code_fingerprint"] = "beef" * 16
    other["metrics"]["run_id"] = "other-9876543210"
    other["metrics"]["headline"]["net"] |= {"cagr": 0.4, "sharpe": None}
    other["evaluation"]["edges"][-1] = edge("spread", 0.03)
    a = write(tmp_path / "a", content, ["BALANCED"] * 4)
    b = write(tmp_path / "b", other, ["BALANCED", "WEAK_RISK_ON_ALTS"] * 2 + ["BALANCED"])
    text = words(shown(comparison(a, b), width))
    for expected in (
        "A demo-0123456789",
        "B other-9876543210",
        "features.momentum.weight -0.5 0.25",
        "state_mapping.thresholds.low -0.5 not there",
        "state_mapping.thresholds.high not there 0.5",
        "Not comparable: other code.",
        "c0dec0dec0de beefbeefbeef",
        "CAGR 50.0% 40.0% -10.0 pp",
        f"Sharpe 1.25 {MISSING} {MISSING}",
        "spread +2.00 0.410 normal -3.00 0.410 normal -5.00",
        "The states differ on 2 of 4 common days (50.0%).",
        "2024-01-02 BALANCED WEAK_RISK_ON_ALTS",
    ):
        assert expected in text, expected


def test_comparison_of_a_run_with_itself_finds_nothing(
    content: dict[str, Any], tmp_path: Path
) -> None:
    folder = write(tmp_path / "a", content)
    text = shown(comparison(folder, folder))
    assert "The same." in text
    assert "Comparable: the same lake, the same code." in text
    assert "The states are the same on all of 4 common days." in text


def test_comparison_of_another_lake_and_window(content: dict[str, Any], tmp_path: Path) -> None:
    other = copy.deepcopy(content)
    other["manifest"]["lake"]["fingerprint"] = "f00d" * 16
    other["metrics"]["window"]["last_date"] = "2024-06-30"
    text = words(shown(comparison(write(tmp_path / "a", content), write(tmp_path / "b", other))))
    assert "Not comparable: other lake." in text
    assert "Other windows: A 2024-01-01 to 2024-12-31, B 2024-01-01 to 2024-06-30." in text


def test_comparison_of_three_with_five_states_goes_by_side(
    content: dict[str, Any], tmp_path: Path
) -> None:
    a = write(tmp_path / "a", content, ["BALANCED", "WEAK_RISK_ON_ALTS", "WEAK_RISK_ON_MAJORS"])
    b = write(tmp_path / "b", run_content(THREE, 3), ["BALANCED", "RISK_ON_ALTS", "BALANCED"])
    text = words(shown(comparison(a, b)))
    assert "The states differ on 1 of 3 common days (33.3%) (as ALTS, BALANCED or MAJORS" in text
    assert "2024-01-03 WEAK_RISK_ON_MAJORS BALANCED" in text
    assert "edge_best" in text


def test_comparison_of_runs_without_edges(content: dict[str, Any], tmp_path: Path) -> None:
    content["evaluation"] |= {"edges": [], "regime_statistics": []}
    text = shown(comparison(write(tmp_path / "a", content), write(tmp_path / "b", content)))
    assert "Neither run has edges." in text


@pytest.mark.parametrize("content", ["null", "[]", '"text"'])
@pytest.mark.parametrize("name", ["metrics.json", "regime_evaluation.json", "manifest.json"])
def test_json_of_another_shape_is_a_broken_run(tmp_path: Path, name: str, content: str) -> None:
    folder = write(tmp_path / "a", run_content(FIVE))
    (folder / name).write_text(content)
    with pytest.raises(MsmError, match="a run folder is broken"):
        Run.read(folder)
