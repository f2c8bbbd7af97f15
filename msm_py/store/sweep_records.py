"""What a sweep tried, and what having tried so much says of its best run.

A sweep's record is one JSON file in the runs folder, hidden among the run folders. It is written
again whenever the sweep, or a shard of it, ends: trials are merged by variant, statistics are made
from all of its runs that are complete by then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msm_py.errors import MsmError
from msm_py.store import looks, record_files

FOLDER: Final = ".sweeps"
SHAPE: Final = {
    "sweep_id": str,
    "name": str,
    "n_trials": int,
    "members": list,
    "trials": list,
    "overall": dict,
    "runs": list,
    "edges": list,
}
REMEDY: Final = "running the sweep again writes it (what is complete is not computed again)"


def sweep_id(name: str, run_ids: Sequence[str], rejected: Sequence[str]) -> str:
    """Return the id of a sweep: its name and a hash of all that it tries."""
    tried = json.dumps([sorted(run_ids), sorted(rejected)])
    return f"{name}-{hashlib.sha256(tried.encode()).hexdigest()[:10]}"


def n_looks_of(looked: Mapping[str, str], name: str, members: Sequence[str]) -> int:
    """Return how many of the runs that looked, with their families, are of those of a sweep."""
    families = {looks.family_of(name), *map(looks.family_of_run, members)}
    return sum(family in families for family in looked.values())


def read_records(runs: Path) -> list[dict[str, Any]]:
    """Return the records of all sweeps in a runs folder, by id, without damaged ones."""
    return _read_all(runs)[0]


def _read_all(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    return record_files.read_all(record_files.files(runs / FOLDER), SHAPE, REMEDY)


def find_record(runs: Path, sweep_id: str) -> dict[str, Any]:
    """Return the record of the one sweep whose id is, or begins with, ``sweep_id``.

    Raises
    ------
    MsmError
        When none or several are, or its file is damaged.
    """
    files = {file.stem: file for file in record_files.files(runs / FOLDER)}
    found = [name for name in files if name == sweep_id] or [
        name for name in files if name.startswith(sweep_id)
    ]
    if len(found) != 1:
        raise MsmError(
            "several sweeps begin with this id" if found else "there is no such sweep",
            where=str(runs),
            received=sweep_id or "no id",
            remedy="give one of: " + (", ".join(files) or "none yet, run `msm sweep` first"),
        )
    return record_files.read(files[found[0]], SHAPE, REMEDY)


def alarms(runs: Path) -> list[str]:
    """Say what is wrong with the records of sweeps: damage, and looks that went missing."""
    records, told = _read_all(runs)
    looked = looks.looked(runs) if records else {}
    for record in records:
        counted = record.get("n_looks", 0)
        n_looks = n_looks_of(looked, record["name"], record["members"])
        if n_looks < counted:
            told.append(
                f"The sweep {record['sweep_id']} counted {_times(counted)} at the hold-out, but "
                f"ledger and run folders know of {n_looks or 'none'}: entries were taken away. It "
                f"still counts {counted}."
            )
    return told


def _times(n_looks: int) -> str:
    return f"{n_looks} look{'' if n_looks == 1 else 's'}"
