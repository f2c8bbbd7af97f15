"""The robustness panels of a runs folder: where neighbours lie, and what they came to.

Everything is hidden in the runs folder: the neighbours are run folders in a runs folder of their
own, so that they are in no catalog and no leaderboard and are no trials, and every panel is one
JSON file beside it. A panel holds no times: rebuilt from the same runs it has the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from msm_py.store import record_files, run_list

FOLDER: Final = ".robustness"
SHAPE: Final = {"run_id": str, "title": str, "rows": list, "summary": dict}
REMEDY: Final = "`msm run EXPERIMENT --robust` writes it again"


def neighbours_folder(runs: Path) -> Path:
    """Return the runs folder of the neighbours of a runs folder."""
    return runs / FOLDER / "runs"


def read_record(runs: Path, run_id: str) -> dict[str, Any] | None:
    """Return the panel of a run; None when it has none.

    Raises
    ------
    MsmError
        When its file is damaged.
    """
    file = record_file(runs, run_id)
    return record_files.read(file, SHAPE, REMEDY) if file.exists() else None


def read_records(runs: Path) -> list[dict[str, Any]]:
    """Return the panels of the runs that are there, by run id, without damaged ones."""
    return _read_all(runs)[0]


def alarms(runs: Path) -> list[str]:
    """Say which panels are damaged, a sentence each."""
    return _read_all(runs)[1]


def _read_all(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    present = [file for file in files(runs) if (runs / file.stem).is_dir()]
    return record_files.read_all(present, SHAPE, REMEDY)


def files(runs: Path) -> list[Path]:
    """Return the files of all panels in a runs folder: those that are called as a run."""
    found = record_files.files(runs / FOLDER)
    return [file for file in found if run_list.RUN_ID.fullmatch(file.stem)]


def record_file(runs: Path, run_id: str) -> Path:
    """Return the file of a run's panel."""
    return runs / FOLDER / f"{run_id}.json"
