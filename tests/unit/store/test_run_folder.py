"""Run folders: wholly or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from support.made_up_runs import (
    ALL_FILES,
    full_disk,
    names,
    panel_files,
    run_files,
    write_made_up_run,
)

from msm_py.errors import MsmError
from msm_py.store import (
    layout,
    run_folder,
    scratch,
)
from msm_py.store.shared_files import PanelFiles


def test_a_run_has_all_files_and_can_be_read_by_others(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001")
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ALL_FILES
    assert (runs / "x-0000000001").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [*ALL_FILES, "the rename"])
def test_full_disk_at_any_file_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def fails_at(real: Callable[..., Any], position: int) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            path = Path(args[position])
            if path.name == name and path.parent.name == "x-0000000001":
                write_bytes(path, b"the first bytes")
                full_disk()
            return real(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(Path, "write_bytes", fails_at(write_bytes, 0))
    monkeypatch.setattr(Path, "write_text", fails_at(Path.write_text, 0))
    monkeypatch.setattr(os, "link", fails_at(os.link, 1))
    if name == "the rename":
        monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(MsmError, match="No space left on device") as caught:
        write_made_up_run(tmp_path / "runs", "x-0000000001")
    assert "nothing of it was kept" in str(caught.value)
    assert str(tmp_path / "runs" / "x-0000000001") in str(caught.value)
    assert names(tmp_path / "runs") == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_made_up_run(tmp_path / "runs", "x-0000000001")
    assert names(tmp_path / "runs") == []


def test_nan_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_made_up_run(tmp_path / "runs", "x-0000000001", sharpe=float("nan"))
    assert names(tmp_path / "runs") == []


def test_a_run_that_is_there_wins(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001", sharpe=1.0)
    before = (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes()
    assert not write_made_up_run(runs, "x-0000000001", sharpe=2.0)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() == before
    assert names(runs) == ["x-0000000001"]


def test_a_run_is_replaced_when_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001", sharpe=1.0)
    before = (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes()
    real = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target.parent == runs and self.parent.name != scratch.ASIDE:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_made_up_run(runs, "x-0000000001", sharpe=2.0, replace=True)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() == before
    assert names(runs) == ["x-0000000001"]
    assert write_made_up_run(runs, "x-0000000001", sharpe=2.0, replace=True)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() != before
    assert names(runs) == ["x-0000000001"]


def test_another_process_that_finishes_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    real = Path.rename

    def late(self: Path, target: Path) -> Path:
        if target.name == "x-0000000001":  # between our check and our rename
            target.mkdir()
            (target / "theirs").write_text("")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert not write_made_up_run(runs, "x-0000000001")
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ["theirs"]


def test_of_many_that_write_the_same_run_one_does(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    panels = [panel_files(tmp_path / f"scratch{i}") for i in range(8)]
    written: list[bool] = []
    start = threading.Barrier(8)

    def write(own: dict[str, tuple[PanelFiles, str]]) -> None:
        files = run_files("x-0000000001", own)
        with scratch.folder(runs) as unfinished:
            start.wait()
            written.append(run_folder.write_run("x-0000000001", unfinished, files, own))

    threads = [threading.Thread(target=write, args=(own,)) for own in panels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [False] * 7 + [True]
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ALL_FILES
