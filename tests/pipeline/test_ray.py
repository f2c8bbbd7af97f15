"""Batches on a Ray cluster: the same runs, also when a worker or a whole node dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.lakes import run_of, tiny_lake
from support.pipeline import ROOT, Done, environment, msm
from support.sweeps import folders, grid_file, no_overlap_file, sweep

from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.runner.batches import run_sweep
from msm_py.runner.executors import WorkerLost
from msm_py.runner.invocation import Outcome
from msm_py.runner.ray_cluster import RayExecutor, check_node, check_reachable, pack, unpack
from msm_py.settings import Places
from msm_py.store import scratch

# --- Without Ray: what dies, and what travels ----------------------------------------------------


@dataclass
class Deadly(Executor):
    """Two slots; a batch with a run of ``kills`` dies, and all beside it if ``takes_all``."""

    kills: set[str]
    takes_all: bool
    asked: list[list[str]]

    def submit(  # type: ignore[override]
        self, fn: Callable[..., Any], specs: list[ResolvedRun], places: Places
    ) -> Future[Any]:
        self.asked.append([spec.run_id for spec in specs])
        future: Future[Any] = Future()
        doomed = self.kills & set(self.asked[-1])
        if self.takes_all and len(self.asked) > 1 and self.kills & set(self.asked[-2]):
            raise BrokenExecutor("the one before took it along")
        if doomed:
            future.set_exception(BrokenExecutor("died") if self.takes_all else WorkerLost("died"))
        else:
            future.set_result(fn(specs, places))
        return future


def computed(specs: list[ResolvedRun], _: Places) -> tuple[list[Outcome], str, float]:
    outcomes = [Outcome(x.run_id, x.experiment.experiment_id, "complete", None) for x in specs]
    return outcomes, "2026-01-01T00:00:00+00:00", 1.0


def specs_of(n: int) -> list[ResolvedRun]:
    return [run_of(f"r{i}", experiment_id=f"e{i}") for i in range(n)]


@pytest.mark.parametrize("takes_all", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_only_the_run_that_kills_its_worker_fails(
    batch_size: int, takes_all: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[list[str]] = []

    def opened(_: int) -> Executor:
        asked.append([])  # nothing was asked of this one
        return Deadly({"r4"}, takes_all, asked)

    trials = list(
        run_sweep(
            specs_of(9),
            Places(tmp_path, tmp_path, tmp_path / "w"),
            batch_size=batch_size,
            jobs=2,
            open_executor=opened,
            compute=computed,
        )
    )
    assert sorted(trial.run_id or "" for trial in trials) == [f"r{i}" for i in range(9)]
    assert [trial.run_id for trial in trials if trial.status != "complete"] == ["r4"]
    assert trials[-1].run_id == "r4", "it was asked again alone, after all others"
    assert "died" in (trials[-1].error or "")
    assert "A worker is gone, its 1 runs are tried again" in caplog.text


def computed_unless_r4(
    specs: list[ResolvedRun], places: Places
) -> tuple[list[Outcome], str, float]:
    if "r4" in [spec.run_id for spec in specs]:
        os.kill(os.getpid(), signal.SIGKILL)
    return computed(specs, places)


def test_processes_of_this_machine_likewise(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path, tmp_path / "w")
    trials = list(run_sweep(specs_of(6), places, batch_size=3, jobs=2, compute=computed_unless_r4))
    assert sorted(trial.run_id or "" for trial in trials) == [f"r{i}" for i in range(6)]
    assert [trial.run_id for trial in trials if trial.status != "complete"] == ["r4"]


ONE, TWO = "a-0000000001", "b-0000000002"


def run_folders(place: Path, *names: str) -> Path:
    place.mkdir()
    shared = place / ".shared"
    shared.write_text("panel")
    for name in names:
        (place / name).mkdir()
        (place / name / "manifest.json").write_text(json.dumps({"run_id": name}))
        (place / name / "metrics.json").write_text(name)
        os.link(shared, place / name / "features.parquet")
    return place


def test_run_folders_travel_with_their_links(tmp_path: Path) -> None:
    content = pack(run_folders(tmp_path / "there", ONE, TWO))
    assert content.count(b"panel") == 1, "what runs share travels once"
    here = run_folders(tmp_path / "here", TWO)
    (here / TWO / "metrics.json").write_text("was here first")
    unpack(content, here)
    assert sorted(entry.name for entry in here.iterdir()) == [".shared", ONE, TWO]
    assert (here / ONE / "metrics.json").read_text() == ONE
    assert (here / TWO / "metrics.json").read_text() == "was here first"
    unpack(content, run_folders(tmp_path / "third"))
    inodes = {(tmp_path / "third" / x / "features.parquet").stat().st_ino for x in (ONE, TWO)}
    assert len(inodes) == 1


def test_a_run_that_cannot_be_placed_leaves_nothing_half(tmp_path: Path) -> None:
    content = pack(run_folders(tmp_path / "there", ONE, TWO))
    here = run_folders(tmp_path / "here")
    (here / TWO).write_text("in the way")
    with pytest.raises(MsmError, match="a run could not be written"):
        unpack(content, here)
    assert sorted(entry.name for entry in here.iterdir()) == [".shared", ONE, TWO]
    assert (here / TWO).read_text() == "in the way"


def test_a_node_that_cannot_compute_says_why(tmp_path: Path) -> None:
    with pytest.raises(MsmError, match=r"does not find the lake(.|\n)*every node"):
        check_node(tmp_path / "no lake", "code")
    with pytest.raises(MsmError, match="a node of the Ray cluster has other code"):
        check_node(tmp_path, "code")


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MsmError, match=r"Ray is not installed(.|\n)*pip install"):
        RayExecutor(None, 1, lake=tmp_path)


WORKERS = """
import os, signal, sys, time
from pathlib import Path
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.runner.batches import run_sweep
from msm_py.settings import Places

def slow(specs, places):
    try:
        (places.runs / f"pid{os.getpid()}").write_text("")  # seen at once by who stops it
        time.sleep(100)
    finally:
        (places.runs / f"cleaned{os.getpid()}").write_text("")

if __name__ == "__main__":
    # a shell has background jobs ignore it, and the tests may be one
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Path(sys.argv[1])
    features = [{"id": "momentum", "weight": 1}]
    asked = from_resolved({"experiment_id": "a", "features": features})
    specs = [ResolvedRun(run_id, asked) for run_id in "ab"]
    list(run_sweep(specs, Places(place, place, place), jobs=2, compute=slow))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    """Also when only the parent is told to stop, as by `kill`."""
    script = tmp_path / "script.py"
    script.write_text(WORKERS)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: len(list(tmp_path.glob("pid*"))) == 2, process)
        pids = [int(file.name.removeprefix("pid")) for file in tmp_path.glob("pid*")]
        process.send_signal(number)
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while any(scratch.is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.1)
    assert len(list(tmp_path.glob("cleaned*"))) == 2


def test_an_address_where_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        for address in (place, f"ray://{place}"):
            with pytest.raises(MsmError, match=r"no Ray cluster answers(.|\n)*remedy"):
                check_reachable(address)
    with pytest.raises(MsmError, match="no address of a Ray cluster"):
        check_reachable("head")


def test_an_address_without_ray_is_a_mistake(tmp_path: Path) -> None:
    done = msm("sweep", "x.yaml", "--ray-address", "auto", place=tmp_path)
    assert done.code == 1
    assert "add --executor ray" in done.err


# --- With Ray ------------------------------------------------------------------------------------

pytest_ray = pytest.mark.filterwarnings("default")  # warnings of Ray are Ray's


@pytest.fixture(scope="module")
def ray() -> Any:
    """Ray; a test that needs it is skipped without it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return pytest.importorskip("ray", reason="Ray is not installed (make test-ray)")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    return tiny_lake(path, seed=8)


@pytest.fixture(scope="module")
def undisturbed(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*files_in(place), lake=lake, place=place)
    assert len(folders(done)) == 12, done.err
    return done


def files_in(place: Path) -> tuple[Path, Path]:
    """Write twelve variants, two that validation rejects, and one that fails in its data."""
    return grid_file(place, [-0.2, -0.25, -0.3, -0.35, -0.4, -0.45, -0.9], [0.2, 0.3]), (
        no_overlap_file(place)
    )


ON_RAY = ("--executor", "ray", "--batch-size", "2")


@pytest.mark.slow
def test_a_cluster_of_ones_own(ray: Any, lake: Path, undisturbed: Done, tmp_path: Path) -> None:
    options = ("--executor", "ray", "--jobs", "2", "--batch-size", "5")
    done = sweep(*files_in(tmp_path), lake=lake, place=tmp_path, options=options)
    assert done.code == 1
    assert "12 computed, 0 were there already, 1 failed, 2 rejected" in done.out
    assert "The window lies outside the lake" in done.out
    assert folders(done) == folders(undisturbed)
    left = [entry.name for entry in done.runs.iterdir() if entry.name.startswith(".")]
    assert sorted(left) == [".lakes", ".sweeps"]
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == ["partial_parse.msgpack"]


@pytest.fixture
def cluster(ray: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is written to the home folder
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield nodes
    finally:
        nodes.shutdown()


@pytest.mark.slow
@pytest_ray
def test_a_node_is_killed_in_the_middle(
    cluster: Any, lake: Path, undisturbed: Done, tmp_path: Path
) -> None:
    second = cluster.add_node(num_cpus=1)
    files = files_in(tmp_path)
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "msm_py.cli",
                "sweep",
                *map(str, files),
                "--lake",
                str(lake),
            ),
            *(*ON_RAY, "--ray-address", cluster.address),
        ],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: list((tmp_path / "runs").glob("grid_*")), process)
    # in the middle: its worker has just begun with a batch, which takes seconds
    wait_for(lambda: not is_busy(second), process)
    wait_for(lambda: is_busy(second), process)
    cluster.remove_node(second, allow_graceful=False)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "A worker is gone" in err
    assert "12 computed, 0 were there already, 1 failed, 2 rejected" in out
    done = Done(process.returncode, out, err, tmp_path / "runs", tmp_path / "none")
    assert folders(done) == folders(undisturbed)


def is_busy(node: Any) -> bool:
    """Tell whether a worker of the node is computing: Ray puts it into the process's name."""
    raylet = str(node.all_processes["raylet"][0].process.pid)
    shown = subprocess.run(
        ["ps", "-A", "-o", "ppid=,command="], capture_output=True, text=True, check=True
    ).stdout
    return any(line.split()[:2] == [raylet, "ray::compute_here"] for line in shown.splitlines())


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_interrupted(ray: Any, lake: Path, undisturbed: Done, tmp_path: Path) -> None:
    file, _ = files_in(tmp_path)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "msm_py.cli", "sweep", str(file), "--lake", str(lake)),
            *(*ON_RAY, "--jobs", "2"),
        ],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: list((tmp_path / "runs").glob("grid_*")), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; complete runs are kept, nothing half-written is left" in err
    assert "Traceback" not in err
    done = Done(130, "", err, tmp_path / "runs", tmp_path / "none")
    found = folders(done)
    assert 0 < len(found) < 12
    expected = folders(undisturbed)
    assert found == {name: expected[name] for name in found}
    left = [entry.name for entry in (tmp_path / "target").iterdir()]
    assert left == ["partial_parse.msgpack"], "scratch is left"


@pytest.mark.slow
@pytest_ray
def test_no_cluster_at_the_address(ray: Any, lake: Path, tmp_path: Path) -> None:
    file, _ = files_in(tmp_path)
    done = sweep(file, lake=lake, place=tmp_path, options=(*ON_RAY, "--ray-address", "auto"))
    assert done.code == 1
    assert "the Ray cluster cannot be joined" in done.err
    assert "Traceback" not in done.err
