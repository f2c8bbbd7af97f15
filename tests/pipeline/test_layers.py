"""One direction, no way back: a model reads only what stands to its left."""

from __future__ import annotations

import re

from support.pipeline import ROOT

LAYERS = (
    "staging",
    "runs",
    "market",
    "features",
    "scores",
    "legs",
    "states",
    "portfolio",
    "evaluation",
    "catalog",
)


def test_models_read_only_models_to_their_left() -> None:
    files = [file for file in ROOT.glob("models/*/*") if file.suffix in (".sql", ".py")]
    layer = {file.stem: LAYERS.index(file.parent.name) for file in files}
    assert len(layer) > 50
    backwards = [
        f"{file.stem} reads {name}"
        for file in files
        for name in re.findall(r"ref\(['\"](\w+)['\"]\)", file.read_text())
        if layer.get(name, -1) > layer[file.stem]
    ]
    assert backwards == []
