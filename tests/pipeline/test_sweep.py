"""Sweeps: the same runs however they are carried out, and failures that leave the others alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
import yaml
from support.lakes import tiny_lake, tiny_spec
from support.made_up_runs import ALL_FILES
from support.pipeline import ROOT, Done, environment, msm
from support.sweeps import catalog, folders, grid_file, no_overlap_file, sweep


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    tiny_lake(path, seed=8)
    return path


@pytest.fixture(scope="module")
def undisturbed(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("undisturbed")
    file = grid_file(place, [-0.2, -0.3, -0.9], [0.2, 0.3])
    done = sweep(file, no_overlap_file(place), lake=lake, place=place)
    assert len(folders(done)) == 4, done.err
    return done


def test_failures_are_reported_and_the_others_are_computed(undisturbed: Done) -> None:
    assert undisturbed.code == 1
    assert "4 computed, 0 were there already, 1 failed, 2 rejected" in undisturbed.out
    assert "The window lies outside the lake" in undisturbed.out
    assert "thresholds" in undisturbed.out
    assert "Traceback" not in undisturbed.out + undisturbed.err
    (record,) = (undisturbed.runs / ".sweeps").glob("*.json")
    found = json.loads(record.read_text())
    statuses = sorted(trial["status"] for trial in found["trials"])
    assert statuses == ["complete"] * 4 + ["failed"] + ["rejected"] * 2
    assert found["n_trials"] == 7
    with duckdb.connect(undisturbed.warehouse, read_only=True) as con:
        row = con.sql("select n_trials, n_runs, n_failed, n_rejected from sweeps").fetchall()
        assert row == [(7, 4, 1, 2)]
        assert con.sql("select count(*) from sweep_statistics").fetchall() == [(4,)]
        assert con.sql("select count(distinct run_id) from v_leaderboard").fetchall() == [(4,)]


def test_shown_again(undisturbed: Done) -> None:
    (record,) = (undisturbed.runs / ".sweeps").glob("*.json")
    shown = msm("sweep", "show", record.stem[:6], place=undisturbed.runs.parent)
    assert shown.code == 0, shown.err
    assert "7 trials, 4 complete runs" in " ".join(shown.out.split())


@pytest.mark.slow
def test_one_at_a_time_in_workers_with_an_injected_fault(
    lake: Path, undisturbed: Done, tmp_path: Path
) -> None:
    """A file stands where a run folder should go: that run fails, whatever batch it is in."""
    files = [grid_file(tmp_path, [-0.2, -0.3, -0.9], [0.2, 0.3]), no_overlap_file(tmp_path)]
    doomed = sorted(folders(undisturbed))[1]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / doomed).write_text("in the way")
    done = sweep(*files, lake=lake, place=tmp_path, options=("--jobs", "2", "--batch-size", "2"))
    assert done.code == 1
    assert "3 computed, 0 were there already, 2 failed, 2 rejected" in done.out
    assert "choosing baskets, holding legs" in done.out  # the workers tell of their steps
    (tmp_path / "runs" / doomed).unlink()
    resumed = sweep(*files, lake=lake, place=tmp_path)
    assert "1 computed, 3 were there already, 1 failed" in resumed.out
    assert folders(resumed) == folders(undisturbed)
    assert catalog(resumed) == catalog(undisturbed)


def test_shards_make_up_the_sweep(lake: Path, undisturbed: Done, tmp_path: Path) -> None:
    file = grid_file(tmp_path, [-0.2, -0.3], [0.2, 0.3])
    printed = sweep(
        file, lake=lake, place=tmp_path, options=("--batch-size", "2", "--print-commands")
    )
    assert printed.out.count("msm_py.cli sweep /") == 2
    assert not (tmp_path / "runs").exists()
    for part in ("1/2", "2/2"):
        done = sweep(file, lake=lake, place=tmp_path, options=("--shard", part))
        assert done.code == 0, done.err
    assert folders(done) == folders(undisturbed)
    with duckdb.connect(done.warehouse, read_only=True) as con:
        assert con.sql("select n_trials, n_runs from sweeps").fetchall() == [(4, 4)]


def test_dry_run_computes_nothing(lake: Path, tmp_path: Path) -> None:
    file = grid_file(tmp_path, [-0.2, -0.9], [0.2])
    done = sweep(file, lake=lake, place=tmp_path, options=("--dry-run",))
    assert done.code == 0, done.err
    assert "1 variant, 1 to compute in 1 invocation; 1 rejected" in done.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_forced_runs_stay_until_replaced(
    lake: Path, undisturbed: Done, tmp_path: Path, number: signal.Signals
) -> None:
    """Stopped by SIGTERM or a closed terminal, which act like Ctrl-C."""
    file = grid_file(tmp_path, [-0.2, -0.3], [0.2, 0.3])
    shutil.copytree(undisturbed.runs, tmp_path / "runs")
    shutil.copytree(undisturbed.runs.parent / "target", tmp_path / "target")
    words = [sys.executable, "-m", "msm_py.cli", "sweep", str(file), "--lake", str(lake)]
    process = subprocess.Popen(
        [*words, "--force", "--jobs", "2"],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list((tmp_path / "target").glob(".msm-scratch-*"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "0 computed, 0 were there already, 0 failed, 4 not done" in out
    assert "Traceback" not in err
    assert list((tmp_path / "target").glob(".*")) == []
    stopped = Done(130, out, err, tmp_path / "runs", tmp_path / "none")
    assert folders(stopped) == folders(undisturbed)
    before = {file: file.read_bytes() for file in stopped.runs.glob("*/manifest.json")}
    done = sweep(file, lake=lake, place=tmp_path, options=("--force",))
    assert "4 computed, 0 were there already" in done.out, done.err
    assert folders(done) == folders(undisturbed)
    assert all(file.read_bytes() != content for file, content in before.items())


def test_sweeps_and_their_runs_are_listed_a_line_each(undisturbed: Done) -> None:
    place = undisturbed.runs.parent
    (record,) = (undisturbed.runs / ".sweeps").glob("*.json")
    listed = msm("sweep", "show", place=place, COLUMNS="120")
    assert listed.code == 0, listed.err
    (line,) = [line for line in listed.out.splitlines() if line.startswith(record.stem)]
    assert line.split()[-1] in folders(undisturbed)
    rows = json.loads(record.read_text())["runs"]
    assert {row["run_id"] for row in rows} == set(folders(undisturbed))
    leaders = {row["same_returns_as"] for row in rows}
    for columns in ("60", "120"):
        shown = msm("sweep", "show", record.stem, place=place, COLUMNS=columns).out
        for name in leaders:
            (line,) = re.findall(rf"^ *\d+ +{name[-10:-4]}\w* .*$", shown, re.MULTILINE)
            assert len(line) <= int(columns)
            assert re.search(r"-?0\.\d$", line.rstrip()), "what differs"
    everything = json.loads(
        msm("sweep", "show", record.stem, "--json", place=place, COLUMNS="40").out
    )
    assert {row["run_id"] for row in everything} == set(folders(undisturbed))
    assert [row["place"] for row in everything] == list(range(1, len(rows) + 1))
    both = msm("sweep", "show", record.stem, record.stem, place=place)
    assert both.code == 1
    assert "one sweep is shown at a time" in both.err


def test_rejects_count_once_among_shards_and_broken_files_are_rejected(
    lake: Path, tmp_path: Path
) -> None:
    file = grid_file(tmp_path, [-0.2, -0.9], [0.2])
    (tmp_path / "broken.yaml").write_text("a: [")
    files = (file, file, tmp_path / "broken.yaml")
    for part, n_rejected in (("1/2", 2), ("2/2", 0)):
        done = sweep(*files, lake=lake, place=tmp_path, options=("--dry-run", "--shard", part))
        assert done.code == 0, done.err
        assert f"{n_rejected} rejected, 0 duplicates dropped" in done.out
    only = grid_file(tmp_path / "only", [-0.9], [0.2])
    for part, code in (("1/2", 1), ("2/2", 0)):
        done = sweep(only, lake=lake, place=tmp_path, options=("--shard", part))
        assert done.code == code, done.out + done.err
        assert "StepM" not in done.out


def test_placebos_are_refused(lake: Path, tmp_path: Path) -> None:
    spec = {**tiny_spec(), "sweep": {"grid": {"state_mapping.placebo_rotation_days": [0, 50]}}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    done = sweep(tmp_path / "x.yaml", lake=lake, place=tmp_path)
    assert done.code == 1
    assert "a sweep never holds placebos" in done.err


def test_printed_commands_carry_options_or_refuse_them(lake: Path, tmp_path: Path) -> None:
    file = grid_file(tmp_path, [-0.2], [0.2])
    options = ("--print-commands", "--force", "--fail-fast")
    done = sweep(file, lake=lake, place=tmp_path, options=options)
    assert "--force --fail-fast --shard 1/1" in done.out
    assert done.out.startswith("/")
    for refused in (("--shard", "1/2"), ("--executor", "ray"), ("--dry-run",)):
        done = sweep(file, lake=lake, place=tmp_path, options=("--print-commands", *refused))
        assert done.code == 1
        assert refused[0] in done.err


def test_first_failure_stops_and_the_rest_is_counted(lake: Path, tmp_path: Path) -> None:
    file = grid_file(tmp_path, [-0.2], [0.2])
    options = ("--fail-fast", "--batch-size", "1")
    done = sweep(file, no_overlap_file(tmp_path), lake=lake, place=tmp_path, options=options)
    assert done.code == 1
    n_computed = len(folders(done))
    left = f", {1 - n_computed} not begun (--fail-fast)" if n_computed == 0 else ""
    assert f"{n_computed} computed, 0 were there already, 1 failed, 0 rejected{left};" in done.out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--glob", "nothing/*.yaml"), "nothing to sweep"),
        (("--shard", "3/2", "experiments/msm/threshold_grid.yaml"), "a shard is written i/n"),
        (("show", "nothing"), "there is no such sweep"),
    ],
)
def test_bad_calls(words: tuple[str, ...], part: str, lake: Path, tmp_path: Path) -> None:
    done = msm("sweep", *words, place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 1
    assert part in done.err
    assert "remedy:" in done.err


@pytest.mark.slow
def test_three_hundred_variants_killed_in_the_middle(lake: Path, tmp_path: Path) -> None:
    steps = [round(0.05 + 0.03 * k, 2) for k in range(17)]
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for place in (calm, rough):
        grid_file(place, [-x for x in steps] + [-0.9], steps)
        no_overlap_file(place)
    options = ("--batch-size", "60")
    files = ("grid.yaml", "no_overlap.yaml")
    expected = sweep(*(calm / name for name in files), lake=lake, place=calm, options=options)
    assert len(folders(expected)) == 17 * 17

    words = [
        sys.executable,
        "-m",
        "msm_py.cli",
        "sweep",
        *(str(rough / name) for name in files),
    ]
    process = subprocess.Popen(
        [*words, "--lake", str(lake), *options],
        cwd=ROOT,
        env=environment(rough),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (rough / "runs").is_dir() or len(os.listdir(rough / "runs")) < 80:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for folder in (rough / "runs").iterdir():  # no half run is visible
        assert folder.name.startswith(".") or len(list(folder.iterdir())) == len(ALL_FILES)
    doomed = next(name for name in folders(expected) if not (rough / "runs" / name).exists())
    (rough / "runs" / doomed).write_text("in the way")
    resumed = sweep(
        *(rough / name for name in files), lake=lake, place=rough, options=(*options, "--jobs", "2")
    )
    assert resumed.code == 1
    assert "2 failed, 17 rejected" in resumed.out
    (rough / "runs" / doomed).unlink()
    resumed = sweep(*(rough / name for name in files), lake=lake, place=rough, options=options)
    assert folders(resumed) == folders(expected)
    assert catalog(resumed) == catalog(expected)
