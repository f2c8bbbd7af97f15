"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.settings import project_dir


def test_project_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSM_PROJECT_DIR", raising=False)
    assert project_dir() == ROOT
    monkeypatch.setenv("MSM_PROJECT_DIR", str(tmp_path))
    with pytest.raises(MsmError, match=r"holds no dbt_project\.yml") as caught:
        project_dir()
    assert caught.value.where == "MSM_PROJECT_DIR"
    assert caught.value.received == str(tmp_path)
    (tmp_path / "dbt_project.yml").touch()
    assert project_dir() == tmp_path
