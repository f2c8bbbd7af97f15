"""What is removed: nothing that is not MSM's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.lakes import tiny_lake
from support.made_up_runs import assert_sound, everything, names, publish, write_made_up_run
from support.pipeline import facts, msm, run_experiments
from support.specs import spec_of

from msm_py.store import run_list, scratch

RUN = "a-0000000001"

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


def test_killed_before_it_was_marked_an_empty_folder_goes_too(tmp_path: Path) -> None:
    host, dead = scratch._host(), dead_process()
    digits = "0123456789ab"
    kept = [
        f".msm-scratch-{host}-{os.getpid()}-{digits}",  # its process is about to mark it
        f".msm-scratch-{host}x-{dead}-{digits}",  # of another machine, which cannot be asked
        f".msm-scratch-{host}-{dead}-{digits[::-1]}".replace("b", "c"),
    ]
    gone = [f".msm-scratch-{host}-{dead}-{digits}", f".msm-scratch-{host}-{dead}-{'0' * 12}"]
    for name in (*kept, *gone):
        (tmp_path / name).mkdir()
    (tmp_path / gone[1] / scratch.MARKER).touch()  # killed while it wrote
    (tmp_path / kept[2] / "precious-file").touch()
    scratch.remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


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
        "import os, sys; from pathlib import Path; from msm_py.store import warehouse; "
        "warehouse._update = lambda *_, **__: os.kill(os.getpid(), 9); "
        "warehouse.publish(Path(sys.argv[1]) / 'runs', Path(sys.argv[1]) / 'wh' / 'msm.duckdb')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [name for name in names(tmp_path / "wh") if name.startswith(".msm-scratch-")]
    publish(tmp_path)
    assert_sound(tmp_path, [(RUN, 1.0)])
