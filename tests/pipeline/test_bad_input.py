"""Bad input: one clear message, a non-zero exit, and nothing lost or half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from support.lakes import tiny_lake
from support.pipeline import Done, dbt, msm, run_experiments
from support.specs import spec_of

from msm_py.store.run_list import existing_runs


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    tiny_lake(path, seed=6)
    return path


@pytest.fixture(scope="module")
def earlier(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that was there before: it must survive everything below."""
    done = run_experiments([spec_of("earlier", {})], lake, tmp_path_factory.mktemp("earlier"))
    assert done.code == 0, done.err
    return done


@pytest.fixture
def place(earlier: Done, tmp_path: Path) -> Path:
    """A workplace with an earlier run and a warehouse that knows it."""
    for name in ("runs", "warehouse"):
        shutil.copytree(earlier.runs.parent / name, tmp_path / name)
    return tmp_path


def _state(place: Path) -> dict[str, bytes]:
    """Return what must be untouched of runs and warehouse; not records of lakes nor stamps."""
    return {
        str(file.relative_to(place)): file.read_bytes()
        for name in ("runs", "warehouse")
        for file in sorted((place / name).rglob("*"))
        if file.is_file() and file.parent.name != ".lakes" and file.suffix != ".stamp"
    }


def refused(done: Done, *parts: str) -> None:
    """Check for one clear paragraph on standard error and a non-zero exit."""
    assert done.code != 0
    assert "Traceback" not in done.err + done.out
    assert done.err.count("error:") == 1
    for part in (*parts, "remedy:"):
        assert part in done.err, f"{part!r} is missing from:\n{done.err}"


def _file(place: Path, content: str) -> str:
    file = place / "experiment.yaml"
    file.write_text(content)
    return str(file)


# --- The experiment file (test_experiment.py has every rule; here is what a user sees) -----------


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        pytest.param("a: [1", ("experiment.yaml",), id="broken YAML"),
        pytest.param("[]", ("experiment.yaml",), id="a list where a map belongs"),
        pytest.param(
            "experiment_id: x\nfeatures: [{id: momentum, weight: heavy}]",
            ("features[0].weight", "heavy"),
            id="text for a number",
        ),
        pytest.param(
            "experiment_id: x\nfeatures: [{id: momentum, weigth: 1}]",
            ("weigth", "did you mean features[0].weight?"),
            id="unknown key",
        ),
        pytest.param(
            "experiment_id: x\nfeatures: [{id: momentun, weight: 1}]",
            ("momentun", "did you mean momentum?"),
            id="unknown feature",
        ),
        pytest.param(
            "experiment_id: x\nfeatures: [{id: momentum, weight: 1}, {id: momentum, weight: 2}]",
            ("momentum",),
            id="duplicate feature",
        ),
        pytest.param(
            "experiment_id: x\nfeatures: [{id: momentum, weight: 1}]\n"
            "state_mapping: {thresholds: {low: 0.5, high: -0.5}}",
            ("thresholds",),
            id="unordered thresholds",
        ),
    ],
)
def test_experiment_file(content: str, parts: tuple[str, ...], place: Path, lake: Path) -> None:
    before = _state(place)
    done = msm("run", _file(place, content), "--lake", str(lake), place=place)
    refused(done, *parts)
    assert _state(place) == before


def test_one_id_for_two_experiments(place: Path, lake: Path) -> None:
    files = []
    for weight in (1, 2):
        file = place / f"{weight}.yaml"
        file.write_text(f"experiment_id: x\nfeatures: [{{id: momentum, weight: {weight}}}]\n")
        files.append(str(file))
    before = _state(place)
    done = msm("run", *files, "--lake", str(lake), place=place)
    refused(done, "1.yaml", "2.yaml", "experiment_id")
    assert _state(place) == before


# --- The lake ------------------------------------------------------------------------------------


def _table(lake: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    file = lake / f"{name}.parquet"
    changed = change(pd.read_parquet(file))
    changed.to_parquet(file, index=False)


def _remove(entry: Path) -> None:
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _conflict(table: pd.DataFrame) -> pd.DataFrame:
    twin = table.iloc[[50]].assign(close=table["close"].iloc[50] * 2)
    return pd.concat([table, twin])


BAD_LAKES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "no such lake": (shutil.rmtree, ("no such lake",)),
    "empty folder": (
        lambda lake: list(map(_remove, lake.iterdir())),
        ("lake",),
    ),
    "missing table": (
        lambda lake: _remove(lake / "fact_volume"),
        ("fact_volume",),
    ),
    "missing column": (
        lambda lake: _table(lake, "fact_price", lambda t: t.rename(columns={"close": "price"})),
        ("fact_price", "close", "price"),
    ),
    "text in a numeric column": (
        lambda lake: _table(lake, "fact_price", lambda t: t.assign(close=t["close"].astype(str))),
        ("fact_price", "close", "VARCHAR"),
    ),
    "truncated Parquet": (
        lambda lake: (lake / "fact_price.parquet").write_bytes(
            (lake / "fact_price.parquet").read_bytes()[:-200]
        ),
        ("fact_price.parquet",),
    ),
    "no BTC": (
        lambda lake: _table(lake, "fact_price", lambda t: t[t["asset_id"] != "BTC"]),
        ("BTC",),
    ),
    "conflicting duplicate keys": (
        lambda lake: _table(lake, "fact_price", _conflict),
        ("fact_price", "Conflicting duplicate rows"),
    ),
    "no funding": (
        lambda lake: (lake / "fact_funding.parquet").unlink(),
        ("fact_funding", "funding_skew", "allow_missing_features"),
    ),
    "no ETH": (
        lambda lake: _table(lake, "fact_price", lambda t: t[t["asset_id"] != "ETH"]),
        ("universe.majors", "ETH"),
    ),
    "undeclared unit switch": (
        lambda lake: (lake / "lake.yaml").write_text("name: no units\n"),
        ("unit of funding rates", "lake.yaml"),
    ),
}


@pytest.mark.parametrize("name", BAD_LAKES)
def test_lake(name: str, place: Path, lake: Path) -> None:
    break_it, parts = BAD_LAKES[name]
    broken = place / "lake"
    shutil.copytree(lake, broken)
    break_it(broken)
    before = _state(place)
    done = run_experiments([spec_of("bad", {})], broken, place)
    refused(done, *parts)
    assert _state(place) == before


# --- The run -------------------------------------------------------------------------------------


def test_runs_that_fail_leave_the_others_alone(place: Path, lake: Path) -> None:
    specs = [
        spec_of("good", {}),
        spec_of("outside", {"window": {"start": "2030-01-01", "end": None}}),
        spec_of("too_short", {"window": {"start": "2024-05-20", "end": None}}),
        spec_of("unknown_major", {"universe": {"majors": ["BTC", "ETH", "XYZ"]}}),
    ]
    done = run_experiments(specs, lake, place)
    assert done.code != 0
    assert "Traceback" not in done.err
    for part in (
        "The window lies outside the lake",
        "2030-01-01",
        "shorter than the lookback",
        "backtest.lookback_window_days",
        "XYZ",
    ):
        assert part in done.err
    assert [x.rsplit("-", 1)[0] for x in existing_runs(done.runs)] == ["earlier", "good"]
    listed = msm("list", place=place)
    assert "good" in listed.out
    assert "too_short" not in listed.out


def test_runs_folder_that_cannot_be_written(place: Path, lake: Path) -> None:
    before = _state(place)
    if os.geteuid() == 0:  # nothing is write-protected for root but what the kernel keeps
        runs = Path("/proc/runs")
        if not runs.parent.is_dir():
            pytest.skip("root may write anywhere here")
    else:
        runs = place / "protected" / "runs"
        runs.parent.mkdir(mode=0o555)
    done = run_experiments([spec_of("new", {})], lake, place, MSM_RUNS=str(runs))
    refused(done, "the runs folder cannot be written to", str(runs))
    assert _state(place) == before


def test_runs_folder_that_is_a_file(place: Path, lake: Path) -> None:
    before = _state(place)
    file = place / "a file"
    file.write_text("")
    done = run_experiments([spec_of("new", {})], lake, place, MSM_RUNS=str(file))
    refused(done, "runs folder", "a file")
    assert _state(place) == before


def test_warehouse_that_is_a_folder(place: Path, lake: Path) -> None:
    before = _state(place)
    folder = place / "a folder"
    folder.mkdir()
    done = run_experiments([spec_of("new", {})], lake, place, MSM_WAREHOUSE=str(folder))
    refused(done, "warehouse", "a folder")
    assert _state(place) == before


@pytest.mark.parametrize("output", ["MSM_RUNS", "MSM_WAREHOUSE", "--out", "dbt by hand"])
def test_nothing_is_written_into_the_lake(output: str, place: Path, lake: Path) -> None:
    mine = place / "lake"
    shutil.copytree(lake, mine)
    (place / "link").symlink_to(mine)  # by whatever way it is named
    before = {file: file.read_bytes() for file in mine.rglob("*") if file.is_file()}
    target = str(place / "link" / "fact_price.parquet")
    spec = spec_of("new", {})
    if output == "--out":
        file = _file(place, yaml.safe_dump(spec))
        done = msm("vars", file, "--lake", str(mine), "--out", target, place=place)
        refused(done, "nothing is ever written into a lake", target)
    elif output == "dbt by hand":
        given = json.dumps({"experiments": [spec]})
        env = {"MSM_LAKE": str(mine), "MSM_RUNS": str(mine / "runs")}
        done = dbt("build", "--vars", given, place=place, **env)
        assert done.code != 0
        assert "nothing is ever written into a lake" in done.out
    else:
        done = run_experiments([spec], mine, place, **{output: target})
        refused(done, "nothing is ever written into a lake", target)
    assert {file: file.read_bytes() for file in mine.rglob("*") if file.is_file()} == before


def test_full_disk(place: Path, lake: Path) -> None:
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a full disk needs a small one, and mounting it needs root")
    try:
        before = _state(place)
        done = run_experiments([spec_of("new", {})], lake, place, MSM_RUNS=str(disk / "runs"))
        refused(done, "could not be written", "No space left")
        left = [entry.name for entry in (disk / "runs").iterdir()]
        assert left == [".lakes"], "something half-written is left"
        assert _state(place) == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        pytest.param({"experiments": 5}, "must be a list", marks=pytest.mark.slow),
        pytest.param(
            {"experiments": [{"experiment_id": "x"}]}, "features is missing", marks=pytest.mark.slow
        ),
        ({"experiments_file": "no/such/file.json"}, "cannot be read"),
    ],
)
def test_malformed_vars_by_hand(given: dict[str, Any], part: str, place: Path, lake: Path) -> None:
    before = _state(place)
    done = dbt("build", "--vars", json.dumps(given), place=place, MSM_LAKE=str(lake))
    assert done.code != 0
    assert part in done.out
    assert "remedy:" in done.out
    assert _state(place) == before


def test_a_run_id_that_was_rendered_for_another_lake(place: Path, lake: Path) -> None:
    before = _state(place)
    given = {"experiments": [{"run_id": "x-0123456789", **spec_of("x", {})}]}
    done = dbt("build", "--vars", json.dumps(given), place=place, MSM_LAKE=str(lake))
    assert done.code != 0
    assert "rendered for another lake or other code" in done.out
    assert _state(place) == before


def test_unknown_run(place: Path) -> None:
    refused(msm("show", "earlir", place=place), "no such run", "did you mean earlier-")


def test_experiment_that_is_not_there(place: Path, lake: Path) -> None:
    refused(msm("run", "nothing.yaml", "--lake", str(lake), place=place), "nothing.yaml")


def test_spec_written_by_hand_runs_as_it_stands(place: Path, lake: Path) -> None:
    """Defaults may be left out of the vars too, and YAML numbers are numbers."""
    given = yaml.safe_load(
        "experiments: [{experiment_id: short, features: [{id: momentum, weight: -1}], "
        "backtest: {walk_forward: false}, universe: {min_mcap_usd: 6e7}}]"
    )
    done = dbt(
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--vars",
        json.dumps(given),
        place=place,
        MSM_LAKE=str(lake),
    )
    assert done.code == 0, done.out
    assert done.folder("short").is_dir()
