"""Sweeps side by side, a run among a thousand, and the catalog computed again from the folders."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import Done, contents, msm, msm_process
from support.sweeps import HIGH, LOW, catalog, folders, grid_file, sweep

from msm_py.store.run_list import existing_runs


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=8)


@pytest.fixture(scope="module")
def two(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Two sweeps at the same time into one runs folder; two of six variants are in both."""
    place = tmp_path_factory.mktemp("two")
    files = [
        grid_file(place / "one", [-0.2, -0.3], [0.2, 0.3]),
        grid_file(place / "other", [-0.3, -0.4], [0.2, 0.3]),
    ]

    def run(file: Path) -> Done:
        return msm_process("sweep", str(file), "--lake", str(lake), place=place)

    with ThreadPoolExecutor(2) as terminals:
        both = list(
            terminals.map(
                lambda file: msm_process("sweep", str(file), "--lake", str(lake), place=place),
                files,
            )
        )
    for done in both:
        assert done.code == 0, done.err
        assert "4 computed" in done.out or "2 were there already" in done.out
    return both[0]


def test_two_sweeps_at_once_are_both_whole(two: Done) -> None:
    runs = existing_runs(two.runs)
    assert len(runs) == 6
    left = sorted(entry.name for entry in two.runs.iterdir())
    assert left == [".lakes", ".sweeps", *runs], "something is left"
    with duckdb.connect(two.warehouse, read_only=True) as con:
        assert con.sql("select run_id from catalog order by 1").fetchall() == [(x,) for x in runs]
        for run_id, rows, dates in con.sql(
            "select run_id, count(*), count(distinct date) from daily group by 1"
        ).fetchall():
            assert rows == dates == len(pq.read_table(two.runs / run_id / "returns.parquet"))
        assert con.sql("select n_trials, n_runs from sweeps").fetchall() == [(4, 4), (4, 4)]
        members = con.sql("select count(*), count(distinct run_id) from sweep_statistics")
        assert members.fetchall() == [(8, 6)]


def test_the_catalog_is_made_again_from_the_folders(two: Done, tmp_path: Path) -> None:
    """Also when what stands in its place looks right and is wrong, or is no database at all."""
    shutil.copytree(two.runs, tmp_path / "runs")
    shutil.copytree(two.warehouse.parent, tmp_path / "warehouse")
    again = Done(0, "", "", tmp_path / "runs", tmp_path / "warehouse" / "msm.duckdb")
    with duckdb.connect(again.warehouse) as con:
        con.execute("update catalog set net_sharpe = 9.0, created_at = null")
    assert catalog(again) != catalog(two)
    for spoil in (lambda: None, lambda: again.warehouse.write_text("no database")):
        spoil()
        done = msm("catalog", "rebuild", place=tmp_path)
        assert done.code == 0, done.err
        assert "6 runs and 2 sweeps in " in done.out
        with duckdb.connect(again.warehouse, read_only=True) as con:
            assert con.sql("select count(*) from catalog where created_at is null").fetchall() == [
                (0,)
            ]
        assert catalog(again) == catalog(two)


def test_there_is_nothing_to_rebuild_from(tmp_path: Path) -> None:
    done = msm("catalog", "rebuild", "--runs", str(tmp_path / "nowhere"), place=tmp_path)
    assert done.code == 1
    assert "there is no such runs folder" in done.err
    assert not (tmp_path / "warehouse").exists()


def thousand_file(place: Path) -> Path:
    """Write a sweep of 1,000 variants: weights, thresholds, three baskets and two z-windows."""
    spec = {**tiny_spec(), "experiment_id": "thousand"}
    ranges = {f"features.{x['id']}.weight": {"uniform": [-0.3, 0.3]} for x in spec["features"]}
    ranges |= {
        LOW: {"uniform": [-0.5, -0.15]},
        HIGH: {"uniform": [0.15, 0.5]},
        "target.short_leg.n": {"choice": [3, 4, 5]},
        "feature_params.zscore_window_days": {"choice": [20, 25]},
    }
    spec["sweep"] = {"random": {"n": 1000, "seed": 3, "ranges": ranges}}
    file = place / "thousand.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


@pytest.mark.slow
def test_a_run_among_a_thousand_is_the_run_alone(lake: Path, tmp_path: Path) -> None:
    together = sweep(
        thousand_file(tmp_path), lake=lake, place=tmp_path, options=("--batch-size", "1000")
    )
    assert together.code == 0, together.err
    runs = existing_runs(together.runs)
    assert len(runs) == 1000
    for i in (0, 333, 999):
        folder = together.runs / runs[i]
        spec = json.loads((folder / "manifest.json").read_text())["spec"]
        place = tmp_path / f"alone_{i}"
        place.mkdir()
        file = place / "one.yaml"
        file.write_text(yaml.safe_dump(spec, sort_keys=False))
        alone = msm("run", str(file), "--lake", str(lake), place=place)
        assert alone.code == 0, alone.err
        assert list(folders(alone)) == [folder.name]
        assert contents(alone.runs / folder.name) == contents(folder)
