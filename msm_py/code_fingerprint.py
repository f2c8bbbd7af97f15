"""What stands for "the same code" in a run id."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from msm_py.project import project_dir

# everything that decides a number; never docs, the command line or reports
SQL_FOLDERS: Final = ("models", "macros", "seeds")
NUMERIC_MODULES: Final = (
    "artifacts",
    "bootstrap",
    "dbt_plugin",
    "edge_model",
    "experiment",
    "experiment_schema",
    "inference",
    "lake",
    "lake_files",
    "lake_load",
    "lake_yaml",
    "newey_west",
    "panel",
    "run_folder",
    "runs",
    "search_model",
    "shift_test",
    "state_model",
    "states",
    "statistics",
    "strategy_returns",
    "walk_forward",
    "yaml_file",
)
SUFFIXES: Final = (".sql", ".py", ".csv")


@cache
def code_fingerprint() -> str:
    """Return the SHA-256 of the code that computes and the versions of what it computes with.

    Models, macros, seeds and the numeric modules of msm_py, with line ends normalised, and the
    versions of duckdb and numpy. YAML beside the models (descriptions and tests) does not count.
    """
    root = project_dir()
    digest = hashlib.sha256(f"duckdb {duckdb.__version__}\nnumpy {np.__version__}\n".encode())
    for file in _files(root):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.relative_to(root).as_posix()}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    files = [
        file
        for folder in SQL_FOLDERS
        for file in (root / folder).rglob("*")
        if file.suffix in SUFFIXES and "__pycache__" not in file.parts
    ]
    modules = (root / "msm_py" / f"{name}.py" for name in NUMERIC_MODULES)
    return sorted([*files, *(file for file in modules if file.exists())])
