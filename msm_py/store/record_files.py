"""Records hidden in a runs folder, a JSON file each: sweeps, robustness panels, null markets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from msm_py.errors import MsmError, not_written
from msm_py.store import formats, run_list, scratch

Record = dict[str, Any]
Shape = Mapping[str, type]
NOT_WRITTEN: Final = "a record could not be written; runs that are complete are kept"
REMEDY: Final = "free space on the disk, or see to it that you may write there, then run again"


def files(folder: Path) -> list[Path]:
    """Return the files of a folder of records, by name; none when it is not there."""
    return sorted(folder.glob("*.json"))


def read(file: Path, shape: Shape, remedy: str) -> Record:
    """Read one record.

    Parameters
    ----------
    file
        Where it is.
    shape
        Keys that it must have, and of which type their values are. The first one's value is what
        the file is called: a copy under another name is no record.
    remedy
        How it is rebuilt once it is out of the way.

    Raises
    ------
    MsmError
        When it is damaged: cut short, no JSON, or of another shape.
    """
    try:
        if file.exists() and not file.is_file():
            raise ValueError("no plain file")
        record = json.loads(file.read_bytes())
        fault = _fault(record, shape, file.stem)
    except run_list.BROKEN as error:
        fault = run_list.fault_of(error)
    if fault is not None:
        raise MsmError(
            "a record is damaged",
            where=str(file),
            received=fault,
            remedy=f"move it elsewhere; {remedy}",
        )
    return dict(record)


def read_all(found: Iterable[Path], shape: Shape, remedy: str) -> tuple[list[Record], list[str]]:
    """Return the records that can be read, and a sentence for each one that cannot."""
    records, faults = [], []
    for file in found:
        try:
            records.append(read(file, shape, remedy))
        except MsmError as error:
            faults.append(
                f"A damaged record is left out, {error.where}: {error.received}. Remedy: "
                f"{error.remedy}."
            )
    return records, faults


def replace(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record, so that a reader finds the old one or the new one, never half of one.

    Raises
    ------
    MsmError
        When it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # in the runs folder, where whatever is done next finds what a killed process left
        with scratch.file_for(file, file.parent.parent) as unfinished:
            formats.write_json(record, unfinished)
    except OSError as error:
        raise not_written(NOT_WRITTEN, file, error, REMEDY) from None


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep a record for oneself while it is read and written anew.

    Raises
    ------
    MsmError
        When no lock can be written beside it.
    """
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(f"{file}.lock"))
        except OSError as error:
            raise not_written(NOT_WRITTEN, file, error, REMEDY) from None
        yield


def _fault(record: Any, shape: Shape, name: str) -> str | None:
    if not isinstance(record, dict):
        return f"a {type(record).__name__} where a map belongs"
    for key, kind in shape.items():
        if key not in record:
            return f"{key} is missing"
        if not isinstance(record[key], kind):
            return f"{key} is no {kind.__name__}"
    identity = record[next(iter(shape))]
    return None if identity == name else f"it is the record of {identity}"
