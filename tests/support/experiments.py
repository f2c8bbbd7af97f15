"""The smallest experiment, changed in one key, and what becomes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve
from msm_py.experiment.load import (
    from_resolved,
)

SHIPPED = sorted((ROOT / "experiments" / "msm").glob("msm_v1_*.yaml"))  # the others are sweeps
MINIMAL: dict[str, Any] = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}


def spec(dotted: str = "", value: object = None) -> dict[str, Any]:
    """Return the minimal experiment with one more key."""
    result = copy.deepcopy(MINIMAL)
    if dotted:
        *parents, last = dotted.split(".")
        node = result
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return result


def resolved(dotted: str = "", value: object = None) -> dict[str, Any]:
    return resolve(from_resolved(spec(dotted, value)))


def at(document: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        document = document[name]
    return document


def refused(document: object) -> MsmError:
    with pytest.raises(MsmError) as caught:
        from_resolved(document, where="experiments[3]")
    return caught.value
