"""What `msm run --robust` makes of neighbours and placebos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from support.lakes import BASELINE, merged
from support.pipeline import Done, msm

from msm_py.experiment.ids import ResolvedRun
from msm_py.lake.sample import write_sample_lake
from msm_py.report import run_report
from msm_py.runner import batches, robustness_panel
from msm_py.settings import Places
from msm_py.store import catalog_columns, trial, warehouse, warehouse_tables


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
    names = warehouse_tables.ALL_TABLES["robustness"].names[len(catalog_columns.RUN) :]
    columns = ", ".join(names)
    rows = query(robust, f"select {columns} from robustness")
    assert sorted(map(repr, rows)) == sorted(
        repr(tuple(x[name] for name in names)) for x in record["rows"]
    )
    names = warehouse_tables.ALL_TABLES["robustness_summary"].names[len(catalog_columns.RUN) : -1]
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
    panel = text[text.index("Robustness ─") : text.index("tear sheet: ")]
    assert panel in again.out
    shown = msm("show", "planted", place=robust.runs.parent)
    assert shown.out.endswith(panel)


def compute(done: Done, lake: Path) -> dict[str, Any]:
    """Make a panel as `msm run --robust` does, in this process."""
    places = Places(lake=lake, runs=done.runs, warehouse=done.warehouse)
    told: list[Any] = []
    panel = robustness_panel.compute(done.folder("planted").name, places, told.append, force=False)
    begun = [event for event in told if isinstance(event, robustness_panel.PanelBegun)]
    assert [event.run_id for event in begun] == [panel["run_id"]]
    return panel


def a_neighbour(done: Done) -> Path:
    rows = record_of(done)["rows"]
    name = next(x for x in rows if x["status"] == "complete")["neighbour_run_id"]
    return done.runs / ".robustness" / "runs" / str(name)


def test_a_neighbour_that_fails_is_reported_and_the_others_stand(
    robust: Done, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = copied(robust, tmp_path)
    record, doomed = record_of(done), a_neighbour(done)
    doomed.rename(tmp_path / "aside")

    def failing(specs: list[ResolvedRun], places: Places, **_: Any) -> Iterator[trial.Trial]:
        for x in specs:
            there = (places.runs / x.run_id).is_dir()
            status, error = ("existing", None) if there else ("failed", "no disk\nmore")
            yield trial.Trial(x.run_id, x.experiment.experiment_id, x.title, status, error)

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
    assert "PLACEBO" not in msm("list", place=tmp_path).out
    assert "PLACEBO" in msm("list", "--all", place=tmp_path).out
    rotated = {"placebo_rotation_days": days}
    refused = run(tmp_path, lake, "--robust", experiment_id="placebo", state_mapping=rotated)
    assert refused.code == 1
    assert "a placebo has no robustness panel" in refused.err
