"""What a build by hand may put into the cache."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dbt.flags
import pytest

from msm_py.dbt_models import reuse

WHOLE = {"WHICH": "build", "EXCLUDE": ("tag:project",), "EXCLUDE_RESOURCE_TYPES": ("unit_test",)}


@pytest.mark.parametrize(
    ("given", "is_whole"),
    [
        ({}, True),
        ({"EXCLUDE": ()}, True),
        ({"WHICH": "run"}, False),  # without tests
        ({"WHICH": "retry"}, False),
        ({"SELECT": ("stg_prices+",)}, False),
        ({"SELECTOR": "some"}, False),
        ({"EXCLUDE": ("stg_prices",)}, False),
        ({"RESOURCE_TYPES": ("model",)}, False),
        ({"EXCLUDE_RESOURCE_TYPES": ("test",)}, False),
        ({"EMPTY": True}, False),
        ({"SAMPLE": "3 days"}, False),
        ({"DEFER": True}, False),
    ],
)
def test_only_a_whole_build_keeps_its_tables(
    given: dict[str, Any], is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MSM_KEPT", raising=False)
    monkeypatch.setattr(dbt.flags, "get_flags", lambda: SimpleNamespace(**{**WHOLE, **given}))
    assert reuse._is_whole() is is_whole
