"""Disks that are full or read-only, one for each place that is written to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from support.kills import TEMPORARY, assert_no_half_run, places, strays
from support.lakes import run_of, tiny_lake
from support.made_up_runs import (
    contents_as_rebuilt,
    everything,
    everything_published,
    names,
    publish,
    write_made_up_run,
)
from support.pipeline import ROOT, environment, msm, own_caches
from support.specs import ODD_SPECS, spec_of

from msm_py.errors import MsmError, NoSpace
from msm_py.export.superset_bundle import write_bundle
from msm_py.report.pages.leaderboard import write_catalog_page
from msm_py.runner import failure_logs
from msm_py.store import looks, record_files, scratch

RUN = "a-0000000001"
LOOK = {"experiment_id": "a", "evaluation": {"holdout_start": "2025-01-01", "look": True}}
FULL = "No space left on device"
READ_ONLY = "Read-only file system"
SAYS = {"full": FULL, "read-only": READ_ONLY}


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, size: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder))

    def fill(self) -> None:
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def make(self, what: str) -> None:
        """Let it be full, or read-only."""
        if what == "full":
            self.fill()
        else:
            self._call("mount", "-o", "remount,ro", str(self.folder))

    def free(self) -> None:
        """Give it room, to write too."""
        self._call("mount", "-o", "remount,rw,size=100m", str(self.folder))
        (self.folder / "filler").unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)

    def _call(self, *words: str) -> None:
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")


@pytest.fixture(scope="module", autouse=True)
def caches_of_their_own() -> Iterator[None]:
    """What is in a cache, and what is left of it, is looked at here."""
    with own_caches():
        yield


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str, str], Disk]]:
    """Make small disks in the folder of a test, by name and size."""
    disks: list[Disk] = []

    def make(name: str, size: str) -> Disk:
        disks.append(Disk(tmp_path / name))
        disks[-1].mount(size)
        return disks[-1]

    yield make
    for each in disks:
        each.unmount()


# --- What is written outside of an invocation ----------------------------------------------------


@pytest.mark.parametrize(
    "size", ["4m", *(pytest.param(x, marks=pytest.mark.slow) for x in ("8k", "1m", "read-only"))]
)
def test_the_warehouse_stays_and_is_published_once_there_is_room(
    size: str, disk: Callable[[str, str], Disk], tmp_path: Path
) -> None:
    wh = disk("wh", "100m" if size == "read-only" else size)
    assert write_made_up_run(tmp_path / "runs", RUN)
    if size == "read-only":
        publish(tmp_path)
        assert write_made_up_run(tmp_path / "runs", "a-0000000002")
        wh.make("read-only")
    before = everything(wh.folder)
    with pytest.raises(MsmError) as caught:
        publish(tmp_path)
    assert (READ_ONLY if size == "read-only" else FULL) in str(caught.value)
    assert str(wh.folder) in str(caught.value)
    left = everything(wh.folder)
    left.pop("msm.duckdb.lock", None)
    before.pop("msm.duckdb.lock", None)
    assert left == before
    wh.free()
    publish(tmp_path)
    assert everything_published(tmp_path) == contents_as_rebuilt(tmp_path)
    assert strays(tmp_path) == []


@pytest.mark.parametrize("what", list(SAYS))
def test_records_looks_pages_and_bundles(
    what: str, disk: Callable[[str, str], Disk], tmp_path: Path
) -> None:
    runs = disk("runs", "300k")
    assert write_made_up_run(runs.folder, RUN)
    publish(tmp_path)
    (runs.folder / ".sweeps").mkdir()
    (runs.folder / ".sweeps" / "s.json").write_text('{"n": 1}')
    runs.make(what)
    before = everything(runs.folder)
    warehouse = tmp_path / "wh" / "msm.duckdb"
    for place, write in (
        (".sweeps/s.json", lambda file: record_files.replace(file, {"n": ["x" * 9000] * 9})),
        (looks.LEDGER, lambda file: looks.record(file.parent, [run_of(RUN, **LOOK)], "x")),
        ("leaderboard", lambda file: write_catalog_page(file.parent, warehouse, 1)),
        ("bundle.zip", lambda file: write_bundle(file, warehouse)),
    ):
        with pytest.raises(MsmError) as caught:
            write(runs.folder / place)
        assert SAYS[what] in str(caught.value), place
        assert str(runs.folder / place) in str(caught.value)
        assert "remedy:" in str(caught.value)
        left = everything(runs.folder)
        left.pop(f"{looks.LEDGER}.lock", None)
        assert left == before, place
    assert looks.read(runs.folder).looks == ()


@pytest.mark.parametrize("what", list(SAYS))
def test_a_log_that_cannot_be_kept_says_so(
    what: str, disk: Callable[[str, str], Disk], tmp_path: Path
) -> None:
    logs = disk("logs", "64k")
    (tmp_path / "dbt.log").write_bytes(b"x" * 150_000)
    logs.make(what)
    told = failure_logs.keep(tmp_path / "dbt.log", logs.folder)
    for part in (str(logs.folder), SAYS[what], "MSM_LOGS"):
        assert part in told
    assert [name for name in names(logs.folder) if name != "filler"] == []


def test_a_full_disk_of_scratch_leaves_no_folder_without_a_marker(
    disk: Callable[[str, str], Disk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = disk("target", "8k")
    monkeypatch.setenv("MSM_TARGET", str(target.folder))
    target.fill()
    with pytest.raises(NoSpace, match=FULL) as caught, scratch.own_folder():
        raise AssertionError("never reached")
    assert str(target.folder) in str(caught.value)
    assert names(target.folder) == ["filler"]
    target.free()
    target.make("read-only")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.own_folder() as own:  # the code may be installed read-only
        assert own.parent == tmp_path


@pytest.mark.parametrize(
    "words", [["list"], pytest.param(["list", "--json"], marks=pytest.mark.slow)]
)
def test_an_output_that_is_full(words: list[str], tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    assert write_made_up_run(tmp_path / "runs", RUN)
    publish(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "msm_py.cli", *words],
            cwd=ROOT,
            env=environment(tmp_path, **places(tmp_path)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert FULL in done.stderr
    assert "the output of this command" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# --- Runs and sweeps -----------------------------------------------------------------------------


def files_of(place: Path, *ids: str) -> list[str]:
    place.mkdir(parents=True, exist_ok=True)
    for name in ids:
        spec = spec_of(name, ODD_SPECS["plain" if name == "one" else "three_states"])
        (place / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return [str(place / f"{name}.yaml") for name in ids]


@pytest.mark.parametrize(
    ("command", "name", "size"),
    [
        ("sweep", "runs", "200k"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("run", "runs", "100k"),
                ("run", "runs", "400k"),  # the run is complete, its page finds no room
                ("run", "target", "2m"),
                ("run", "target", "5m"),
                ("run", "wh", "4m"),
                ("sweep", "wh", "4m"),
                ("sweep", "target", "5m"),
            )
        ),
    ],
)
def test_a_command_names_the_place_and_goes_on_when_there_is_room(
    command: str, name: str, size: str, disk: Callable[[str, str], Disk], tmp_path: Path
) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    small = disk(name, size)
    (tmp_path / TEMPORARY).mkdir()
    words = [
        *(command, *files_of(tmp_path / "asked", "one", *(["two"] if command == "sweep" else []))),
        *("--lake", str(lake), *(["--batch-size", "1"] if command == "sweep" else [])),
    ]
    ended = msm(*words, place=tmp_path, **places(tmp_path))
    assert ended.code == 1
    assert FULL in ended.err
    assert str(small.folder) in ended.err
    assert "Traceback" not in ended.err + ended.out
    assert "--- Logging error" not in ended.err
    assert_no_half_run(tmp_path / "runs")
    complete = [x for x in names(tmp_path / "runs") if x[0] != "."]
    if name == "runs" and size != "100k":
        assert len(complete) == 1, "the size is such that one run finds room"
        assert everything_published(tmp_path) == contents_as_rebuilt(tmp_path)
    small.free()
    again = msm(*words, place=tmp_path, **places(tmp_path))
    assert again.code == 0, again.err
    assert set(complete) <= set(names(tmp_path / "runs"))
    assert everything_published(tmp_path) == contents_as_rebuilt(tmp_path)
    assert strays(tmp_path) == []


def test_logs_of_failures_are_kept_the_last_ten(tmp_path: Path) -> None:
    (tmp_path / "dbt.log").write_text("why")
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("msm.log", "msm-20260101-000000-0123abcd.log.txt", "other.log"):
        (logs / name).write_text("mine")
    # a clock that was moved backwards: what is there seems newer than what is kept now
    kept = [failure_logs.keep(tmp_path / "dbt.log", logs) for _ in range(12)]
    for file in logs.glob("msm-2*.log"):
        os.utime(file, (2**32, 2**32))
    last = failure_logs.keep(tmp_path / "dbt.log", logs)
    found = [file for file in logs.iterdir() if failure_logs.NAME.fullmatch(file.name)]
    assert len(found) == 10
    assert any(str(file) in last and file.read_text() == "why" for file in found)
    assert not any(str(file) in kept[0] for file in found)
    assert len(names(logs)) == 13


@pytest.mark.slow
@pytest.mark.parametrize("where", ["kept", "full", "temporary"])
def test_a_failed_build_says_where_its_log_is(
    where: str, disk: Callable[[str, str], Disk], tmp_path: Path
) -> None:
    """A model that cannot be built, and a disk without room for the log or for temporary files."""
    lake = tiny_lake(tmp_path / "lake", seed=12)
    (tmp_path / TEMPORARY).mkdir()
    small = disk(TEMPORARY if where == "temporary" else "logs", "4k")
    small.fill()
    words = ["run", *files_of(tmp_path / "asked", "one"), "--lake", str(lake)]
    more = places(tmp_path) | ({"MSM_LOGS": str(small.folder)} if where == "full" else {})
    if where == "temporary":  # nothing is written there
        assert msm(*words, place=tmp_path, **more).code == 0
        assert names(small.folder) == ["filler"]
        return
    ended = msm(*words, place=tmp_path, **more, MSM_MEMORY_LIMIT="1KB")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    if where == "full":
        assert f"could not be kept in {small.folder}" in ended.err
    else:
        (log,) = (tmp_path / "target" / "logs").iterdir()
        assert log.name in ended.err
        assert log.stat().st_size > 1000
