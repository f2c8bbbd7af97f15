"""Which runs there are, and how one is found."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from msm_py.errors import MsmError
from msm_py.store import (
    layout,
    run_list,
)

BASE_1, BASE_2, WEEKLY = "base-1a00000000", "base-1b00000000", "weekly-2c00000000"


@pytest.fixture
def three_runs(tmp_path: Path) -> Path:
    for name, made in ((BASE_1, "2026-02-01"), (BASE_2, "2026-01-01"), (WEEKLY, "2026-01-01")):
        (tmp_path / name).mkdir()
        manifest = {"run_id": name, "finished_at": f"{made}T00:00:00"}
        (tmp_path / name / layout.MANIFEST).write_text(json.dumps(manifest))
    for name in (".weekly-unfinished", "lost+found", "broken-0000000001"):
        (tmp_path / name).mkdir()
    shutil.copytree(tmp_path / WEEKLY, tmp_path / f"{WEEKLY} (copy)")
    (tmp_path / "notes.txt").write_text("a file is no run")
    return tmp_path


def test_existing_runs_are_called_as_the_run_that_they_hold(three_runs: Path) -> None:
    assert run_list.existing_runs(three_runs) == [BASE_1, BASE_2, WEEKLY]
    assert run_list.existing_runs(three_runs / "nowhere") == []
    assert run_list.list_runs(three_runs).skipped == {
        "lost+found": run_list.NO_RUN,
        "notes.txt": run_list.NO_RUN,
        f"{WEEKLY} (copy)": run_list.Skipped(f"it holds the run {WEEKLY}"),
        "broken-0000000001": run_list.Skipped(
            "manifest.json: No such file or directory", is_broken=True
        ),
    }


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "[" * 100_000, "\x00", '{"a": 1}'])
def test_a_damaged_manifest_is_a_broken_run(content: str, three_runs: Path) -> None:
    (three_runs / WEEKLY / layout.MANIFEST).write_text(content)
    assert run_list.list_runs(three_runs).skipped[WEEKLY].is_broken
    assert not run_list.is_run(three_runs / WEEKLY)


def test_a_pipe_for_a_manifest_is_not_waited_for(three_runs: Path) -> None:
    (three_runs / WEEKLY / layout.MANIFEST).unlink()
    os.mkfifo(three_runs / WEEKLY / layout.MANIFEST)
    assert run_list.list_runs(three_runs).skipped[WEEKLY] == run_list.Skipped(
        "manifest.json: no plain file", True
    )


def test_find_run(three_runs: Path) -> None:
    for name, run_id in ((BASE_1, BASE_1), ("week", WEEKLY), (BASE_2[-10:-4], BASE_2)):
        assert run_list.find_run(three_runs, name) == run_list.Found(three_runs / run_id)


def test_an_experiment_stands_for_its_newest_run(three_runs: Path) -> None:
    found = run_list.find_run(three_runs, "base")
    assert found.folder == three_runs / BASE_1
    assert found.note is not None
    assert found.note.startswith(f"{BASE_1} is the newest of 2 runs of base; `msm list")


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("bas", ("several runs begin with this id", "bas", f"{BASE_1}, {BASE_2}")),
        ("weekyl-2c00000000", ("there is no such run", f"did you mean {WEEKLY}?")),
        (".weekly", ("there is no such run",)),
        ("zzz", ("there is no such run", "zzz", "`msm list` shows what is there")),
        ("brok", ("no run that can be shown", "No such file", "with --force, or move")),
        (f"{WEEKLY} (", ("no run that can be shown", f"it holds the run {WEEKLY}")),
    ],
)
def test_find_run_says_what_there_is(given: str, parts: tuple[str, ...], three_runs: Path) -> None:
    with pytest.raises(MsmError) as caught:
        run_list.find_run(three_runs, given)
    for part in (*parts, str(three_runs)):
        assert part in str(caught.value)
