"""The file of an experiment or of a sweep: YAML that holds one map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msm_py.errors import MsmError
from msm_py.yaml_file import read_yaml


def read_yaml_map(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one map.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        The map, as `read_yaml` builds it (no value is converted yet).

    Raises
    ------
    MsmError
        No such file, a folder, an empty file, something else than a map; or as `read_yaml`.
    """
    if not os.path.exists(path):  # False for names that no file system takes, too
        folder = path.parent
        found = sorted(item.name for item in folder.glob("*.y*ml")) if folder.is_dir() else []
        listing = f"; {folder} holds {', '.join(found)}" if found else ""
        raise MsmError(
            "no such experiment file", where=str(path), remedy=f"check the path{listing}"
        )
    if path.is_dir():
        raise MsmError(
            "an experiment file is expected, not a folder",
            where=str(path),
            remedy=f"name files, such as {path}/*.yaml",
        )
    data = read_yaml(path)
    if data is None:
        raise MsmError(
            "the file is empty",
            where=str(path),
            remedy="start from experiments/msm/msm_v1_baseline.yaml",
        )
    if not isinstance(data, dict):
        raise MsmError(
            "the file must hold a map of keys",
            where=str(path),
            received="a list" if isinstance(data, list) else "a single value",
            remedy="write `experiment_id: ...` and the other keys at the left margin",
        )
    return data
