"""What a sweep's statistics say of its runs, on the days that they share."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console
from scipy.stats import kurtosis, skew
from statsmodels.stats.multitest import multipletests
from support.sharpe import best_deflated, sharpe

from msm_py._typing import Floats, Row
from msm_py.report import sweep_report
from msm_py.runner import sweep_statistics
from msm_py.stats.adjusted_p_values import benjamini_hochberg, holm
from msm_py.stats.sharpe import (
    deflated_sharpe_ratio,
    effective_trials,
)
from msm_py.store import formats, layout

A, B, C = "a-0000000001", "b-0000000002", "c-0000000003"


def write_run(
    runs: Path, name: str, first_day: int, returns: Floats, first_test_day: int = 0
) -> dict[str, Any]:
    """Write what statistics read of a run, its own metrics as its SQL defines them."""
    folder = runs / name
    folder.mkdir(parents=True)
    test = np.arange(len(returns)) >= first_test_day
    own = returns[test]
    varies = np.ptp(own) > 0
    entry = {
        "net_sharpe": float(sharpe(own) * np.sqrt(365)) if varies else None,
        "net_skewness": float(skew(own)) if varies else None,
        "net_kurtosis": float(kurtosis(own, fisher=False)) if varies else None,
        "n_test_days": int(test.sum()),
        "n_boot": 999,
    }
    days = pa.array(np.arange(first_day, first_day + len(returns)), pa.int32()).cast(pa.date32())
    table = pa.table({"date": days, "r_net": returns, "is_test_day": test})
    formats.write_parquet(table, folder / layout.RETURNS)
    formats.write_json(entry, folder / layout.CATALOG_ENTRY)
    write_edges(folder, [], len(returns))
    formats.write_json({"run_id": name}, folder / layout.MANIFEST)
    return entry


def write_edges(folder: Path, edges: Sequence[Row], n_days: int) -> None:
    statistics = [{"horizon_days": 5, "regime": "ALTS", "n": n_days - 5}]
    formats.write_json(
        {"regime_statistics": statistics, "edges": edges}, folder / layout.REGIME_EVALUATION
    )


def rows_of(runs: Path, n_trials: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    found = sweep_statistics.statistics(runs, [folder.name for folder in runs.iterdir()], n_trials)
    return found["overall"], {row["run_id"]: row for row in found["runs"]}


def test_with_the_same_days_the_deflated_ratio_is_that_of_the_runs_own_metrics(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(8)
    returns = 0.02 * (rng.standard_t(4, (6, 400)) + rng.uniform(-0.1, 0.2, (6, 1)))
    returns[5] = 0.0  # never traded
    entries = [write_run(tmp_path, f"r-{i:010}", 20_000, returns[i], 90) for i in range(6)]
    overall, rows = rows_of(tmp_path, 9)
    assert overall["n_common_days"] == 310
    traded = entries[:5]
    daily = np.array([entry["net_sharpe"] for entry in traded]) / np.sqrt(365)
    expected = deflated_sharpe_ratio(
        daily,
        310,
        [entry["net_skewness"] for entry in traded],
        [entry["net_kurtosis"] for entry in traded],
        daily.var(ddof=1),
        9,
    )
    for i, entry in enumerate(traded):
        row = rows[f"r-{i:010}"]
        assert row["deflated_sharpe"] == pytest.approx(expected[i], abs=1e-9)
        assert row["common_sharpe"] == pytest.approx(entry["net_sharpe"], abs=1e-9)
        assert row["net_sharpe"] == entry["net_sharpe"]
    idle = rows["r-0000000005"]
    assert [idle[x] for x in ("net_sharpe", "common_sharpe", "deflated_sharpe")] == [None] * 3
    leader = int(expected.argmax())
    assert [i for i in range(5) if rows[f"r-{i:010}"]["p_leader"] == 1.0] == [leader]


def test_runs_are_compared_on_the_days_that_they_share(tmp_path: Path) -> None:
    """One shines only before the others begin: on its own days it would lead."""
    rng = np.random.default_rng(9)
    returns = {f"r-{i:010}": 0.02 * rng.standard_normal(200) for i in range(3)}
    returns["r-0000000001"] += 0.003
    early = 0.02 * rng.standard_normal(300)
    early[:100] += 0.02
    for name, values in returns.items():
        write_run(tmp_path, name, 20_100, values)
    entry = write_run(tmp_path, "early-0000000000", 20_000, early)
    overall, rows = rows_of(tmp_path, 4)
    assert overall["n_common_days"] == 200
    common = np.column_stack([early[100:], *returns.values()])
    expected, best = best_deflated(common)
    assert best == 2
    for i, name in enumerate(["early-0000000000", *returns]):
        assert rows[name]["deflated_sharpe"] == pytest.approx(expected[i], abs=1e-12)
    early_row = rows["early-0000000000"]
    assert early_row["net_sharpe"] == entry["net_sharpe"] > rows["r-0000000001"]["net_sharpe"]
    assert early_row["common_sharpe"] < rows["r-0000000001"]["common_sharpe"]
    assert rows["r-0000000001"]["p_leader"] == 1.0


def test_the_p_of_verdicts_is_adjusted_and_two_states_count_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    states = {A: ("ALTS", "BALANCED", "MAJORS"), B: ("ALTS", "MAJORS")}
    p_edge = {name: rng.uniform(0.0, 0.05, len(found) + 3) for name, found in states.items()}
    for name, found in states.items():
        write_run(tmp_path, name, 20_000, 0.02 * rng.standard_normal(200))
        edges = [
            {
                "horizon_days": 5,
                "edge": edge,
                "estimate": -0.01,
                "trade_edge": 0.01,
                "p_edge": p,
                "p_value": p / 2,
                "p_shift": p,
            }
            for edge, p in zip(
                (*found, "edge_best", "edge_worst", "spread"), p_edge[name].tolist(), strict=True
            )
        ]
        write_edges(tmp_path / name, edges, 200)
    rows = sweep_statistics.statistics(tmp_path, [A, B], 2)["edges"]
    assert [(row["run_id"], row["edge"]) for row in rows] == [
        *((A, edge) for edge in (*states[A], "spread")),
        (B, "spread"),
    ]
    tested = [*p_edge[A][:3], p_edge[A][5], p_edge[B][4]]
    assert [row["p_edge"] for row in rows] == tested
    for column, method in (("p_benjamini_hochberg", "fdr_bh"), ("p_holm", "holm")):
        expected = multipletests(tested, method=method)[1]
        np.testing.assert_allclose([row[column] for row in rows], expected, rtol=1e-12)


def shown(record: dict[str, Any]) -> str:
    out = io.StringIO()
    record = {"sweep_id": "s", "n_trials": 2, "trials": [], **record}
    Console(file=out, width=200).print(sweep_report.leaderboard(record, Path("nowhere")))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(("first", "n_common"), [(20_050, 0), (20_049, 1)])
def test_without_common_days_there_is_no_deflated_ratio(
    tmp_path: Path, first: int, n_common: int
) -> None:
    rng = np.random.default_rng(10)
    for name, day in ((A, 20_000), (B, first)):
        write_run(tmp_path, name, day, rng.standard_normal(50))
    found = sweep_statistics.statistics(tmp_path, [A, B], 2)
    assert found["overall"]["n_common_days"] == n_common
    for row in found["runs"]:
        assert row["net_sharpe"] is not None
        assert row["common_sharpe"] is row["deflated_sharpe"] is None
    json.dumps(found, allow_nan=False)
    assert "No deflated Sharpe ratios: the runs share" in shown(found)


def test_the_leaderboard_says_when_days_differ(tmp_path: Path) -> None:
    returns = np.random.default_rng(11).standard_normal((2, 60))
    write_run(tmp_path, A, 20_000, returns[0])
    write_run(tmp_path, B, 20_000, returns[1])
    note = "Net Sharpe is over each run's own test days"
    assert note not in shown(sweep_statistics.statistics(tmp_path, [A, B], 2))
    write_run(tmp_path, C, 20_010, returns[0])
    assert note in shown(sweep_statistics.statistics(tmp_path, [A, B, C], 3))


def test_runs_with_the_same_returns_are_folded_and_trials_are_worth_what_they_differ(
    tmp_path: Path,
) -> None:
    """Six variants, three distinct series: one is a copy, one never trades, two are one."""
    rng = np.random.default_rng(12)
    x, y = 0.02 * rng.standard_normal((2, 300)) + 0.001
    for i, series in enumerate((x, y, x, np.zeros(300), x, np.zeros(300))):
        write_run(tmp_path, f"r-{i:010}", 20_000, series)
    overall, rows = rows_of(tmp_path, 8)
    first = [rows[f"r-{i:010}"]["same_returns_as"][-1] for i in range(6)]
    assert first == ["0", "1", "0", "3", "0", "3"]
    assert overall["n_distinct"] == 3
    rho = np.corrcoef(x, y)[0, 1]
    worth = max(rho, 0) + (1 - max(rho, 0)) * 2 + 1  # and two trials that left nothing
    assert overall["n_effective_trials"] == pytest.approx(worth + 2, abs=1e-10)
    ratios = np.array([sharpe(x), sharpe(y)])
    expected = deflated_sharpe_ratio(
        sharpe(x), 300, skew(x), kurtosis(x, fisher=False), ratios.var(ddof=1), worth + 2
    )
    assert rows["r-0000000000"]["deflated_sharpe_effective"] == pytest.approx(expected, abs=1e-10)
    text = shown({"n_trials": 8, **sweep_statistics.statistics(tmp_path, list(rows), 8)})
    assert "+2" in text
    assert "8 trials (3 distinct, worth about" in text


def test_the_mean_correlation_of_trials_is_that_of_all_pairs() -> None:
    returns = np.random.default_rng(13).standard_normal((7, 50))
    returns += returns[0]
    pairs = np.asarray(np.corrcoef(returns))[np.triu_indices(7, 1)]
    expected = pairs.mean() + (1 - pairs.mean()) * 7
    assert effective_trials(returns) == pytest.approx(expected, abs=1e-10)
    assert effective_trials(np.stack([returns[0], -returns[0]])) == 2.0
    assert effective_trials(np.zeros((0, 5))) == 0.0


def record_of(p: list[float], n_boot: int = 999, deflated: float = 0.41) -> dict[str, Any]:
    return {
        "n_trials": 54,
        "overall": {"n_distinct": 9, "n_effective_trials": 3.2, "smallest_p": 1 / (1 + n_boot)},
        "runs": [
            {
                "run_id": "best",
                "deflated_sharpe": deflated,
                "deflated_sharpe_effective": deflated + 0.02,
            }
        ],
        "edges": [
            {"p_benjamini_hochberg": a, "p_holm": b}
            for a, b in zip(benjamini_hochberg(p), holm(p), strict=True)
        ],
    }


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            record_of([0.001] + [0.5] * 863),
            "None of 54 trials (9 distinct, worth about 3.2 independent ones) can be told from "
            "luck: the best is best, and its deflated Sharpe ratio is 0.41 counting every trial "
            "and 0.43 counting what they are worth (0.95 is the bar). Of 864 tested edges none "
            "stand at 5% adjusted for all of them by Benjamini and Hochberg, none by Holm, and "
            "alone none could: 864 tests times 0.001, the smallest p that n_boot and windows of "
            "this length allow, is above 5%.",
        ),
        (
            record_of([0.001, 0.02, 0.9], deflated=0.96),
            "The best of 54 trials (9 distinct, worth about 3.2 independent ones), best, stands: "
            "its deflated Sharpe ratio is 0.96 counting every trial and 0.98 counting what they "
            "are worth (0.95 is the bar). Of 3 tested edges 2 stand at 5% adjusted for all of them "
            "by Benjamini and Hochberg, 2 by Holm.",
        ),
    ],
)
def test_a_sweep_ends_in_a_conclusion(record: dict[str, Any], said: str) -> None:
    assert sweep_report.conclusion(record) == said
