"""Every place that MSM writes to, and the check that none of them lies in the lake."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msm_py.errors import MsmError
from msm_py.lake.contract import TABLES
from msm_py.lake.files import SUFFIX
from msm_py.lake.lake_yaml import LAKE_YAML
from msm_py.settings import cache_dir, logs_dir, target_root


def written_places(runs: Path, warehouse: Path) -> dict[str, Path]:
    """Return the places that a command of MSM writes to, by what they are called."""
    return {
        "the runs folder (--runs, MSM_RUNS)": runs,
        "the warehouse (--warehouse, MSM_WAREHOUSE)": warehouse,
        **scratch_places(),
    }


def scratch_places() -> dict[str, Path]:
    """Return the places of `written_places` that are not asked for: scratch, logs, temporary."""
    cache = cache_dir()
    return {
        "the folder of scratch (MSM_TARGET)": target_root(),
        "the folder of logs (MSM_LOGS)": logs_dir(),
        **({} if cache is None else {"the cache (MSM_CACHE)": cache}),
        **_temporary_places(),
    }


def _temporary_places() -> dict[str, Path]:
    """Return where temporary files would go; asking `tempfile` writes a file there to try it."""
    given = {name: os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
    return {
        f"the folder of temporary files ({name})": Path(folder)
        for name, folder in given.items()
        if folder
    }


def dbt_places(databases: Mapping[str, Path]) -> dict[str, Path]:
    """Return the places that the dbt invocation that is under way writes to.

    Parameters
    ----------
    databases
        Files of the databases that its connection has open, by name.
    """
    from dbt.flags import get_flags

    flags = get_flags()  # type: ignore[no-untyped-call]  # dbt
    return {
        "dbt's target folder (--target-path)": Path(flags.TARGET_PATH or "target"),
        "dbt's log folder (--log-path)": Path(flags.LOG_PATH or "logs"),
        **{f"dbt's database {name} (MSM_SCRATCH)": file for name, file in databases.items()},
    }


def check_outside_lake(lake: Path, places: Mapping[str, Path]) -> None:
    """See that nothing would be written into the lake, by whatever links paths go.

    Parameters
    ----------
    lake
        The lake's directory. What links of its tables lead to is the lake as well.
    places
        Where to write, by what it is called.

    Raises
    ------
    MsmError
        When one of them is the lake or lies in it, or in a folder that looks like a lake.
    """
    folders = _folders(lake)
    for name, path in places.items():
        resolved = path.resolve()
        for part in (resolved, *resolved.parents):
            # the lake that is read, and any other folder that looks like one
            if _identity(part) in folders or holds_tables(part):
                raise MsmError(
                    "nothing is ever written into a lake",
                    where=name,
                    received=f"{path}, which lies in the lake "
                    f"{lake if _identity(part) in folders else part}",
                    remedy="give a place outside of the lake",
                )


def holds_tables(folder: Path) -> bool:
    """Return whether a folder looks like a lake: it holds one of its tables, or a lake.yaml."""
    names = (LAKE_YAML, *TABLES, *(f"{table}{SUFFIX}" for table in TABLES))
    return any(os.path.lexists(folder / name) for name in names)


def _folders(lake: Path) -> set[tuple[int, int] | None]:
    """Return which folders are the lake: its own, and those that links of its tables lead to."""
    waiting = [lake / name for name in TABLES]
    found = {_identity(lake)}
    while waiting:
        top = waiting.pop()
        if _identity(top) not in found:
            found.add(_identity(top))
            for folder, names, _ in os.walk(top):
                inside = (Path(folder, name) for name in names)
                waiting.extend(path for path in inside if path.is_symlink())
    return found - {None}


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which folder a path is, by whatever name or mount; None when it is not there."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
