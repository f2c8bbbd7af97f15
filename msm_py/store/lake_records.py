"""What the lake check found about a lake, kept in the runs folder by the lake's fingerprint.

The check reads the whole lake, so it is made once for each content of a lake and each version of
the check. It lies hidden in the runs folder, one JSON file a lake; a file that is damaged, or was
made by another version, is rebuilt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import duckdb

from msm_py.errors import MsmError
from msm_py.lake.check import check_lake
from msm_py.lake.check_items import ABSENT, LOUD, Item, Verdict
from msm_py.lake.exclusions import PROJECT_LIST
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.settings import project_dir
from msm_py.store import record_files, scratch

FOLDER: Final = ".lakes"
SHAPE: Final = {"fingerprint": str, "path": str, "version": str, "items": list}


@dataclass(frozen=True)
class Findings:
    """What there is to know of a lake before trusting a result.

    Parameters
    ----------
    path
        Where the lake lay when it was checked.
    version
        Of the check.
    items
        What it found, in its order; empty when the lake was never checked.
    """

    path: str = ""
    version: str = ""
    items: tuple[Item, ...] = ()

    @property
    def failures(self) -> tuple[Item, ...]:
        """Return the items that fail."""
        return tuple(item for item in self.items if item.verdict == "fail")

    @property
    def loud(self) -> tuple[Item, ...]:
        """Return the warnings that every run on the lake shows whole."""
        return tuple(x for x in self.items if x.verdict == "warn" and x.check in LOUD)

    @property
    def n_warnings(self) -> int:
        """Return how many items warn, tables that the lake need not have apart."""
        return sum(item.verdict == "warn" and item.detail != ABSENT for item in self.items)


def kept(runs: Path, lake_fingerprint: str) -> Findings:
    """Return what is on record of a lake: nothing when it was not checked, or cannot be read.

    Parameters
    ----------
    runs
        The runs folder.
    lake_fingerprint
        Of the lake's content, as in a run's manifest.
    """
    with suppress(MsmError, TypeError):
        record = record_files.read(_file(runs, lake_fingerprint), SHAPE, "it is rebuilt")
        if record["fingerprint"] == lake_fingerprint:
            return Findings(record["path"], record["version"], tuple(map(_item, record["items"])))
    return Findings()


def all_kept(runs: Path) -> Iterator[tuple[str, Findings]]:
    """Yield what is on record of every lake, by its fingerprint, in their order."""
    for file in sorted((runs / FOLDER).glob("*.json")):
        found = kept(runs, file.stem)
        if found.items:
            yield file.stem, found


def look_over(runs: Path, lake: Path, lake_fingerprint: str) -> Findings:
    """Return what the check finds about a lake: from its record, or by checking it now.

    Never an error: a lake that cannot be checked, or a record that cannot be written, stops no run.

    Parameters
    ----------
    runs
        The runs folder.
    lake
        The lake's directory.
    lake_fingerprint
        Of its content, as `msm_py.lake.opening.fingerprint` gave it.
    """
    found = kept(runs, lake_fingerprint)
    if found.items and found.version == check_version():
        return found
    try:
        opened = open_lake(lake)
        with scratch.own_folder() as own:
            items = check_lake(opened, own).items
        found = Findings(str(opened.path), check_version(), items)
        is_same = fingerprint(opened) == lake_fingerprint
    except MsmError as error:
        item = Item("lake", "check", "fail", f"{error.what}: {error.received}", error.remedy)
        return Findings(str(lake), items=(item,))
    if is_same:  # else somebody wrote into the lake meanwhile, and this is of something else
        _write(runs, lake_fingerprint, found)
    return found


@cache
def check_version() -> str:
    """Return a hash of all that decides what the check says of a lake."""
    root = project_dir()
    modules = sorted((root / "msm_py" / "lake").glob("*.py"))
    digest = hashlib.sha256(f"duckdb {duckdb.__version__}\n".encode())
    for file in (*modules, root / PROJECT_LIST):
        content = file.read_bytes()
        digest.update(f"{file.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _write(runs: Path, lake_fingerprint: str, found: Findings) -> None:
    file = _file(runs, lake_fingerprint)
    record = {"fingerprint": lake_fingerprint, **asdict(found)}
    with suppress(MsmError, ValueError):  # no room, no permission, a path that is no text
        record_files.replace(file, record)


def _item(row: Mapping[str, Any]) -> Item:
    """Return a recorded item.

    Raises
    ------
    TypeError
        When it is none.
    """
    item = Item(**row)
    words: Sequence[Any] = (item.table, item.check, item.detail, item.remedy or "")
    if item.verdict not in get_args(Verdict) or not all(isinstance(word, str) for word in words):
        raise TypeError("no item of a lake check")
    return item


def _file(runs: Path, lake_fingerprint: str) -> Path:
    return runs / FOLDER / f"{lake_fingerprint}.json"
