"""The examples in the docstrings of msm_py run and show what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from pipeline import ROOT

MODULES = sorted(file.stem for file in (ROOT / "msm_py").glob("*.py") if ">>>" in file.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"msm_py.{name}"))
    assert found.attempted > 0, "an example that doctest does not find"
    assert found.failed == 0
