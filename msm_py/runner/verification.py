"""Whether runs are what they say: their files untouched, and the same when they are made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.settings import Places
from msm_py.store import formats, layout, looks, run_list, scratch
from msm_py.store.origin import code_fingerprint, versions
from msm_py.store.parting import day_key, partings_of
from msm_py.store.run_folder import changed_files, written_files

AT_ONCE: Final = 100
NO_HASHES: Final = "its manifest has no hashes of its files: it is of an older version"


@dataclass(frozen=True)
class Verified:
    """What verifying a run came to.

    Parameters
    ----------
    run_id
        The run.
    touched
        Files that are not what the manifest says, and how.
    origin
        What is another one than the run's: ``lake``, ``code``, or a version; the run's and today's.
    differs
        Where files that were made again differ, a sentence each.
    error
        Why it could not be made again.
    note
        What could not be told, though nothing is wrong.
    is_made_again
        Whether it was.
    """

    run_id: str
    touched: Sequence[str] = ()
    origin: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    differs: Sequence[str] = ()
    error: str | None = None
    note: str | None = None
    is_made_again: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing speaks against the run."""
        return not self.touched and not self.differs and self.error is None


def verify_files(folder: Path) -> Verified:
    """Compare the files of a run with the hashes in its manifest."""
    try:
        manifest: Row = json.loads((folder / layout.MANIFEST).read_bytes())
        hashes = manifest.get("files")
        if hashes is None:
            return Verified(folder.name, note=NO_HASHES)
        touched = [
            *changed_files(folder, hashes),
            *(
                f"{name}: no file of the run"
                for name in written_files(folder)
                if name not in hashes
            ),
        ]
    except run_list.BROKEN as error:
        return Verified(folder.name, touched=(f"{layout.MANIFEST}: {run_list.fault_of(error)}",))
    return Verified(folder.name, touched=tuple(sorted(touched)))


def verify(folders: Sequence[Path], places: Places) -> Iterator[Verified]:
    """Make runs again from their manifests, in scratch, and compare their files byte for byte.

    Parameters
    ----------
    folders
        Their folders.
    places
        The lake, and the runs folder, whose ledger of looks is read. Nothing is written there.

    Yields
    ------
    A verdict each. On another lake, or with other code, what differs is what these changed.

    Raises
    ------
    MsmError
        The lake cannot be read.
    """
    lake = open_lake(places.lake)
    today = {"lake": fingerprint(lake), "code": code_fingerprint(), **versions()}
    for start in range(0, len(folders), AT_ONCE):
        yield from _verify(folders[start : start + AT_ONCE], places, today)


def _verify(
    folders: Sequence[Path], places: Places, today: Mapping[str, str]
) -> Iterator[Verified]:
    found = {folder.name: verify_files(folder) for folder in folders}
    asked: dict[str, ResolvedRun] = {}
    manifests: dict[str, Row] = {}
    for folder in folders:
        try:
            manifests[folder.name] = json.loads((folder / layout.MANIFEST).read_bytes())
            experiment = from_resolved(manifests[folder.name]["spec"], where=folder.name)
            asked[folder.name] = ResolvedRun.of(experiment, today["lake"], today["code"])
        except MsmError as error:
            told = f"this version cannot read its experiment: {error.what} ({error.where})"
            found[folder.name] = replace(found[folder.name], error=told)
        except run_list.BROKEN as error:
            told = f"{layout.MANIFEST}: {run_list.fault_of(error)}"
            found[folder.name] = replace(found[folder.name], error=told)
    with scratch.own_folder() as own:
        again = own / "runs"
        again.mkdir()
        if (places.runs / looks.LEDGER).exists():
            shutil.copyfile(places.runs / looks.LEDGER, again / looks.LEDGER)
        there = Places(places.lake, again, own / "warehouse.duckdb")
        outcomes = {}
        if asked:
            distinct = {run.run_id: run for run in asked.values()}
            done = invocation.build(list(distinct.values()), there, publish=False)
            outcomes = {outcome.run_id: outcome for outcome in done}
        for folder in folders:
            verdict = found[folder.name]
            if folder.name in asked:
                new = asked[folder.name].run_id
                verdict = replace(verdict, origin=_origin(manifests[folder.name], today))
                if outcomes[new].status == "failed":
                    verdict = replace(verdict, error=f"made again it fails: {outcomes[new].error}")
                else:
                    differs = tuple(differences(folder, again / new))
                    verdict = replace(verdict, differs=differs, is_made_again=True)
            yield verdict


def _origin(manifest: Row, today: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    then = {
        "lake": str(manifest["lake"]["fingerprint"]),
        "code": str(manifest["code_fingerprint"]),
        **manifest["versions"],
    }
    return {
        name: (str(then.get(name, "unknown")), now)
        for name, now in today.items()
        if then.get(name) != now
    }


def differences(folder: Path, again: Path) -> Iterator[str]:
    """Yield where the files of a run and of the one that was made again differ.

    Their ids may differ, and stand for each other.
    """
    names = {file.name for of in (folder, again) for file in of.iterdir()}
    left_out = {layout.MANIFEST, layout.REPORT}
    for name in sorted(x for x in names if x not in left_out and not x.startswith(".")):
        kept, made = folder / name, again / name
        if not kept.exists() or not made.exists():
            yield f"{name}: {'missing' if made.exists() else 'is not made any more'}"
            continue
        old, new = kept.read_bytes(), made.read_bytes()
        if old == new or old == new.replace(again.name.encode(), folder.name.encode()):
            continue
        try:
            yield f"{name}: {_where(kept, made)}"
        except run_list.BROKEN as error:
            yield f"{name}: it cannot be read ({run_list.fault_of(error)})"


def _where(kept: Path, made: Path) -> str:
    if kept.suffix == ".parquet":
        old, new = formats.read_parquet(kept), formats.read_parquet(made)
        return _where_in_tables(old, new)
    if kept.suffix == ".json":
        return _where_in_json(json.loads(kept.read_bytes()), json.loads(made.read_bytes()))
    pairs = zip(kept.read_text().splitlines(), made.read_text().splitlines(), strict=False)
    for number, (old_line, new_line) in enumerate(pairs, start=1):
        if old_line != new_line:
            return f"line {number} is {new_line!r}, was {old_line!r}"
    return "it has other lines"


def _where_in_tables(old: pa.Table, new: pa.Table) -> str:
    if old.column_names != new.column_names:
        return f"it has the columns {', '.join(new.column_names)}"
    if "date" in old.column_names:
        first = min(partings_of("", old, new, day_key(old)), key=lambda x: x.day, default=None)
        if first is not None:
            of = ", ".join(map(str, first.key.values()))
            if first.column is None:
                return f"{first.day} {of}: a row is {'gone' if first.left else 'new'}"
            return f"{first.day} {of}: {first.column} is {first.right!r}, was {first.left!r}"
    return "the same values, other bytes" if old.equals(new) else "other rows"


def _where_in_json(old: Any, new: Any, path: str = "") -> str:
    """Return the first place in which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(x for x in new if x not in old)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                return f"{inner} is {'gone' if key in old else 'new'}"
            if old[key] != new[key]:
                return _where_in_json(old[key], new[key], inner)
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (left, right) in enumerate(zip(old, new, strict=True)):
            if left != right:
                return _where_in_json(left, right, f"{path}.{place}")
    return f"{path} is {new!r}, was {old!r}" if old != new else "the same values, other bytes"
