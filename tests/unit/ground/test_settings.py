"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pipeline import ROOT

from msm_py import machine
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


def test_duckdb_takes_two_gigabytes_and_no_more_than_most_of_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MSM_THREADS", "MSM_MEMORY_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "memory_bytes", lambda: 64 * 10**9)
    assert duckdb_limits() == {"memory_limit": "2000000000B"}
    monkeypatch.setattr(machine, "memory_bytes", lambda: 10**9)
    assert duckdb_limits() == {"memory_limit": "800000000B"}
    monkeypatch.setenv("MSM_THREADS", "3")
    monkeypatch.setenv("MSM_MEMORY_LIMIT", "8GB")
    assert duckdb_limits() == {"memory_limit": "8GB", "threads": "3"}
