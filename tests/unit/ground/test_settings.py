"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.settings import duckdb_limits, project_dir


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


def test_duckdb_is_limited_by_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MSM_THREADS", "MSM_MEMORY_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    assert duckdb_limits() == {}
    monkeypatch.setenv("MSM_THREADS", "")
    monkeypatch.setenv("MSM_MEMORY_LIMIT", "8GB")
    assert duckdb_limits() == {"memory_limit": "8GB"}
    monkeypatch.setenv("MSM_THREADS", "3")
    assert duckdb_limits() == {"threads": "3", "memory_limit": "8GB"}
