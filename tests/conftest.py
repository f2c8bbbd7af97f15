"""What several test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pipeline import ROOT


@pytest.fixture(scope="session")
def real_lake() -> Path:
    """The lake of real data beside the repository; a test that needs it is skipped without it."""
    lake = ROOT.parent / "shared" / "lake"
    if not (lake / "fact_price.parquet").is_file():
        pytest.skip(f"no real lake at {lake}")
    return lake
