"""Calling dbt: what goes wrong before it is there."""

from __future__ import annotations

import gc
import sys

import pytest

from msm_py.runner import invocation


@pytest.mark.parametrize("module", ["dbt.cli.main", "dbt.adapters.duckdb.connections"])
def test_an_import_that_breaks_off_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=module):
        invocation._called([])
    assert gc.isenabled()
