"""The examples in the docstrings of msm_py run and show what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from support.pipeline import ROOT

MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "msm_py").rglob("*.py")
    if ">>>" in file.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0, "an example that doctest does not find"
    assert found.failed == 0
