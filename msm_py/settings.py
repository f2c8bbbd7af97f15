"""Where things are: the project, and the places that environment variables and options name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msm_py.errors import MsmError

ENVIRONMENT_VARIABLE = "MSM_PROJECT_DIR"
LAKE: Final = Path("lake")
RUNS: Final = Path("runs")
WAREHOUSE: Final = Path("warehouse/msm.duckdb")
DATABASE: Final = "scratch"
"""The name by which dbt knows its database: the stem of its file."""
DATABASE_FILE: Final = f"{DATABASE}.duckdb"


def project_dir() -> Path:
    """Return the root of the repository.

    It is the folder above the package (``msm_py`` is installed editable), unless the environment
    variable ``MSM_PROJECT_DIR`` names another one.

    Returns
    -------
    pathlib.Path
        An absolute path of a folder that holds ``dbt_project.yml``.

    Raises
    ------
    MsmError
        The folder holds no ``dbt_project.yml``.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = (Path(named).expanduser() if named else Path(__file__).parents[1]).resolve()
    if not (folder / "dbt_project.yml").is_file():
        raise MsmError(
            "the MSM project folder holds no dbt_project.yml",
            where=ENVIRONMENT_VARIABLE if named else "the folder above the package msm_py",
            received=str(folder),
            remedy=f"install with `pip install -e .` from a clone of the repository, "
            f"or set {ENVIRONMENT_VARIABLE} to the clone",
        )
    return folder


def lake_dir() -> Path:
    """Return the lake: MSM_LAKE, or ``lake``."""
    return Path(os.environ.get("MSM_LAKE", LAKE))


def runs_dir() -> Path:
    """Return the folder of run folders: MSM_RUNS, or ``runs``."""
    return Path(os.environ.get("MSM_RUNS", RUNS))


def warehouse_path() -> Path:
    """Return the warehouse file: MSM_WAREHOUSE, or ``warehouse/msm.duckdb``."""
    return Path(os.environ.get("MSM_WAREHOUSE", WAREHOUSE))


def target_root() -> Path:
    """Return the folder of dbt's scratch: MSM_TARGET, or the project's own."""
    return Path(os.environ.get("MSM_TARGET", project_dir() / "target" / "msm"))


def logs_dir() -> Path:
    """Return where logs of failed invocations are kept: MSM_LOGS, or ``logs`` beside scratch."""
    return Path(os.environ.get("MSM_LOGS", target_root() / "logs"))


CACHE_GIGABYTES: Final = 5.0


def cache_dir() -> Path | None:
    """Return where what later runs need again is kept: MSM_CACHE; None when that is empty."""
    given = os.environ.get("MSM_CACHE")
    if given is None:
        return target_root() / "cache"
    return Path(given) if given else None


def cache_bytes() -> int:
    """Return how large the cache may be: MSM_CACHE_GB, in gigabytes.

    Raises
    ------
    MsmError
        When it is no number above 0.
    """
    given = os.environ.get("MSM_CACHE_GB") or str(CACHE_GIGABYTES)
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < float("inf"):
        raise MsmError(
            "the size of the cache is no number above 0",
            where="MSM_CACHE_GB",
            received=given,
            remedy=f"give gigabytes, such as {CACHE_GIGABYTES:g}; an empty MSM_CACHE keeps nothing",
        )
    return int(gigabytes * 1e9)


def duckdb_limits() -> dict[str, str]:
    """Return DuckDB's options ``threads`` and ``memory_limit`` where they are given.

    They are MSM_THREADS and MSM_MEMORY_LIMIT. There is no memory limit of our own: some steps of a
    query cannot go on with less than they need, so what is enough for one lake fails on another.
    """
    options = ("threads", "memory_limit")
    given = {option: os.environ.get(f"MSM_{option.upper()}") for option in options}
    return {option: value for option, value in given.items() if value}


@dataclass(frozen=True)
class Places:
    """Where an invocation reads and writes; all paths absolute.

    Parameters
    ----------
    lake
        The lake.
    runs
        The runs folder.
    warehouse
        The warehouse file.
    force
        Whether runs that are there are computed again; each stays until the new one is complete.
    cache
        Where tables are kept that other runs need too; None: nothing is kept, nor taken from there.
    """

    lake: Path
    runs: Path
    warehouse: Path
    force: bool = False
    cache: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return the environment variables that tell dbt."""
        return {
            "MSM_LAKE": str(self.lake),
            "MSM_RUNS": str(self.runs),
            "MSM_WAREHOUSE": str(self.warehouse),
            "MSM_FORCE": "1" if self.force else "",
            "MSM_CACHE": "" if self.cache is None else str(self.cache),
        }
