"""Robustness panels: neighbours, placebos, and what `msm run --robust` makes of them."""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lakes import BASELINE, merged
from pipeline import Done, msm
from rich.console import Console

from msm_py.engine.state_machine import rotate
from msm_py.errors import MsmError
from msm_py.experiment.load import from_resolved, resolve
from msm_py.experiment.neighbours import Neighbour, neighbours, placebo_offsets
from msm_py.lake.sample import write_sample_lake
from msm_py.report import robustness_report, run_report
from msm_py.runner import batches, robustness_panel
from msm_py.runner.robustness_panel import judge
from msm_py.settings import Places
from msm_py.store import trial, warehouse, warehouse_tables
from msm_py.store.warehouse import flat_params

FIRST, N_DAYS = date(2024, 1, 1), 500
# what each check may change
CHANGES = {
    "execution lag": ("backtest.execution_lag_days",),
    "costs": (
        "backtest.costs.taker_fee_bps",
        "backtest.costs.slippage_bps",
        "backtest.impact_coefficient",
    ),
    "basket size": ("target.short_leg.n",),
    "z-window": ("feature_params.zscore_window_days",),
    "thresholds": ("state_mapping.thresholds.", "backtest.grid_search.thresholds."),
    "rebalance": ("backtest.rebalance_frequency_days", "backtest.rebalance_weekday"),
    "start": ("window.start",),
    "without feature": ("features.", "backtest.grid_search.weights."),
    "placebo": ("state_mapping.placebo_rotation_days", "evaluation.bootstrap.enabled"),
}
NAMES = ("experiment_id", "title")


def baseline(**changes: Any) -> dict[str, Any]:
    spec = {
        "experiment_id": "base",
        "features": [{"id": name, "weight": weight} for name, weight in BASELINE.items()],
    }
    return resolve(from_resolved(merged(spec, changes)))


SEARCH = {
    "grid_search": {
        "weights": {"momentum": [0.0, 1.0]},
        "thresholds": {"low": [-0.7, -0.4], "high": [0.4, 0.7]},
    }
}
FREE = {"taker_fee_bps": 0, "slippage_bps": 0}
SPECS = {
    "plain": baseline(),
    "odd": baseline(
        window={"start": "2023-12-01", "end": "2026-01-01"},
        state_mapping={"n_regimes": 3, "thresholds": {"low": 0.0, "high": 0.7}},
        backtest={"rebalance_weekday": "friday", "execution_lag_days": 2},
    ),
    "searched": baseline(backtest=SEARCH),
}


def leaves(spec: dict[str, Any]) -> dict[str, Any]:
    return {row["param"]: row["value"] for row in flat_params(spec)}


def changed(spec: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Return the paths at which two experiments differ, apart from their names."""
    left, right = leaves(spec), leaves(other)
    paths = {path for path in {**left, **right} if left.get(path, "") != right.get(path, "")}
    return paths - set(NAMES)


def only(found: list[Neighbour], check: str) -> dict[str, Neighbour]:
    return {x.setting: x for x in found if x.check == check}


# --- Neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_neighbours_are_valid_and_distinct_and_differ_in_what_they_should(name: str) -> None:
    spec = SPECS[name]
    before = copy.deepcopy(spec)
    found = neighbours(spec, first_date=FIRST, n_days=N_DAYS)
    assert spec == before
    run = [x for x in found if x.spec is not None]
    assert {x.check for x in run} == set(CHANGES)
    for neighbour in run:
        assert neighbour.spec is not None
        assert resolve(from_resolved(neighbour.spec)) == neighbour.spec
        paths = changed(spec, neighbour.spec)
        assert paths, "it asks what the run asks"
        assert all(path.startswith(CHANGES[neighbour.check]) for path in paths), paths
    questions = [
        json.dumps({k: v for k, v in (x.spec or {}).items() if k not in NAMES}) for x in run
    ]
    assert len(set(questions)) == len(run)
    assert len({(x.spec or {})["experiment_id"] for x in run}) == len(run)
    assert sum(x.check == "placebo" for x in run) == 100


def test_values_of_the_neighbours() -> None:
    found = neighbours(SPECS["plain"], first_date=FIRST, n_days=N_DAYS)
    cuts = {
        setting: (x.spec or {})["state_mapping"]["thresholds"]
        for setting, x in only(found, "thresholds").items()
    }
    assert cuts == {
        "x0.8": {"strong_low": -1.2, "low": -0.4, "high": 0.4, "strong_high": 1.2},
        "x1.2": {"strong_low": -1.8, "low": -0.6, "high": 0.6, "strong_high": 1.8},
    }
    # from the first decision day, though the window has no start
    starts = [(x.spec or {})["window"]["start"] for x in only(found, "start").values()]
    assert starts == ["2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29", "2024-02-05"]
    left = only(found, "without feature")["momentum"].spec
    assert left is not None
    assert left["features"] == [x for x in SPECS["plain"]["features"] if x["id"] != "momentum"]
    itself = [(x.check, x.setting) for x in found if x.is_itself]
    assert itself == [("execution lag", "0 days"), ("costs", "x1"), ("rebalance", "daily")]
    placebo = next(iter(only(found, "placebo").values())).spec
    assert placebo is not None
    assert placebo["evaluation"]["bootstrap"]["enabled"] is False


@pytest.mark.parametrize(("capital", "impact"), [(None, [0.5, 0.5]), (1e6, [0.0, 1.0])])
def test_costs_are_impact_too_where_it_is_charged(
    capital: float | None, impact: list[float]
) -> None:
    spec = baseline(backtest={"capital_usd": capital, "impact_coefficient": 0.5})
    costs = only(neighbours(spec, first_date=FIRST, n_days=N_DAYS), "costs")
    changed = [(costs[name].spec or {})["backtest"] for name in ("x0", "x2")]
    assert [x["impact_coefficient"] for x in changed] == impact
    assert [x["costs"]["taker_fee_bps"] for x in changed] == [
        factor * spec["backtest"]["costs"]["taker_fee_bps"] for factor in (0, 2)
    ]
    free = baseline(backtest={"capital_usd": capital, "costs": FREE})
    doubled = only(neighbours(free, first_date=FIRST, n_days=N_DAYS), "costs")["x2"]
    assert doubled.is_itself == (capital is None)


def test_a_search_loses_the_feature_and_has_its_cuts_scaled() -> None:
    found = neighbours(SPECS["searched"], first_date=FIRST, n_days=N_DAYS)
    left = only(found, "without feature")["momentum"].spec
    wide = only(found, "thresholds")["x1.2"].spec
    assert left is not None
    assert wide is not None
    assert left["backtest"]["grid_search"]["weights"] == {}
    assert wide["backtest"]["grid_search"]["thresholds"] == {
        "low": [-0.84, -0.48],
        "high": [0.48, 0.84],
    }


def test_what_cannot_be_is_said() -> None:
    one = baseline(
        features=[{"id": "momentum", "weight": 1}, {"id": "oi_risk", "weight": 0}],
        target={"short_leg": {"n": 5}},
        backtest={"costs": FREE},
    )
    found = neighbours(one, first_date=FIRST, n_days=252 + 20 + 20)
    skipped = {(x.check, x.setting): x.note for x in found if x.spec is None and not x.is_itself}
    assert skipped == {
        ("basket size", "n 0"): "no alt would be left",
        ("start", "+3 weeks"): "271 days would be left, 272 are needed",
        ("start", "+4 weeks"): "264 days would be left, 272 are needed",
        ("start", "+5 weeks"): "257 days would be left, 272 are needed",
        ("without feature", "momentum"): "no feature has a weight other than 0",
        ("without feature", "oi_risk"): "its weight is 0",
    }
    assert all(x.is_itself for x in only(found, "costs").values())
    with pytest.raises(MsmError, match="a placebo has no robustness panel"):
        neighbours(
            baseline(state_mapping={"placebo_rotation_days": 5}), first_date=FIRST, n_days=N_DAYS
        )


@given(n_days=st.integers(1, 3000), least_days=st.integers(1, 400), seed=st.integers(0, 2**63 - 1))
def test_offsets_are_spread_over_all_that_may_be(n_days: int, least_days: int, seed: int) -> None:
    found = placebo_offsets(n_days, least_days=least_days, seed=seed)
    allowed = list(range(least_days, n_days - least_days + 1))
    assert len(found) == min(100, len(allowed))
    assert found == sorted(set(found))
    assert set(found) <= set(allowed)
    if found:  # one in each stretch, so that no two stretches in a row are empty
        gaps = np.diff([allowed[0] - 1, *found, allowed[-1] + 1])
        assert gaps.max() <= 2 * -(-len(allowed) // len(found))


# --- Rotation ------------------------------------------------------------------------------------


def test_rotation_by_hand() -> None:
    # ten days; the second run decides on days 2 to 8 only
    path = np.array([[2, 2, 2, 3, 3, 4, 4, 4, 3, 2], [-1, -1, 0, 0, 1, 1, 1, 2, 2, 2]])
    age = np.array([[0, 1, 2, 0, 1, 0, 1, 2, 0, 0], [-1, -1, 0, 1, 0, 1, 2, 0, 1, 2]])
    first, n_days = np.array([0, 2]), np.array([10, 7])
    state, found = rotate(path, age, first, n_days, np.array([3, 5]))
    # day i has the state of day i - 3; the last 2 and the first three 2s become one stay
    assert state[0].tolist() == [4, 3, 2, 2, 2, 2, 3, 3, 4, 4]
    assert found[0].tolist() == [0, 0, 0, 1, 2, 3, 0, 1, 0, 1]
    # 0 0 1 1 1 2 2 rotated by 5 of 7; what is outside of the decision days stays
    assert state[1].tolist() == [-1, -1, 1, 1, 1, 2, 2, 0, 0, 2]
    assert found[1].tolist() == [-1, -1, 0, 1, 2, 0, 1, 0, 1, 2]
    for days in (np.array([0, 0]), n_days):
        same = rotate(path, age, first, n_days, days)
        assert (same[0] == path).all()
        assert (same[1] == age).all()


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


def test_neighbours_that_no_panel_names_are_dropped_after_a_day(tmp_path: Path) -> None:
    hidden = tmp_path / ".robustness" / "runs"
    panels = {"there": ["shared", "named"], "gone": ["shared", "of_gone"]}
    for run_id, names in panels.items():
        hidden.mkdir(parents=True, exist_ok=True)
        rows = [{"neighbour_run_id": name} for name in [*names, None]]
        record = {"run_id": run_id, "title": "t", "rows": rows, "summary": {}}
        (hidden.parent / f"{run_id}.json").write_text(json.dumps(record))
    (tmp_path / "there").mkdir()
    for name in ("shared", "named", "of_gone", "wanted", "young"):
        (hidden / name).mkdir(parents=True)
        if name != "young":
            os.utime(hidden / name, (0, 0))

    def left() -> list[str]:
        return sorted(x.name for x in hidden.iterdir())

    damaged = hidden.parent / "there.json"
    text = damaged.read_text()
    damaged.write_text(text[:20])
    robustness_panel.drop_leftovers(tmp_path, ["wanted", "not_there_yet"])
    assert left() == ["named", "of_gone", "shared", "wanted", "young"]
    damaged.write_text(text)
    robustness_panel.drop_leftovers(tmp_path, [])  # another process, while the first one computes
    assert left() == ["named", "shared", "wanted", "young"]
    assert [x.name for x in hidden.parent.glob("*.json")] == ["there.json"]


# --- msm run --robust ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    write_sample_lake(path, n_assets=45, n_days=600, effect=0.006)
    return path


def run(place: Path, lake: Path, *options: str, **changes: Any) -> Done:
    spec = {
        "experiment_id": "planted",
        "features": [{"id": name, "weight": weight} for name, weight in BASELINE.items()],
        "target": {"horizons_days": [5]},
        "evaluation": {"bootstrap": {"n_boot": 99}},
    }
    place.mkdir(parents=True, exist_ok=True)
    file = place / "planted.yaml"
    file.write_text(yaml.safe_dump(merged(spec, changes)))
    return msm("run", str(file), "--lake", str(lake), *options, place=place)


@pytest.fixture(scope="module")
def robust(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    done = run(tmp_path_factory.mktemp("robust"), lake, "--robust")
    assert done.code == 0, done.err
    return done


def record_of(done: Done) -> dict[str, Any]:
    (file,) = (done.runs / ".robustness").glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    assert file.stem == found["run_id"] == done.folder("planted").name
    return found


def query(done: Done, sql: str) -> list[Any]:
    with duckdb.connect(done.warehouse, read_only=True) as con:
        return con.sql(sql).fetchall()


def made(done: Done) -> dict[str, int]:
    """Return when each neighbour was made."""
    folder = done.runs / ".robustness" / "runs"
    return {x.name: (x / "manifest.json").stat().st_mtime_ns for x in folder.iterdir()}


def copied(done: Done, place: Path) -> Done:
    shutil.copytree(done.runs, place / "runs")
    return Done(0, "", "", place / "runs", place / "warehouse" / "msm.duckdb")


def test_a_planted_edge_stands_above_its_placebos(robust: Done) -> None:
    summary = record_of(robust)["summary"]
    assert summary["n_placebos"] == 100
    assert summary["placebo_p"] < 0.05
    assert summary["net_sharpe"] > 0
    placebos = [x for x in record_of(robust)["rows"] if x["check_name"] == "placebo"]
    assert summary["net_sharpe"] > np.median([x["net_sharpe"] for x in placebos]) + 1
    assert "Robustness of planted" in robust.out
    assert "net Sharpe of 100 placebos" in robust.out


def test_record_and_warehouse_agree(robust: Done) -> None:
    record = record_of(robust)
    names = [name for name in warehouse_tables.ALL_TABLES["robustness"] if name != "run_id"]
    columns = ", ".join(names)
    rows = query(robust, f"select {columns} from robustness")
    assert sorted(map(repr, rows)) == sorted(
        repr(tuple(x[name] for name in names)) for x in record["rows"]
    )
    names = list(warehouse_tables.ALL_TABLES["robustness_summary"])[2:-1]
    (summary,) = query(robust, f"select {', '.join(names)} from robustness_summary")
    assert summary == tuple(record["summary"][name] for name in names)
    assert query(robust, "select distinct run_id from robustness") == [(record["run_id"],)]


def test_rows_are_what_the_neighbours_say(robust: Done) -> None:
    for found in record_of(robust)["rows"]:
        if found["status"] == "complete":
            folder = robust.runs / ".robustness" / "runs" / found["neighbour_run_id"]
            entry = json.loads((folder / "catalog_entry.json").read_text())
            assert entry["net_sharpe"] == found["net_sharpe"]
            assert entry["is_placebo"] == (found["check_name"] == "placebo")
            assert entry["execution_lag_days"] == (found["check_name"] == "execution lag")


def test_neighbours_are_in_no_catalog(robust: Done) -> None:
    own = [(record_of(robust)["run_id"],)]
    assert query(robust, "select run_id from catalog") == own
    assert query(robust, "select distinct run_id from daily") == own
    assert query(robust, "select run_id from v_leaderboard") == own
    assert query(robust, "select count(*) from sweeps") == [(0,)]
    assert warehouse.publish(robust.runs, robust.warehouse)["robustness_summary"] == 1


def test_a_second_call_computes_nothing_and_says_the_same(robust: Done, lake: Path) -> None:
    before, record, text = made(robust), record_of(robust), robust.out
    again = run(robust.runs.parent, lake, "--robust")
    assert again.code == 0, again.err
    assert "none to compute" in again.out
    assert made(again) == before
    assert record_of(again) == record
    panel = text[text.index("Robustness ─") :]
    assert again.out.endswith(panel)
    shown = msm("show", "planted", place=robust.runs.parent)
    assert shown.out.endswith(panel)


def compute(done: Done, lake: Path) -> dict[str, Any]:
    """Make a panel as `msm run --robust` does, in this process."""
    places = Places(lake=lake, runs=done.runs, warehouse=done.warehouse)
    quiet = Console(file=io.StringIO())
    return robustness_panel.compute(done.folder("planted").name, places, quiet, force=False)


def a_neighbour(done: Done) -> Path:
    rows = record_of(done)["rows"]
    name = next(x for x in rows if x["status"] == "complete")["neighbour_run_id"]
    return done.runs / ".robustness" / "runs" / str(name)


def test_a_neighbour_that_fails_is_told_and_the_others_stand(
    robust: Done, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = copied(robust, tmp_path)
    record, doomed = record_of(done), a_neighbour(done)
    doomed.rename(tmp_path / "aside")

    def failing(specs: list[dict[str, Any]], places: Places, **_: Any) -> Iterator[trial.Trial]:
        for x in specs:
            there = (places.runs / x["run_id"]).is_dir()
            status, error = ("existing", None) if there else ("failed", "no disk\nmore")
            yield trial.Trial(x["run_id"], x["experiment_id"], x["title"], status, error)

    with monkeypatch.context() as patched:
        patched.setattr(batches, "run_sweep", failing)
        found = compute(done, lake)
    assert found == record_of(done)
    failed = [x for x in found["rows"] if x["status"] == "failed"]
    assert [x["neighbour_run_id"] for x in failed] == [doomed.name]
    assert found["summary"]["n_failed"] == 1
    assert found["summary"]["n_neighbours"] == record["summary"]["n_neighbours"] - 1
    error = robustness_panel.failure(found)
    assert error is not None
    assert "1 of the neighbours failed" in str(error)
    assert str(error.received).endswith("no disk")
    warehouse.publish(done.runs, done.warehouse)
    assert query(done, "select count(*) from robustness where status = 'failed'") == [(1,)]
    (tmp_path / "aside").rename(doomed)
    assert compute(done, lake) == record


@pytest.mark.slow  # the same through the whole command
def test_a_command_whose_neighbour_fails_fails(robust: Done, lake: Path, tmp_path: Path) -> None:
    done = copied(robust, tmp_path)
    record, place = record_of(done), a_neighbour(done)
    shutil.rmtree(place)
    place.write_text("in the way")
    done = run(tmp_path, lake, "--robust")
    assert done.code == 1
    assert "1 of the neighbours failed" in done.err
    assert "Traceback" not in done.err
    assert "FAILED: " in done.out
    place.unlink()
    assert run(tmp_path, lake, "--robust").code == 0
    assert record_of(done) == record


def test_the_columns_of_a_neighbour_that_holds_nothing(
    robust: Done, lake: Path, tmp_path: Path
) -> None:
    done = copied(robust, tmp_path)
    empty = a_neighbour(done)
    entry = json.loads((empty / "catalog_entry.json").read_text())
    (empty / "catalog_entry.json").write_text(json.dumps({**entry, "net_sharpe": None}))
    compute(done, lake)
    warehouse.publish(done.runs, done.warehouse)
    where = f"where neighbour_run_id = '{empty.name}'"
    rows = query(done, f"select status, net_sharpe, sign_flips from robustness {where}")
    assert rows == [("complete", None, None)]
    told = "worst_setting is not null and worst_net_sharpe is not null and verdict <> 'robust'"
    assert query(done, f"select {told} from robustness_summary") == [(True,)]


def test_the_panel_goes_with_its_run(robust: Done, tmp_path: Path) -> None:
    done = copied(robust, tmp_path)
    assert warehouse.publish(done.runs, done.warehouse)["robustness"] > 100
    shutil.rmtree(done.folder("planted"))
    assert warehouse.publish(done.runs, done.warehouse)["robustness"] == 0


def test_a_placebo_is_the_run_rotated_and_is_no_result(
    robust: Done, lake: Path, tmp_path: Path
) -> None:
    placebo = [x for x in record_of(robust)["rows"] if x["check_name"] == "placebo"][40]
    days = int(placebo["setting"].split()[-2])
    made = robust.runs / ".robustness" / "runs" / placebo["neighbour_run_id"]
    done = Done(0, "", "", tmp_path / "runs", tmp_path / "warehouse" / "msm.duckdb")
    for folder in (robust.folder("planted"), made):  # as if it had been run for its own sake
        shutil.copytree(folder, done.runs / folder.name)
    paths = [
        pq.read_table(folder / "regime_timeseries.parquet").to_pydict()
        for folder in (robust.folder("planted"), made)
    ]
    assert paths[0]["score"] == paths[1]["score"]
    assert np.roll(paths[0]["regime"], days).tolist() == paths[1]["regime"]
    age = 0
    for i, regime in enumerate(paths[1]["regime"]):
        age = age + 1 if i and regime == paths[1]["regime"][i - 1] else 0
        assert paths[1]["regime_age_days"][i] == age
    console = Console(width=200)
    with console.capture() as shown:
        console.print(run_report.run_report(made))
    assert f"PLACEBO: its states are rotated by {days} days" in shown.get()
    warehouse.publish(done.runs, done.warehouse)
    assert query(done, "select run_id, is_placebo from catalog order by 2") == [
        (record_of(robust)["run_id"], False),
        (made.name, True),
    ]
    assert query(done, "select title from v_leaderboard") == [("planted",)]
    assert query(done, "select title from v_latest_state") == [("planted",)]
    assert "PLACEBO" in msm("list", place=tmp_path).out
    rotated = {"placebo_rotation_days": days}
    refused = run(tmp_path, lake, "--robust", experiment_id="placebo", state_mapping=rotated)
    assert refused.code == 1
    assert "a placebo has no robustness panel" in refused.err
