"""Panels that runs share."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest
from support.made_up_runs import panel_files

from msm_py.store import layout


def test_runs_share_a_panel_by_hard_link(tmp_path: Path) -> None:
    files, panel = panel_files(tmp_path)[layout.BASKET]
    for name in ("one", "two"):
        files.put(panel, tmp_path / name)
    assert (tmp_path / "one").samefile(tmp_path / "two")
    columns = pq.read_schema(tmp_path / "one").names
    assert columns == list(layout.BASKET_COLUMNS)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_links_cannot_be_a_panel_is_copied(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    files, panel = panel_files(tmp_path)[layout.BASKET]
    files.put(panel, tmp_path / "linked")
    monkeypatch.setattr(os, "link", no_link)
    files.put(panel, tmp_path / "copied")
    assert not (tmp_path / "linked").samefile(tmp_path / "copied")
    assert (tmp_path / "linked").read_bytes() == (tmp_path / "copied").read_bytes()


def test_content_id_is_that_of_the_bytes(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    files, panel = panel_files(tmp_path)[layout.BASKET]
    files.put(panel, tmp_path / "file")
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
    assert digest.startswith(files.content_id(panel))
    assert len(files.content_id(panel)) == 16
    assert panel_files(same)[layout.BASKET][0].content_id(panel) == files.content_id(panel)
    changed = panel_files(other, weight=0.5)[layout.BASKET][0]
    assert changed.content_id(panel) != files.content_id(panel)
