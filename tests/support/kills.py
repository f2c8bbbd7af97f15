"""Commands that are killed at a point that a seed says, and what they may leave."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.pipeline import ROOT, environment

from msm_py.runner.failure_logs import NAME as LOG
from msm_py.store import cache, run_folder, run_list

# A process that sends a signal to itself, or to all of its group, at the n-th time that it is about
# to change something in a folder, or some time later. Python tells of all that it does to files
# before it does it; what DuckDB writes by itself falls into the time between.
DOOMED = """
import os, signal, sys, threading
place, number, delay, at, whom = sys.argv[1:6]
del sys.argv[1:6]
number, delay, at, n_events = int(number), float(delay), int(at), 0
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def send():
    (os.killpg if whom == "group" else os.kill)(os.getpid(), number)

def notice(event, words):
    global n_events
    if event == "open":
        if not isinstance(words[2], int) or not words[2] & WRITING:
            return
    elif event not in CHANGES:
        return
    named = [os.fsdecode(x) for x in words if isinstance(x, (str, bytes, os.PathLike))]
    if any(x.startswith(place) or not x.startswith("/") for x in named):
        n_events += 1
        if n_events == at:
            if delay:
                timer = threading.Timer(delay, send)
                timer.daemon = True
                timer.start()
            else:
                send()

sys.addaudithook(notice)
"""
COMMAND = """
from msm_py.cli.app import main
try:
    main()
finally:
    print(n_events, file=sys.stderr)
"""
PUBLISH = """
from pathlib import Path
from msm_py.store import warehouse
warehouse.publish(Path(sys.argv[1]) / "runs", Path(sys.argv[1]) / "wh" / "msm.duckdb")
print(n_events, file=sys.stderr)
"""
TEMPORARY = "temporary"


@dataclass(frozen=True)
class Blow:
    """When a process is struck: at its ``at``-th change, or ``delay`` seconds later."""

    at: int
    delay: float = 0.0
    number: int = signal.SIGKILL
    whom: str = "itself"


def places(place: Path) -> dict[str, str]:
    """Return environment variables that put all that is written into places of a test."""
    return {
        "MSM_WAREHOUSE": str(place / "wh" / "msm.duckdb"),
        "TMPDIR": str(place / TEMPORARY),
    }


def strike(script: str, words: Sequence[str], place: Path, blow: Blow) -> tuple[int, str]:
    """Run a doomed process, wait for its workers too, and return its exit code and errors."""
    (place / TEMPORARY).mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", DOOMED + script),
            *(str(place), str(int(blow.number)), str(blow.delay), str(blow.at), blow.whom),
            *words,
        ],
        cwd=ROOT,
        env=environment(place, **places(place)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _, err = process.communicate(timeout=300)
    deadline = time.monotonic() + 60
    while _is_alive(process.pid):
        assert time.monotonic() < deadline, "its workers go on without it"
        time.sleep(0.05)
    return process.returncode, err


def _is_alive(group: int) -> bool:
    """Return whether a process of a group is there, and not just not yet buried."""
    for facts in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = facts.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # gone
            continue
        if int(of_group) == group and state not in "ZX":
            return True
    return False


def n_changes(script: str, words: Sequence[str], place: Path) -> int:
    """Return how often an undisturbed process changes something in its folder."""
    code, err = strike(script, words, place, Blow(at=0))
    assert code == 0, err
    return int(err.split()[-1])


def assert_no_half_run(runs: Path) -> None:
    """See that every folder that is not hidden is a run, with each file as it was written."""
    for entry in sorted(runs.iterdir()) if runs.exists() else []:
        if not entry.name.startswith("."):
            assert run_list.is_run(entry), f"{entry.name} is no run"
            run_folder.check_whole(entry)


BELONGS = [
    re.compile(pattern)
    for pattern in (
        r"runs/[a-z0-9_]+-[0-9a-f]{10}/[a-z_]+\.(json|parquet|csv|html)",
        r"runs/\.lakes/[0-9a-f]{64}\.json",
        r"runs/\.sweeps/[a-z0-9_]+-[0-9a-f]{10}\.json(\.lock)?",
        r"runs/\.pages/(page|plotly-cartesian)-[0-9a-f]{8}\.(min\.)?js",
        r"wh/msm\.duckdb(\.lock|\.stamp)?",
        r"wh/msm/[a-z_]+(/[0-9]+)?\.parquet",
        r"target/partial_parse\.msgpack",
        rf"target/cache/{cache.NAME.pattern}",
        rf"target/logs/{LOG.pattern}",
    )
]


def strays(place: Path) -> list[str]:
    """Return what lies in the places of commands and does not belong there, empty folders too."""
    found = []
    for folder in ("runs", "wh", "target", TEMPORARY):
        for entry in sorted((place / folder).rglob("*")):
            name = entry.relative_to(place).as_posix()
            if entry.is_dir():
                fine = any(entry.iterdir())
            else:
                fine = any(x.fullmatch(name) for x in BELONGS)
            if not fine:
                found.append(name)
    return found
