"""Where a run comes from: code, versions, git, lake, times."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from msm_py import __version__
from msm_py._typing import Row
from msm_py.settings import project_dir
from msm_py.store import catalog_columns, layout


@dataclass(frozen=True)
class Provenance:
    """What all runs of an invocation share: data, code and machine.

    Parameters
    ----------
    lake_fingerprint, code_fingerprint
        What the run ids hash.
    lake_name
        The label in lake.yaml.
    lake_tables, dropped_rows
        Rows of the models of these names.
    excluded_prices
        Assets with prices that no basket may hold: rows of the model of this name.
    started_at
        When the invocation began, UTC.
    """

    lake_fingerprint: str
    code_fingerprint: str
    lake_name: str
    lake_tables: Sequence[Row]
    dropped_rows: Sequence[Row]
    excluded_prices: Sequence[Row]
    started_at: datetime


def manifest(
    provenance: Provenance, *, run_id: str, spec_json: str, seed: int, hidden_from: date | None
) -> dict[str, Any]:
    """Return where a run comes from.

    Parameters
    ----------
    provenance
        What all runs of the invocation share.
    run_id, spec_json, seed
        What stands in it of the run.
    hidden_from
        First day of the lake that the run knows nothing of; None if it knows all.
    """
    git_commit, git_dirty = git_state()
    finished_at = datetime.now(UTC)
    return {
        "run_id": run_id,
        "spec": json.loads(spec_json),
        "seed": seed,
        "code_fingerprint": provenance.code_fingerprint,
        "git_commit": git_commit,
        "git_dirty": git_dirty,
        "lake": {
            "name": provenance.lake_name,
            "fingerprint": provenance.lake_fingerprint,
            "tables": _shown(provenance.lake_tables, hidden_from),
            "dropped_rows": _shown(provenance.dropped_rows, hidden_from),
            "excluded_assets": [
                {"asset_id": row["asset_id"], "reason": row["reason"]}
                for row in provenance.excluded_prices
                if hidden_from is None or row["first_date"] < hidden_from
            ],
        },
        "versions": versions(),
        "started_at": provenance.started_at.isoformat(timespec="milliseconds"),
        "finished_at": finished_at.isoformat(timespec="milliseconds"),
        "duration_seconds": round((finished_at - provenance.started_at).total_seconds(), 3),
    }


def _shown(rows: Sequence[Row], hidden_from: date | None) -> list[dict[str, Any]]:
    """Return what a run may know of the lake: facts of the days before its hold-out."""
    return [
        {key: value for key, value in row.items() if key != "hidden_from"}
        for row in rows
        if row["hidden_from"] == hidden_from
    ]


@cache
def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    from dbt.version import __version__ as dbt_version

    return {
        "msm": __version__,
        "dbt": dbt_version,
        "duckdb": duckdb.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Return commit and whether tracked files differ from it; missing outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(project_dir()), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "-uno"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


# everything that decides a number; never docs, the command line or reports
SQL_FOLDERS: Final = ("models", "macros", "seeds")
NUMERIC_FOLDERS: Final = ("dbt_models", "engine", "experiment", "lake", "stats")
NUMERIC_FILES: Final = (
    "regimes.py",
    "store/formats.py",
    "store/layout.py",
    "store/run_folder.py",
    "store/shared_files.py",
    "values.py",
    "yaml_file.py",
)
NOT_NUMERIC: Final = (
    "dbt_models/rows_text.py",
    "lake/check.py",
    "lake/check_alignment.py",
    "lake/check_funding.py",
    "lake/check_ids.py",
    "lake/check_items.py",
    "lake/check_pitfalls.py",
    "lake/check_reach.py",
    "lake/check_supply.py",
    "lake/contract_text.py",
    "lake/sample.py",
)
SUFFIXES: Final = (".sql", ".py", ".csv")
# their names decide what stands in run folders; the descriptions beside them do not
COLUMNS: Final = (
    layout.TIMESERIES_COLUMNS,
    layout.RETURNS_COLUMNS,
    layout.BASKET_COLUMNS,
    layout.FEATURES_COLUMNS,
    layout.QUALITY_COLUMNS,
    catalog_columns.PERFORMANCE,
)


@cache
def code_fingerprint() -> str:
    """Return the SHA-256 of the code that computes and the versions of what it computes with.

    Models, macros, seeds and the numeric folders and files of msm_py, with line ends normalised,
    and the versions of duckdb and numpy. YAML beside the models (descriptions and tests) does not
    count.
    """
    root = project_dir()
    digest = hashlib.sha256(f"duckdb {duckdb.__version__}\nnumpy {np.__version__}\n".encode())
    digest.update(json.dumps(COLUMNS).encode())
    for file in _files(root):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.relative_to(root).as_posix()}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    package = root / "msm_py"
    folders = [*(root / name for name in SQL_FOLDERS), *(package / x for x in NUMERIC_FOLDERS)]
    files = {
        file
        for folder in folders
        for file in folder.rglob("*")
        if file.suffix in SUFFIXES and "__pycache__" not in file.parts
    }
    named = {package / name for name in NUMERIC_FILES}
    return sorted(files - {package / name for name in NOT_NUMERIC} | named)
