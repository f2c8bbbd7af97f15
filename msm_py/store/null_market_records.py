"""The null markets of runs: what each of them came to, one JSON file a run.

They lie hidden in the runs folder. A null market leaves its figures and nothing else: no lake, no
run folder, no row of the catalog, no trial. A record holds no times: made again it has the same
bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from msm_py.store import record_files, run_list

FOLDER: Final = ".null_markets"
SHAPE: Final = {"run_id": str, "title": str, "days": dict, "markets": list, "summary": list}
REMEDY: Final = "`msm run EXPERIMENT --null-markets 50` makes it again"


def read_record(runs: Path, run_id: str) -> dict[str, Any] | None:
    """Return the null markets of a run; None when it has none.

    Raises
    ------
    MsmError
        When its file is damaged.
    """
    file = record_file(runs, run_id)
    return record_files.read(file, SHAPE, REMEDY) if file.exists() else None


def read_records(runs: Path) -> list[dict[str, Any]]:
    """Return the records of the runs that are there, by run id, without damaged ones."""
    return _read_all(runs)[0]


def alarms(runs: Path) -> list[str]:
    """Say which records are damaged, a sentence each."""
    return _read_all(runs)[1]


def _read_all(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    present = [file for file in files(runs) if (runs / file.stem).is_dir()]
    return record_files.read_all(present, SHAPE, REMEDY)


def files(runs: Path) -> list[Path]:
    """Return the files of all records in a runs folder: those that are called as a run."""
    found = record_files.files(runs / FOLDER)
    return [file for file in found if run_list.RUN_ID.fullmatch(file.stem)]


def record_file(runs: Path, run_id: str) -> Path:
    """Return the file of a run's null markets."""
    return runs / FOLDER / f"{run_id}.json"
