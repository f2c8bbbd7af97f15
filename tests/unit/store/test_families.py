"""The family of a run, held against plain loops over all runs."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from msm_py.store import declared_text, families, warehouse_tables

FIRST = date(2023, 1, 1)
TABLES = ("catalog", "edges", "sweep_trials", "looks", "family_edges", "run_problems")


def made_up_rows(n_runs: int, seed: int, n_windows: int = 6) -> dict[str, list[dict[str, Any]]]:
    """Runs of two lakes, some windows and fewer questions than runs; some without a ratio."""
    rng = np.random.default_rng(seed)
    windows = [(int(rng.integers(0, 900)), int(rng.integers(100, 1_000))) for _ in range(n_windows)]
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for i in range(n_runs):
        start, n_days = windows[rng.integers(n_windows)]
        run_id = f"x{i % 7}-{i:010x}"
        has_ratio = rng.random() > 0.1
        rows["catalog"].append(
            {
                "run_id": run_id,
                "experiment_id": f"x{i % 7}",
                "question": f"q{rng.integers(max(1, n_runs // 2))}",
                "created_at": datetime(2026, 1, 1, tzinfo=UTC)
                + timedelta(minutes=int(rng.integers(9))),
                "lake_name": ("one", "two")[int(rng.random() < 0.2)],
                "first_date": FIRST + timedelta(days=start),
                "last_date": FIRST + timedelta(days=start + n_days - 1),
                "is_placebo": bool(rng.random() < 0.05),
                "n_test_days": n_days - 50,
                "net_sharpe": float(rng.normal()) if has_ratio else None,
                "net_skewness": float(rng.normal()) if has_ratio else None,
                "net_kurtosis": float(3 + 3 * rng.random()) if has_ratio else None,
            }
        )
        for horizon in (1, 5):
            for edge in ("BALANCED", "edge_best", "edge_worst", "spread"):
                is_tested = rng.random() > 0.2
                rows["edges"].append(
                    {
                        "run_id": run_id,
                        "horizon_days": horizon,
                        "edge": edge,
                        "estimate": None,
                        "p_edge": float(rng.random() ** 3) if is_tested else None,
                    }
                )
    ids = [row["run_id"] for row in rows["catalog"]]
    for k in range(12):  # two sweeps: complete, failed (one of them complete meanwhile), rejected
        status = ("complete", "failed", "rejected")[k % 3]
        run_id = {"complete": ids[k % len(ids)], "failed": f"x-{k:010x}", "rejected": None}[status]
        rows["sweep_trials"].append(
            {
                "sweep_id": f"s{k % 2}",
                "experiment_id": f"v{k % 8}",
                "run_id": ids[0] if k == 1 else run_id,
                "status": status,
            }
        )
    rows["looks"] = [
        {"run_id": ids[0], "family": "x0"},
        {"run_id": "x1-ffffffffff", "family": "x1"},
        {"run_id": "unknown-ffffffffff", "family": "unknown"},
    ]
    rows["run_problems"] = [  # one that a sweep calls failed, one of nobody's, and a stranger
        {"folder": "v1-0000000001", "reason": "broken", "is_broken": True},
        {"folder": "torn-0000000002", "reason": "broken", "is_broken": True},
        {"folder": "notes", "reason": "no run folder", "is_broken": False},
    ]
    return rows


def filled(rows: dict[str, list[dict[str, Any]]]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for table in TABLES:
        declared = warehouse_tables.ALL_TABLES[table]
        con.execute(declared_text.create_table(declared))
        if rows[table]:
            names = list(rows[table][0])
            con.register("incoming", pa.Table.from_pylist(rows[table]))
            con.execute(
                f"insert into {table} ({', '.join(names)}) select {', '.join(names)} from incoming"
            )
    return con


def by_hand(rows: dict[str, list[dict[str, Any]]], run: dict[str, Any]) -> dict[str, Any]:
    """docs/methodology.md, word for word, for one run."""
    runs = [row for row in rows["catalog"] if not row["is_placebo"]]

    def days(row: dict[str, Any]) -> set[date]:
        n_days = (row["last_date"] - row["first_date"]).days + 1
        return {row["first_date"] + timedelta(days=i) for i in range(n_days)}

    own = days(run)
    members = [
        row
        for row in runs
        if row["lake_name"] == run["lake_name"]
        and len(own & days(row)) >= min(len(own), len(days(row))) / 2
    ]
    ids = {row["run_id"] for row in members}
    newest = {
        row["question"]: row
        for row in sorted(members, key=lambda row: (row["created_at"], row["run_id"]))
    }
    all_ids = {row["run_id"] for row in runs}
    beside = {row["sweep_id"] for row in rows["sweep_trials"] if row["run_id"] in ids}
    lost = {
        row["experiment_id"]
        for row in rows["sweep_trials"]
        if row["sweep_id"] in beside
        and row["status"] in ("failed", "rejected")
        and row["run_id"] not in all_ids
    }
    gone = {
        row["run_id"]
        for row in rows["looks"]
        if row["run_id"] not in {row["run_id"] for row in rows["catalog"]}
        and row["family"] in {row["experiment_id"] for row in members}
    }
    broken = {x["folder"].rsplit("-")[0] for x in rows["run_problems"] if x["is_broken"]}
    n = len({row["question"] for row in members}) + len(lost | broken) + len(gone)
    found: dict[str, Any] = {"n_family": n, "deflated_sharpe": None, "p": {}}
    ratios = [
        row["net_sharpe"] / 365**0.5 for row in newest.values() if row["net_sharpe"] is not None
    ]
    if run["net_sharpe"] is not None and (len(ratios) > 1 or n == 1):
        centre = sum(ratios) / len(ratios)
        bar = 0.0
        if n > 1:
            variance = sum((x - centre) ** 2 for x in ratios) / (len(ratios) - 1)
            euler = 0.5772156649015329
            bar = variance**0.5 * (
                (1 - euler) * norm.ppf(1 - 1 / n) + euler * norm.ppf(1 - 1 / (n * np.e))
            )
        ratio, skew, kurt = run["net_sharpe"] / 365**0.5, run["net_skewness"], run["net_kurtosis"]
        spread = 1 - skew * ratio + (kurt - 1) / 4 * ratio**2
        if spread > 0:
            found["deflated_sharpe"] = norm.cdf(
                (ratio - max(bar, 0)) * (run["n_test_days"] - 1) ** 0.5 / spread**0.5
            )
    counted = {row["run_id"] for row in ({**newest, run["question"]: run}).values()}
    tested = sorted(
        (edge["p_edge"], edge["run_id"], edge["horizon_days"], edge["edge"])
        for edge in rows["edges"]
        if edge["run_id"] in counted
        and edge["edge"] in ("edge_best", "spread")
        and edge["p_edge"] is not None
    )
    m = len(tested)
    for rank, (_, run_id, horizon, name) in enumerate(tested):
        if run_id == run["run_id"]:
            found["p"][horizon, name] = min(
                1.0, *(p * m / (k + 1) for k, (p, *_) in enumerate(tested) if k >= rank)
            )
    return found


@pytest.mark.parametrize(("n_runs", "seed"), [(1, 1), (2, 2), (40, 3), (60, 4)])
def test_every_run_has_the_family_that_plain_loops_find(n_runs: int, seed: int) -> None:
    rows = made_up_rows(n_runs, seed)
    con = filled(rows)
    con.register("found", families.derive(con))
    con.execute("insert into family_edges by name from found")
    for run in rows["catalog"]:
        found = families.read(con, run["run_id"])
        if run["is_placebo"]:
            assert found is None
            continue
        expected = by_hand(rows, run)
        assert found is not None
        assert found.n_family == expected["n_family"]
        if expected["deflated_sharpe"] is None:
            assert found.deflated_sharpe is None
        else:
            assert found.deflated_sharpe == pytest.approx(expected["deflated_sharpe"], abs=1e-10)
        assert found.p_family.keys() == expected["p"].keys()
        for key, p in expected["p"].items():
            assert found.p_family[key] == pytest.approx(p, abs=1e-12)
        ((smallest,),) = con.execute(
            "select p_family from catalog where run_id = ?", [run["run_id"]]
        ).fetchall()
        assert smallest == (min(found.p_family.values()) if found.p_family else None)


def test_asking_again_changes_nothing() -> None:
    """A question counts once, however often it was run; two states have one test a horizon."""
    rows = made_up_rows(40, 3, 1) | {"sweep_trials": [], "looks": [], "run_problems": []}
    for place, row in enumerate(rows["catalog"]):
        row |= {"question": f"q{place}", "lake_name": "one", "is_placebo": False}
    figures = "select run_id, n_family, deflated_sharpe, p_family from catalog order by run_id"

    def found(rows: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[Any, ...]]:
        con = filled(rows)
        families.derive(con)
        return {run_id: tuple(rest) for run_id, *rest in con.execute(figures).fetchall()}

    once = found(rows)
    asked = rows["catalog"][11]
    for copy in range(30):
        again = {"run_id": f"copy-{copy:010x}", "created_at": datetime(2025, 1, 1, tzinfo=UTC)}
        rows["catalog"].append({**asked, **again})
        rows["edges"] += [
            {**edge, "run_id": again["run_id"]}
            for edge in rows["edges"]
            if edge["run_id"] == asked["run_id"]
        ]
    again_found = found(rows)
    assert {run_id: again_found[run_id] for run_id in once} == once
    assert again_found["copy-0000000000"] == once[asked["run_id"]]

    spread = {"run_id": asked["run_id"], "horizon_days": 60, "p_edge": 0.01, "estimate": 0.1}
    names = ("RISK_ON_ALTS", "RISK_ON_MAJORS", "edge_best", "edge_worst", "spread")
    rows["edges"] += [{**spread, "edge": name} for name in names]
    derived = families.derive(filled(rows)).to_pylist()
    own = [x for x in derived if x["run_id"] == asked["run_id"] and x["horizon_days"] == 60]
    assert [x["edge"] for x in own] == ["spread"]


def two(**changes: Any) -> list[int]:
    """Return the sizes of the families of a run of a hundred days and of one that differs."""
    rows = made_up_rows(2, 5, 1) | {key: [] for key in ("sweep_trials", "looks", "run_problems")}
    for place, row in enumerate(rows["catalog"]):
        row |= {"question": f"q{place}", "lake_name": "one", "is_placebo": False}
        row |= {"first_date": FIRST, "last_date": FIRST + timedelta(days=99)}
    rows["catalog"][1] |= changes
    con = filled(rows)
    families.derive(con)
    return [row[0] for row in con.execute("select n_family from catalog order by 1").fetchall()]


def test_half_of_the_shorter_window_makes_a_family() -> None:
    def until(day: int) -> date:
        return FIRST + timedelta(days=day)

    assert two() == [2, 2]
    assert two(first_date=until(50), last_date=until(149)) == [2, 2]
    assert two(first_date=until(51), last_date=until(150)) == [1, 1]
    assert two(first_date=until(95), last_date=until(104)) == [2, 2]  # 5 of its 10 days
    assert two(first_date=until(96), last_date=until(105)) == [1, 1]


def test_names_and_code_make_no_new_question_and_other_lakes_no_family() -> None:
    assert two(question="q0") == [1, 1]
    assert two(lake_name="two") == [1, 1]
    spec = {"experiment_id": "a", "title": "A", "window": {"start": None}}
    assert families.question_of(spec) == families.question_of({**spec, "title": "B"})
    assert families.question_of(spec) != families.question_of({**spec, "window": {"start": "x"}})


@pytest.mark.slow
@pytest.mark.parametrize("n_runs", [1_000, 5_000])
def test_it_takes_a_moment(n_runs: int, tmp_path: Path) -> None:
    con = filled(made_up_rows(n_runs, 6, n_windows=20))
    started = time.monotonic()
    families.derive(con)
    seconds = time.monotonic() - started
    print(n_runs, round(seconds, 2), "s")
    assert seconds < n_runs / 500
