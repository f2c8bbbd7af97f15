"""What surrounds a run: other readers and runs, other users, no network, a killed process."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from support.lakes import tiny_lake
from support.made_up_runs import ALL_FILES, WHOLE_FILES, names, parquet
from support.pipeline import (
    ROOT,
    Done,
    command,
    contents,
    environment,
    facts,
    msm,
    msm_process,
    run_experiments,
)
from support.specs import ODD_SPECS, spec_of

from msm_py.store import parquet_tables, warehouse_tables
from msm_py.store.run_list import existing_runs

DUCKDB_VERSIONS = ("1.1.3", "1.4.4", duckdb.__version__)


def set_writable(folder: Path, writable: bool) -> None:
    for entry in [folder, *folder.rglob("*")]:
        mode = 0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644
        entry.chmod(mode if writable else mode & 0o555)


def experiment_file(place: Path, name: str) -> str:
    file = place / f"{name}.yaml"
    file.write_text(yaml.safe_dump(spec_of(name, ODD_SPECS.get(name, {})), sort_keys=False))
    return str(file)


def copy_of(done: Done, place: Path) -> Path:
    """Copy runs, warehouse and what dbt parsed, so that a test may add to them."""
    for name in ("runs", "warehouse", "target"):
        shutil.copytree(done.runs.parent / name, place / name)
    return place


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lake that says no to whoever wants to write."""
    path = tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=21)
    set_writable(path, False)
    yield path
    set_writable(path, True)


@pytest.fixture(scope="module")
def two(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Two runs of different experiments at the same time, into the same places."""
    place = tmp_path_factory.mktemp("two")
    before = facts(lake)
    done: dict[str, Done] = {}

    def run(name: str) -> None:
        file = experiment_file(place, name)
        done[name] = msm_process("run", file, "--lake", str(lake), place=place)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("plain", "three_states")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, each in done.items():
        assert each.code == 0, f"{name}: {each.err}"
    assert facts(lake) == before, "the lake was written to"
    return done["plain"]


# --- Two runs at once, and who reads meanwhile ---------------------------------------------------


def test_two_runs_at_once_are_both_in_the_catalog_once(two: Done) -> None:
    runs = existing_runs(two.runs)
    assert [run_id.rsplit("-", 1)[0] for run_id in runs] == ["plain", "three_states"]
    left = sorted(entry.name for entry in two.runs.iterdir())
    assert left == [".lakes", ".pages", *runs], "something is left"
    with duckdb.connect(two.warehouse, read_only=True) as con:
        assert con.sql("select run_id from catalog order by 1").fetchall() == [(x,) for x in runs]
        days = con.sql("select run_id, count(*), count(distinct date) from daily group by 1")
        for run_id, rows, dates in days.fetchall():
            assert rows == dates == len(pq.read_table(two.runs / run_id / "returns.parquet"))
    beside = sorted(entry.name for entry in two.warehouse.parent.iterdir())
    assert beside == sorted(
        [
            *("msm", "msm.duckdb", "msm.duckdb.lock", "msm.duckdb.stamp"),
        ]
    )
    tables = {entry.name for entry in (two.warehouse.parent / "msm").iterdir()}
    assert tables == {*parquet_tables.IN_PARTS, *WHOLE_FILES}


def test_parquet_beside_the_warehouse_is_the_same_for_pandas_and_pyarrow(two: Done) -> None:
    with duckdb.connect(two.warehouse, read_only=True) as con:
        for table, declared in warehouse_tables.ALL_TABLES.items():
            rows = con.execute(f"select * from {table}").fetchall()
            beside = parquet(two.warehouse.parent / "msm", table)
            assert beside.column_names == declared.names
            assert [tuple(row.values()) for row in beside.to_pylist()] == rows
            in_parts = table in parquet_tables.IN_PARTS
            file = two.warehouse.parent / "msm" / (table if in_parts else f"{table}.parquet")
            assert pd.read_parquet(file).shape == (len(rows), len(declared.columns))


READER = """
import duckdb, sys, time
file, reopen = sys.argv[1], sys.argv[2] == "reopen"
con = None if reopen else duckdb.connect(file, read_only=True)
while True:
    now = duckdb.connect(file, read_only=True) if reopen else con
    n_runs, n_days, distinct = now.execute(
        "select (select count(*) from catalog), count(*), "
        "(select count(distinct run_id) from daily) from daily"
    ).fetchone()
    if reopen:
        now.close()
    assert n_runs == distinct, "half of a warehouse"
    print(n_runs, flush=True)
    time.sleep(0.1)
"""


def test_readers_do_not_disturb_a_run_nor_a_run_them(two: Done, lake: Path, tmp_path: Path) -> None:
    place = copy_of(two, tmp_path)
    file = place / "warehouse" / "msm.duckdb"
    readers = {}
    for mode in ("open", "reopen"):
        with (place / mode).open("w") as seen_by:
            readers[mode] = subprocess.Popen(
                [sys.executable, "-c", READER, str(file), mode],
                stdout=seen_by,
                stderr=subprocess.PIPE,
                text=True,
            )
    try:
        for mode, reader in readers.items():
            wait_for((place / mode).read_text, reader)
        done = run_experiments([spec_of("impact", ODD_SPECS["impact"])], lake, place)
        assert done.code == 0, done.err
        time.sleep(1)
        for mode, reader in readers.items():
            assert reader.poll() is None, f"{mode}: {reader.communicate()[1]}"
    finally:
        for reader in readers.values():
            reader.kill()
            reader.communicate()
    seen = {mode: (place / mode).read_text().split() for mode in readers}
    assert set(seen["open"]) == {"2"}, "who holds a file open goes on reading that file"
    assert set(seen["reopen"]) == {"2", "3"}
    assert seen["reopen"] == sorted(seen["reopen"])
    with duckdb.connect(file, read_only=True) as con:
        assert con.sql("select count(*) from catalog").fetchall() == [(3,)]


# --- Other versions of DuckDB --------------------------------------------------------------------

QUERIES = """
import duckdb, json, sys
con = duckdb.connect(sys.argv[1], read_only=True)
found = {"version": duckdb.__version__}
for name, order in json.loads(sys.argv[2]).items():
    found[name] = con.execute(f"select * from {name} order by {order}").fetchall()
    found["types of " + name] = con.execute(
        f"select column_name, column_type from (describe {name})"
    ).fetchall()
try:
    con.execute("create table t (x integer)")
except duckdb.Error:
    found["read only"] = True
print(json.dumps(found, default=str))
"""
READ = {
    "catalog": "run_id",
    "edges": "run_id, horizon_days, edge",
    "daily": "run_id, date",
    "baskets": "basket_panel, date, rank",
    "v_leaderboard": "place",
    "v_latest_state": "run_id",
    "attribution": "run_id, leg, asset_id, regime",
    "state_paths": "run_id, regime, day_number",
    "run_quality": "run_id, check_name, place",
    "v_equity": "run_id, date",
    "v_monthly_returns": "run_id, month",
    "v_state_returns": "run_id, state_order",
    "v_basket_now": "run_id, rank",
    "v_attribution": "run_id, place",
}
FLAT = {"VARCHAR", "DATE", "TIMESTAMP", "DOUBLE", "INTEGER", "BIGINT", "BOOLEAN"}


def read_with(python: str, file: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-c", QUERIES, str(file), json.dumps(READ)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def published_again(
    two: Done, lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The warehouse file after one publish, and after more was added to what was there."""
    first = two.warehouse
    place = copy_of(two, tmp_path_factory.mktemp("again"))
    done = run_experiments([spec_of("weekly_lag", ODD_SPECS["weekly_lag"])], lake, place)
    assert done.code == 0, done.err
    return first, done.warehouse


@pytest.mark.slow
@pytest.mark.parametrize("version", DUCKDB_VERSIONS)
def test_every_version_of_duckdb_reads_the_same(
    version: str, published_again: tuple[Path, Path], tmp_path: Path
) -> None:
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", f"duckdb=={version}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if installed.returncode:
        pytest.skip(f"duckdb {version} cannot be installed: {installed.stderr.strip()[-300:]}")
    for file, n_runs in zip(published_again, (2, 3), strict=True):
        found = read_with(python, file)
        expected = read_with(sys.executable, file)
        assert found.pop("version") == version
        expected.pop("version")
        assert found == expected
        assert found["read only"]
        assert len(found["catalog"]) == len(found["v_latest_state"]) == n_runs
        assert [row[0] for row in found["v_leaderboard"]] == list(range(1, n_runs + 1))
        for name in READ:
            assert {kind for _, kind in found[f"types of {name}"]} <= FLAT


# --- No network ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_a_network(two: Done, lake: Path, tmp_path: Path) -> None:
    """In a network namespace of its own there is nothing but a loopback that is down."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    try:
        probe = command([*alone, "cat", "/proc/net/dev"], tmp_path)
    except FileNotFoundError:
        pytest.skip("network namespaces need Linux and unshare")
    if probe.code:
        pytest.skip(f"no network namespace may be made here: {probe.err.strip()}")
    interfaces = [line.split(":")[0].strip() for line in probe.out.splitlines()[2:]]
    assert interfaces == ["lo"]
    done = command(
        [
            *(*alone, sys.executable, "-m", "msm_py.cli", "run"),
            *(experiment_file(tmp_path, "plain"), "--lake", str(lake)),
        ],
        tmp_path,
    )
    assert done.code == 0, done.err
    assert done.folder("plain").name == two.folder("plain").name, "the code changed meanwhile"
    assert contents(done.folder("plain")) == contents(two.folder("plain"))


# --- An ordinary user, lake and code read-only ---------------------------------------------------


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own are for their owner alone)."""
    path = Path(tempfile.mkdtemp(prefix="msm-test-"))
    path.chmod(0o755)
    yield path
    set_writable(path, True)
    shutil.rmtree(path)


def ordinary_user() -> dict[str, Any]:
    """Return what makes a subprocess run as an ordinary user: `nobody` for root, else oneself."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def interpreter(env: dict[str, str], cwd: Path) -> str:
    """Return a Python of this version that the ordinary user may start, with our packages."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            done = subprocess.run(
                [python, "-c", "import msm_py, dbt.version, duckdb, numpy; print(msm_py.__file__)"],
                cwd=cwd,
                env=env,
                capture_output=True,
                text=True,
                check=False,
                **ordinary_user(),
            )
        except OSError:
            continue
        if done.returncode == 0:
            assert str(cwd.parent / "code") in done.stdout, "this is not the copy of the code"
            return python
    pytest.skip(f"an ordinary user may not start {sys.executable}, and there is no other {name}")


@pytest.mark.slow
def test_an_ordinary_user_with_lake_and_code_read_only(two: Done, lake: Path, common: Path) -> None:
    code, own = common / "code", common / "own"
    for folder in ("models", "macros", "seeds", "msm_py", "tests/dbt"):
        shutil.copytree(ROOT / folder, code / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(ROOT / file, code / file)
    experiment = experiment_file(common, "plain")
    shutil.copytree(lake, common / "lake")
    (common / "home").mkdir()
    for name in ("code", "lake", "home"):
        set_writable(common / name, False)
    own.mkdir()
    own.chmod(0o777)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MSM_", "DBT_", "XDG_"))},
        "HOME": str(common / "home"),
        "TMPDIR": str(own),
        "PYTHONPATH": os.pathsep.join([str(code), sysconfig.get_path("purelib")]),
    }
    python = interpreter(env, own)
    before = {name: facts(common / name) for name in ("code", "lake", "home")}
    done = subprocess.run(
        [
            *(python, "-m", "msm_py.cli", "run", experiment, "--lake", str(common / "lake")),
            *("--runs", str(own / "runs"), "--warehouse", str(own / "warehouse" / "msm.duckdb")),
        ],
        cwd=own,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **ordinary_user(),
    )
    assert done.returncode == 0, done.stderr
    assert {name: facts(common / name) for name in before} == before
    assert sorted(entry.name for entry in own.iterdir()) == ["runs", "warehouse"]
    (run_id,) = existing_runs(own / "runs")
    assert run_id == two.folder("plain").name, "the code changed meanwhile"
    assert contents(own / "runs" / run_id) == contents(two.folder("plain"))


# --- Killed and interrupted ----------------------------------------------------------------------

# `msm` as it is, but every JSON file of a run folder takes its time
SLOW = """
import sys, time
from msm_py.cli import app
from msm_py.store import run_folder
write_json, seconds = run_folder.write_json, float(sys.argv.pop(1))
def slowly(value, path):
    time.sleep(seconds)
    write_json(value, path)
run_folder.write_json = slowly
app.main()
"""


def start(place: Path, lake: Path, *, seconds_per_file: float) -> subprocess.Popen[str]:
    place.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-c", SLOW, str(seconds_per_file), "run"),
            *(experiment_file(place, "plain"), "--lake", str(lake)),
        ],
        cwd=ROOT,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def writing(place: Path) -> list[Path]:
    """Return the files of a run folder that is being written."""
    return list((place / "runs").glob(".msm-scratch-*/plain-*/*"))


def test_a_killed_run_leaves_nothing_that_looks_like_a_run(
    two: Done, lake: Path, tmp_path: Path
) -> None:
    place = copy_of(two, tmp_path)
    shutil.rmtree(place / "runs" / two.folder("plain").name)
    known = [two.folder("three_states").name]
    process = start(place, lake, seconds_per_file=60)
    try:
        wait_for(lambda: writing(place), process)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert writing(place), "killed in the middle"
    assert existing_runs(place / "runs") == known
    with duckdb.connect(place / "warehouse" / "msm.duckdb", read_only=True) as con:
        con.sql("select count(*) from catalog").fetchall()

    again = msm("run", experiment_file(place, "plain"), "--lake", str(lake), place=place)
    assert again.code == 0, again.err
    assert existing_runs(place / "runs") == sorted([*known, again.folder("plain").name])
    assert again.folder("plain").name == two.folder("plain").name, "the code changed meanwhile"
    assert contents(again.folder("plain")) == contents(two.folder("plain"))
    with duckdb.connect(again.warehouse, read_only=True) as con:
        assert con.sql("select count(*) from catalog").fetchall() == [(2,)]


@pytest.mark.parametrize("when", ["computing", "writing"])
def test_an_interrupted_run_says_so_in_a_line_and_leaves_nothing(
    when: str, two: Done, lake: Path, tmp_path: Path
) -> None:
    shutil.copytree(two.runs.parent / "target", tmp_path / "target")  # saves parsing
    process = start(tmp_path, lake, seconds_per_file=0.3)
    assert process.stdout is not None
    try:
        if when == "computing":
            while "market panel" not in process.stdout.readline():
                assert process.poll() is None
        else:
            wait_for(lambda: writing(tmp_path), process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, err
    assert err.strip().splitlines() == [
        "stopped; complete runs are kept, nothing half-written is left"
    ]
    for run_id in existing_runs(tmp_path / "runs"):  # a run that was complete is kept
        assert when == "writing"
        assert names(tmp_path / "runs" / run_id) == ALL_FILES
    left = [entry.name for entry in (tmp_path / "runs").glob(".*")]
    assert left in ([], [".lakes"])
    parsed = [entry.name for entry in (two.runs.parent / "target").iterdir()]
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == parsed, "scratch is left"
