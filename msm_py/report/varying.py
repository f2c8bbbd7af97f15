"""What differs between experiments of one list, a column for each key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msm_py._typing import Row
from msm_py.report.figures import MISSING
from msm_py.report.line_list import LineColumn
from msm_py.store import layout, run_list
from msm_py.store.families import NAMES
from msm_py.store.flat_params import flat_params
from msm_py.store.looks import family_of

MOST: Final = 12  # keys that differ; beyond, experiments are told apart by their titles


def varying(specs: Sequence[Row | None], titles: Sequence[str]) -> list[LineColumn]:
    """Return columns that tell experiments apart: of variants the keys that differ, else titles.

    Parameters
    ----------
    specs
        Resolved experiments; None where one cannot be read.
    titles
        Their titles.
    """
    title = LineColumn("title", titles, "left", least=10)
    found = [spec for spec in specs if spec is not None]
    families = {family_of(spec["experiment_id"]) for spec in found}
    if len(found) < max(len(specs), 2) or len(families) > 1:
        return [title]
    flat = [{row["param"]: row["value"] for row in flat_params(spec)} for spec in found]
    keys = differing_keys(flat)
    if not 0 < len(keys) <= MOST:
        return [title]
    return [
        LineColumn(name, [params.get(key) or MISSING for params in flat])
        for key, name in short_names(keys).items()
    ]


def differing_keys(flat: Sequence[Mapping[str, str | None]]) -> list[str]:
    """Return the dotted keys in which flat experiments differ, their names aside.

    Examples
    --------
    >>> differing_keys([{"title": "a", "n": "1", "m": "2"}, {"title": "b", "n": "3", "m": "2"}])
    ['n']
    """
    return [
        key
        for key in dict.fromkeys(key for params in flat for key in params)
        if key not in (*NAMES, "run_id") and len({params.get(key) for params in flat}) > 1
    ]


def short_names(keys: Sequence[str]) -> Mapping[str, str]:
    """Return for dotted keys as much of their end as tells them apart.

    Examples
    --------
    >>> list(short_names(["a.x.weight", "a.y.weight", "a.low"]).values())
    ['x_weight', 'y_weight', 'low']
    """
    names = {}
    for key in keys:
        parts = key.split(".")
        for n in range(1, len(parts) + 1):
            name = ".".join(parts[-n:])
            if sum(other == name or other.endswith(f".{name}") for other in keys) == 1:
                break
        names[key] = name.replace(".", "_")
    return names


def spec_of(folder: Path) -> Row | None:
    """Return the resolved experiment of a run folder; None when it cannot be read."""
    try:
        spec: Row = json.loads((folder / layout.MANIFEST).read_bytes())["spec"]
    except run_list.BROKEN:
        return None
    return spec
