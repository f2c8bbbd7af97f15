"""Leaderboards of made-up runs: many of them, settings, luck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pages import Page

from msm_py.report.pages import charts_board, leaderboard
from msm_py.report.pages.board_data import Board
from msm_py.report.pages.page import write_page

NUMBERS = (
    *("net_sharpe", "net_sharpe_ci_low", "net_sharpe_ci_high", "net_cagr", "net_max_drawdown"),
    *("switches_per_year", "n_warnings", "deflated_sharpe", "common_sharpe"),
    *("spread_trade_edge", "spread_trade_ci_low", "spread_trade_ci_high", "spread_p_edge"),
)


def made_up(n: int, *, seed: int = 0) -> Board:
    """Return a sweep of runs whose Sharpe ratio hangs on ``a`` and not on ``drawn``."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    params = []
    for number in range(n):
        a, drawn = number % 4, float(rng.uniform())
        sharpe = a + 0.1 * float(rng.normal())
        run_id = f"made_{number:04d}-{number:010x}"
        rows.append(
            {
                **dict.fromkeys(NUMBERS, sharpe),
                **{"run_id": run_id, "title": f"variant {number}", "spread_evidence": "normal"},
                **{"spread_horizon_days": 5, "same_returns_as": run_id, "n_family": n},
                **{"is_tied_with_leader": number < 3, "is_superior": None},
            }
        )
        params.append({"x.a": str(a), "x.with_a": f"v{a}", "x.drawn": str(drawn), "x.same": "1"})
    record: dict[str, Any] = {
        **{"sweep_id": "made-0123456789", "name": "made", "n_trials": n, "trials": [], "edges": []},
        **{"runs": rows, "overall": {"n_runs": n, "n_common_days": 500, "pbo": 0.1}},
    }
    record["overall"] |= {"spa_p_consistent": 0.2, "n_distinct": n, "n_effective_trials": n / 2}
    sparks = {row["run_id"]: np.cumsum(rng.normal(size=32)).tolist() for row in rows}
    return Board(rows, params, sparks, record)


def test_a_thousand_runs_fit_a_page(tmp_path: Path) -> None:
    board = made_up(1000)
    file = tmp_path / "board.html"
    write_page(file, "leaderboard.html", runs=tmp_path, **leaderboard.content(board, tmp_path))
    assert file.stat().st_size < 1_000_000
    assert len([row for row in Page(file.read_text()).rows if row[:1] and row[0].isdigit()]) == 1000


def test_titles_are_no_markup(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script> {{ 7 * 7 }} <b onclick='x()'>&amp;"
    named = [
        {**row, "title": hostile, "first_date": "2024-01-01", "last_date": "2025-01-01"}
        for row in made_up(3).rows
    ]
    board = Board(named, [{"x": hostile}, {"x": "1"}, {"x": "2"}], {}, None)
    file = tmp_path / "board.html"
    write_page(file, "leaderboard.html", runs=tmp_path, **leaderboard.content(board, tmp_path))
    page = Page(file.read_text())
    assert [row[-1] for row in page.rows if row[:1] in (["1"], ["2"], ["3"])] == [hostile] * 3
    assert [tag for tag, _ in page.tags].count("b") == 0
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]


def test_more_are_paged(tmp_path: Path) -> None:
    found = leaderboard.content(made_up(2500), tmp_path, page=3)
    assert list(found["places"]) == list(range(2001, 2501))
    assert found["part"].startswith("Places 2,001 to 2,500 of 2,500")
    assert len(found["names"]) == 500


def test_settings_that_move_together_stand_once() -> None:
    board = made_up(40)
    assert list(board.differing) == ["x.a", "x.drawn"]
    assert board.moving_along == {"x.a": ["x.with_a"]}
    one, other = charts_board.settings(board)
    assert (one.name, other.name) == ("a", "drawn")  # that which matters first
    assert list(one.labels) == ["0", "1", "2", "3"]
    assert len(other.labels) == charts_board.N_CLASSES
    means = one.means(board.numbers("net_sharpe"))
    assert means == pytest.approx([0, 1, 2, 3], abs=0.2)
    drawn = np.array([float(x) for x in board.differing["x.drawn"]])
    for place in range(charts_board.N_CLASSES):  # classes are of about the same size, in order
        assert 5 <= (other.place == place).sum() <= 8
        if place:
            assert drawn[other.place == place].min() > drawn[other.place == place - 1].max()


def test_runs_that_lack_a_number_are_left_out_of_means() -> None:
    setting = charts_board.Setting.of_labels("x", ["a", "b"], np.array([0, 0, 1]))
    means = setting.means(np.array([1.0, np.nan, np.nan]))
    assert means[0] == 1.0
    assert np.isnan(means[1])


@pytest.mark.parametrize("n_trials", [2, 30, 1000])
def test_what_luck_would_give_is_a_density_around_its_expected_best(n_trials: int) -> None:
    sharpe = np.random.default_rng(1).normal(0.3, 0.8, size=40)
    luck = charts_board.Luck(sharpe, n_trials, 10_000)
    x = np.linspace(-12, 12, 20_001)
    density = luck.best_density(x)
    step = x[1] - x[0]
    assert density.sum() * step == pytest.approx(1, abs=1e-6)
    # by brute force: the best of so many draws
    draws = np.random.default_rng(2).normal(0, luck.deviation, size=(20_000, n_trials)).max(axis=1)
    mean = (x * density).sum() * step
    assert mean == pytest.approx(draws.mean(), abs=0.03)
    assert luck.expected_best == pytest.approx(mean, rel=0.1 if n_trials > 2 else 0.3)


def test_variants_that_are_alike_are_as_uncertain_as_one() -> None:
    """Of returns of pure noise, all but the same in every variant; 730 days, by simulation."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(4000, 730))
    ratio = common.mean(axis=1) / common.std(axis=1, ddof=1) * np.sqrt(365)
    alike = 2.0 + 0.01 * rng.normal(size=40)
    luck = charts_board.Luck(alike, 40, 730)
    assert luck.spread < 0.02
    assert luck.deviation == pytest.approx(ratio.std(), rel=0.05)


def test_runs_that_are_gone_are_told(tmp_path: Path) -> None:
    board = made_up(40)
    left = Board(board.rows[5:8], board.params[5:8], board.sparks, board.record)
    whole, part = (leaderboard.content(x, tmp_path) for x in (board, left))
    assert whole["gone"] == ""
    assert part["gone"].startswith("37 runs of this sweep are no longer in the warehouse.")
    assert part["tiles"] == whole["tiles"]
    assert part["luck"] == whole["luck"]


def test_a_board_without_numbers_has_words() -> None:
    board = made_up(5)
    rows = [{**row, **dict.fromkeys(NUMBERS)} for row in board.rows]
    assert board.record is not None
    empty = Board(rows, board.params, {}, {**board.record, "runs": rows})
    found = leaderboard.content(empty, Path("nowhere"))
    assert found["luck"] == []
    assert "None of 5 trials" in found["verdict"]
    assert {cell for column in found["columns"][:3] for cell in column.cells} == {"—"}


def test_sparks() -> None:
    assert leaderboard.spark([]) == leaderboard.spark([1.0]) == ""
    assert leaderboard.spark([1.0, 1.0]) == "0,15 62,15"
