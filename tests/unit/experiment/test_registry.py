"""The registry of features."""

from __future__ import annotations

from pathlib import Path

import pytest

from msm_py.errors import MsmError
from msm_py.experiment.registry import COLUMNS, feature_registry, read_registry


def test_registry() -> None:
    registry = feature_registry()
    needy = {name: feature.needs for name, feature in registry.items() if feature.needs}
    assert needy["funding_skew"] == ("funding",)
    assert needy["oi_risk"] == ("open_interest",)
    assert {table for needs in needy.values() for table in needs} <= {"funding", "open_interest"}


def test_bad_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.csv"
    with pytest.raises(MsmError, match="the feature registry is missing"):
        read_registry(path)
    path.write_text("feature_id,feature_group\n")
    with pytest.raises(MsmError, match="lacks the column needs"):
        read_registry(path)
    path.write_text(",".join(COLUMNS) + "\na,b,,c,d\na,b,,c,d\n")
    with pytest.raises(MsmError, match="names a feature twice"):
        read_registry(path)
