"""What is removed and what is written: nothing that is not MSM's, nothing in the lake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lakes import tiny_lake
from pipeline import ROOT, command, msm, run_experiments
from test_artifacts import assert_sound, everything, names, publish, write_made_up_run
from test_isolation import facts
from test_oracle import spec_of

from msm_py.errors import MsmError
from msm_py.store import run_list, scratch
from msm_py.store.written_places import check_outside_lake

RUN = "a-0000000001"

# --- Leftovers -----------------------------------------------------------------------------------

ZOO = (
    *(".oh-my-zsh", ".vscode-server", ".Trash-1000", ".X11-unix", ".git", ".my-notes-host-123-abc"),
    *(".publish-abcdefgh", f".{RUN}-vm-1-abc_aside", ".msm-scratch-lookalike"),
    ".msm-scratch-vm-1-0123456789ab",  # the whole name, but no marker
    ".msm-scratch-vm-2-0123456789ab",  # a marker of another folder
    ".msm-scratch-vm-3-0123456789ab",  # a marker of another program
    ".msm-scratch-vm-4-0123456789ab",  # a marker that is no JSON
    *("lost+found", "@eaDir", "notes", "an empty one"),
)


def dead_process() -> int:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    return dead.pid


def left(place: Path, **changes: Any) -> Path:
    """Leave a scratch folder as a killed process does; ``changes`` go into its marker."""
    place.mkdir(parents=True, exist_ok=True)
    own = scratch._made(place)
    says = json.loads((own / scratch.MARKER).read_text())
    says |= {"process_id": dead_process(), "process_started": None, **changes}
    says["name"] = f".msm-scratch-{says['host']}-{says['process_id']}-0123456789ab"
    (own / scratch.MARKER).write_text(json.dumps(says))
    return own.rename(place / says["name"])


def age(folder: Path, seconds: float = 0.0) -> None:
    for entry in (*folder.rglob("*"), folder):
        os.utime(entry, (seconds, seconds))


def put_zoo(place: Path) -> dict[str, Any]:
    """Put folders of others into a place, all of them old; return what stands there."""
    for name in ZOO:
        (place / name).mkdir(parents=True)
        if name != "an empty one":
            (place / name / "precious-file").write_text(name)
    own = left(place)
    for number, edit in ((2, {}), (3, {"written_by": "somebody"})):
        file = place / f".msm-scratch-vm-{number}-0123456789ab" / scratch.MARKER
        name = own.name if number == 2 else file.parent.name
        says = json.loads((own / scratch.MARKER).read_text())
        says |= {"name": name, "host": "vm", "process_id": number, **edit}
        file.write_text(json.dumps(says))
    (place / ".msm-scratch-vm-4-0123456789ab" / scratch.MARKER).write_text("{")
    shutil.rmtree(own)
    (place / ".msm-scratch-vm-5-0123456789ab").symlink_to(place / ".git")
    for name in ZOO:
        age(place / name)
    return zoo(place)


def zoo(place: Path) -> dict[str, Any]:
    return {name: facts(place / name) for name in (*ZOO, ".msm-scratch-vm-5-0123456789ab")}


def test_what_is_not_msms_is_never_removed(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    places = [tmp_path / name for name in ("runs", "target", "warehouse")]
    before = {place: put_zoo(place) for place in places}
    abandoned = [left(place) for place in places]
    done = run_experiments([spec_of("new", {})], lake, tmp_path)
    assert done.code == 0, done.err
    assert msm("catalog", "rebuild", place=tmp_path).code == 0
    assert {place: zoo(place) for place in places} == before
    assert [folder for folder in abandoned if folder.exists()] == []
    for place in places:
        kept = [name for name in names(place) if name.startswith(".msm-scratch-")]
        assert kept == [name for name in sorted(before[place]) if name.startswith(".msm-scratch-")]


def test_the_runs_folder_may_be_a_home(tmp_path: Path) -> None:
    before = put_zoo(tmp_path / "runs")
    (tmp_path / "runs" / ".bashrc").write_text("alias ll='ls -l'")
    assert write_made_up_run(tmp_path / "runs", RUN)
    publish(tmp_path)
    assert_sound(tmp_path, [(RUN, 1.0)])
    assert zoo(tmp_path / "runs") == before


def test_leftovers_go_when_their_process_is_gone(tmp_path: Path) -> None:
    with scratch.folder(tmp_path) as own:
        dead, recycled = left(tmp_path), left(tmp_path, process_id=os.getpid(), process_started=1)
        elsewhere = left(tmp_path, host="another-machine")
        in_container = left(tmp_path, process_space="pid:[1]", host=scratch._host())
        for folder in (dead, recycled, elsewhere):
            (folder / "x-0000000001").mkdir()
            (folder / "x-0000000001" / "file").write_text("unfinished")
        age(own)
        scratch.remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([own.name, elsewhere.name, in_container.name])
        age(elsewhere)
        (elsewhere / "x-0000000001" / "file").write_text("still being written")
        scratch.remove_leftovers(tmp_path)
        assert elsewhere.exists()
        age(elsewhere)
        scratch.remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([own.name, in_container.name])
    assert names(tmp_path) == [in_container.name]


def test_a_run_that_stepped_aside_comes_back(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, RUN)
    before = everything(runs / RUN)
    scratch.step_aside(runs / RUN, left(runs))
    assert run_list.existing_runs(runs) == []
    publish(tmp_path)
    assert everything(runs / RUN) == before
    assert names(runs) == [RUN]
    assert_sound(tmp_path, [(RUN, 1.0)])


def test_a_run_that_stepped_aside_gives_way_but_not_the_notes_in_it(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, RUN, sharpe=1.0)
    assert write_made_up_run(tmp_path / "others", RUN, sharpe=2.0)
    (runs / RUN / "notes.txt").write_text("mine")
    scratch.step_aside(runs / RUN, left(runs))
    (tmp_path / "others" / RUN).rename(runs / RUN)
    publish(tmp_path)
    assert_sound(tmp_path, [(RUN, 2.0)])
    assert (runs / RUN / "notes.txt").read_text() == "mine"
    assert names(runs) == [RUN]


def test_a_run_is_replaced_behind_a_link(tmp_path: Path) -> None:
    runs, disk = tmp_path / "runs", tmp_path / "other disk"
    assert write_made_up_run(disk, RUN, sharpe=1.0)
    runs.mkdir()
    (runs / RUN).symlink_to(disk / RUN)
    before = everything(disk / RUN)
    assert write_made_up_run(runs, RUN, sharpe=2.0, replace=True)
    assert not (runs / RUN).is_symlink()
    assert everything(disk / RUN) == before
    assert names(runs) == [RUN]


def test_a_killed_publish_leaves_what_the_next_one_removes(tmp_path: Path) -> None:
    assert write_made_up_run(tmp_path / "runs", RUN)
    script = (
        "import os, sys; from pathlib import Path; from msm_py import warehouse; "
        "warehouse._update = lambda *_: os.kill(os.getpid(), 9); "
        "warehouse.publish(Path(sys.argv[1]) / 'runs', Path(sys.argv[1]) / 'wh' / 'msm.duckdb')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [name for name in names(tmp_path / "wh") if name.startswith(".msm-scratch-")]
    publish(tmp_path)
    assert_sound(tmp_path, [(RUN, 1.0)])


# --- Nothing is written into the lake ------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=12)
    before = facts(path)
    yield path
    assert facts(path) == before, "the lake was written to"


def test_a_place_is_in_the_lake_by_whatever_way(lake: Path, tmp_path: Path) -> None:
    link, data = tmp_path / "link", tmp_path / "data"
    link.symlink_to(lake / "fact_volume")
    (data / "b").mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "fact_price").symlink_to(data)
    for of, place in (
        (lake, lake),
        (lake, lake / "new" / "runs"),
        (lake, lake / ".." / "lake" / "x"),
        (lake, link / "x"),
        (mine, data / "b" / "new"),  # the lake's own table lies there
    ):
        with pytest.raises(MsmError, match="nothing is ever written into a lake") as caught:
            check_outside_lake(of, {"the runs folder": place})
        for part in ("the runs folder", str(place), str(of)):
            assert part in str(caught.value)
    for of, place in ((lake, lake.parent), (lake, lake.with_name("lake2")), (mine, tmp_path)):
        check_outside_lake(of, {"the runs folder": place})


@pytest.mark.parametrize("variable", ["MSM_TARGET", "MSM_RUNS", "MSM_WAREHOUSE", "TMPDIR"])
def test_no_command_writes_into_the_lake(variable: str, lake: Path, tmp_path: Path) -> None:
    inside = lake / "fact_volume" if variable == "TMPDIR" else lake / "new" / "x.duckdb"
    experiment = str(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml")
    (tmp_path / "runs").mkdir()
    before = facts(lake)
    for words in (["run", experiment], ["sweep", experiment], ["catalog", "rebuild"]):
        if words[0] == "catalog" and variable == "MSM_RUNS":
            inside = lake / "fact_volume"
        done = msm(*words, place=tmp_path, **{"MSM_LAKE": str(lake), variable: str(inside)})
        assert done.code == 1, done.err
        for part in ("nothing is ever written into a lake", variable, str(inside)):
            assert part in done.err
        assert "Traceback" not in done.err
        assert facts(lake) == before
    out = lake / "new" / "vars.json"
    done = msm("vars", experiment, "--out", str(out), place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 1
    assert "--out" in done.err
    assert facts(lake) == before


@pytest.mark.parametrize("what", ["--target-path", "--log-path", "MSM_SCRATCH", "MSM_TARGET"])
def test_dbt_by_hand_that_writes_into_the_lake_is_an_error(what: str, tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    folder = lake / "inside"
    folder.mkdir()
    options = {"--target-path": tmp_path / "target", "--log-path": tmp_path / "logs"}
    env = {"MSM_SCRATCH": tmp_path / "target" / "scratch.duckdb"}
    if what.startswith("--"):
        options[what] = folder
    else:
        env[what] = folder / "scratch.duckdb" if what == "MSM_SCRATCH" else folder
    (tmp_path / "target").mkdir()
    done = command(
        [
            *(str(Path(sys.executable).parent / "dbt"), "build", "--select", "+runs"),
            *("--profiles-dir", str(ROOT)),
            *(str(word) for option in options.items() for word in option),
        ],
        tmp_path,
        MSM_LAKE=str(lake),
        **{name: str(path) for name, path in env.items()},
    )
    assert done.code != 0
    assert "nothing is ever written into a lake" in done.out
    assert what in done.out
