"""Records hidden in a runs folder, a JSON file each: sweeps, robustness panels, null markets."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msm_py.errors import MsmError
from msm_py.store import formats, run_list

Record = dict[str, Any]
Shape = Mapping[str, type]


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
    """Write a record, so that a reader finds the old one or the new one, never half of one."""
    descriptor, fresh = tempfile.mkstemp(prefix=f".{file.stem}-", suffix=".new", dir=file.parent)
    os.close(descriptor)
    try:
        formats.write_json(record, Path(fresh))
        Path(fresh).chmod(0o644)
        os.replace(fresh, file)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


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
