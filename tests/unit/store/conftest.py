"""Fixtures of the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.made_up_runs import write_made_up_run

from msm_py.store import warehouse


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A runs folder with two runs of the same panels, and its warehouse."""
    for run_id, sharpe in (("a-0000000001", 1.0), ("b-0000000002", 2.0)):
        assert write_made_up_run(tmp_path / "runs", run_id, sharpe=sharpe)
    warehouse.publish(tmp_path / "runs", tmp_path / "wh" / "msm.duckdb")
    return tmp_path
