"""Broken run folders through the whole command."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.lakes import tiny_lake
from support.made_up_runs import (
    ALL_FILES,
    catalog,
    everything,
    names,
    write_made_up_run,
)
from support.pipeline import msm, run_experiments
from support.specs import spec_of

from msm_py.errors import MsmError
from msm_py.store import layout


def test_bad_folders_stop_nobody(tmp_path: Path) -> None:
    """The new run is complete, shown and published; what was left out is told."""
    lake = tiny_lake(tmp_path / "lake", seed=12)
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "broken-0000000001")
    (runs / "broken-0000000001" / layout.METRICS).write_text("{")
    for name in ("lost+found", "@eaDir", "my notes", "empty"):
        (runs / name).mkdir()
    (runs / "my notes" / "todo.txt").write_text("sell everything")
    done = run_experiments([spec_of("new", {})], lake, tmp_path)
    assert done.code == 0, done.err
    assert "strategy, net" in done.out
    told = re.sub(r"\s+", " ", done.err)
    for part in ("broken-0000000001: metrics.json: no JSON", "lost+found: no run folder", "@eaDir"):
        assert part in told
    assert "delete" not in told
    assert "Traceback" not in told
    assert names(done.folder("new")) == sorted([*ALL_FILES, layout.REPORT])
    assert (runs / "my notes" / "todo.txt").read_text() == "sell everything"
    listed = msm("list", place=tmp_path)
    assert listed.code == 0
    assert "1 run" in listed.out
    assert "lost+found" in listed.err
    for words, code in (((), 0), (("--strict",), 1)):
        rebuilt = msm("catalog", "rebuild", *words, place=tmp_path)
        assert rebuilt.code == code
        assert "broken-0000000001" in rebuilt.err

    folder = done.folder("new")
    shutil.copytree(folder, folder.with_name(f"{folder.name} (copy)"))
    shutil.rmtree(runs / "broken-0000000001")
    again = msm("list", place=tmp_path)
    assert "(copy): it holds the run new-" in again.err
    assert "broken-0000000001" not in again.err
    assert "1 run" in again.out


def test_a_broken_run_is_shown_as_such_and_force_mends_it(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    done = run_experiments([spec_of("new", {})], lake, tmp_path)
    folder = done.folder("new")
    (folder / layout.METRICS).write_text("{")
    (folder / "my notes.txt").write_text("keep me")
    for ask in (["show", "new"], ["run", str(tmp_path / "new.yaml"), "--lake", str(lake)]):
        shown = msm(*ask, place=tmp_path)
        assert shown.code == 1
        assert "a run folder is broken" in shown.err
        assert "with --force, or move its folder out of the runs folder" in re.sub(
            r"\s+", " ", shown.err
        )
    forced = msm("run", str(tmp_path / "new.yaml"), "--lake", str(lake), "--force", place=tmp_path)
    assert forced.code == 0, forced.err
    assert names(folder) == sorted([*ALL_FILES, layout.REPORT, "my notes.txt"])
    assert catalog(done.warehouse) != []


def test_force_deletes_no_other_run(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("a-0000000001", "b-0000000002"):
        assert write_made_up_run(runs, name)
    (runs / "a-0000000001").rename(runs / "c-0000000003")
    (runs / "b-0000000002").rename(runs / "a-0000000001")
    before = everything(runs / "a-0000000001")
    with pytest.raises(MsmError, match="another run lies in the place of this one") as caught:
        write_made_up_run(runs, "a-0000000001", replace=True)
    assert "it holds the run b-0000000002" in str(caught.value)
    assert everything(runs / "a-0000000001") == before
    assert names(runs) == ["a-0000000001", "c-0000000003"]
