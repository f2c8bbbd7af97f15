"""Whether runs are what they say: their files untouched, and the same when they are made again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, run_id_of
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
LOST_HASHES: Final = "it has no hashes of the run's files, which the code that it names writes"
LAST_WITHOUT_HASHES: Final = (0, 2, 0)
OF_THE_MAKING: Final = frozenset(
    {"run_id", "git_commit", "git_dirty", "started_at", "finished_at", "duration_seconds"}
)
"""Keys of a manifest that say when and where a run was made."""
TOLD_OTHERWISE: Final = frozenset(
    {"spec", "code_fingerprint", "versions", "files", "lake.fingerprint"}
)
"""Keys of a manifest that its run id covers, or that are compared with today's, or by file."""


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
        Why it is no run, or could not be made again.
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
    """Compare the files of a run with the hashes in its manifest, and that with the run's id."""
    try:
        manifest: Row = json.loads((folder / layout.MANIFEST).read_bytes())
        touched = [*_other_question(folder.name, manifest)]
        hashes = manifest.get("files")
        if hashes is None and not _writes_hashes(manifest):
            return Verified(folder.name, touched=tuple(touched), note=NO_HASHES)
        if hashes is None:
            touched.append(f"{layout.MANIFEST}: {LOST_HASHES}")
        else:
            touched += changed_files(folder, hashes)
            touched += (
                f"{name}: no file of the run"
                for name in written_files(folder)
                if name not in hashes
            )
    except run_list.BROKEN as error:
        return Verified(folder.name, touched=(f"{layout.MANIFEST}: {run_list.fault_of(error)}",))
    return Verified(folder.name, touched=tuple(sorted(touched)))


def _other_question(run_id: str, manifest: Row) -> Iterator[str]:
    """Yield that a manifest is not of this run, whose id hashes its experiment, lake and code."""
    asked = run_id_of(
        manifest["spec"], manifest["lake"]["fingerprint"], manifest["code_fingerprint"]
    )
    if asked != run_id:
        yield (
            f"{layout.MANIFEST}: its spec, lake and code are those of {asked}: one of them was "
            "changed since the run wrote it"
        )


def _writes_hashes(manifest: Row) -> bool:
    """Return whether what wrote a manifest is known to write hashes: this code, or a later one."""
    version = tuple(int(x) for x in re.findall(r"\d+", manifest["versions"]["msm"])[:3])
    return manifest["code_fingerprint"] == code_fingerprint() or version > LAST_WITHOUT_HASHES


def other_entries(runs: Path) -> tuple[list[Verified], dict[str, str]]:
    """Return what lies in a runs folder beside its runs.

    Parameters
    ----------
    runs
        The runs folder.

    Returns
    -------
    A verdict on each folder that is called as a run and is none that can be read; and everything
    else by name, with why it is no run.
    """
    broken, others = [], {}
    for name, why in run_list.list_runs(runs).skipped.items():
        called_as_a_run = run_list.RUN_ID.fullmatch(name) and why != run_list.NO_RUN
        if why.is_broken or called_as_a_run:
            broken.append(Verified(name, error=f"no run that can be read: {why.reason}"))
        else:
            others[name] = why.reason
    return broken, others


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
    left_out = {layout.REPORT}
    for name in sorted(x for x in names if x not in left_out and not x.startswith(".")):
        kept, made = folder / name, again / name
        if not kept.exists() or not made.exists():
            yield f"{name}: {'missing' if made.exists() else 'is not made any more'}"
            continue
        try:
            if name == layout.MANIFEST:
                yield from _where_in_manifests(kept, made)
                continue
            old, new = kept.read_bytes(), made.read_bytes()
            if old == new or old == new.replace(again.name.encode(), folder.name.encode()):
                continue
            yield f"{name}: {_where(kept, made)}"
        except run_list.BROKEN as error:
            yield f"{name}: it cannot be read ({run_list.fault_of(error)})"


def _where_in_manifests(kept: Path, made: Path) -> Iterator[str]:
    """Yield where manifests differ in what a run, its lake and its code decide."""

    def facts(file: Path) -> Row:
        held = json.loads(file.read_bytes())
        of_lake = {f"lake.{key}": value for key, value in held.pop("lake").items()}
        left_out = OF_THE_MAKING | TOLD_OTHERWISE
        return {key: value for key, value in {**held, **of_lake}.items() if key not in left_out}

    old, new = facts(kept), facts(made)
    for key in [*old, *(x for x in new if x not in old)]:
        one = {key: old[key]} if key in old else {}
        other = {key: new[key]} if key in new else {}
        if one != other:
            yield f"{layout.MANIFEST}: {_where_in_json(one, other)}"


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
            of = " ".join([str(first.day), ", ".join(map(str, first.key.values()))]).strip()
            if first.column is None:
                return f"{of}: a row is {'gone' if first.left else 'new'}"
            return f"{of}: {first.column} is {first.right!r}, was {first.left!r}"
    return _where_in_rows(old, new)


def _where_in_rows(old: pa.Table, new: pa.Table) -> str:
    """Return the first row in which two tables of the same columns differ, and its texts."""
    for number, (left, right) in enumerate(
        zip(old.to_pylist(), new.to_pylist(), strict=False), start=1
    ):
        column = next((x for x in left if repr(left[x]) != repr(right[x])), None)
        if column is not None:
            texts = ", ".join(value for value in left.values() if isinstance(value, str))
            of = f"row {number} ({texts})" if texts else f"row {number}"
            return f"{of}: {column} is {right[column]!r}, was {left[column]!r}"
    if old.num_rows != new.num_rows:
        return f"it has {new.num_rows} rows, had {old.num_rows}"
    return "the same values, other bytes"


def _where_in_json(old: Any, new: Any, path: str = "") -> str:
    """Return the first place in which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(x for x in new if x not in old)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                return f"{inner} is {'gone' if key in old else 'new'}"
            if old[key] != new[key]:
                return _where_in_json(old[key], new[key], inner)
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return f"{path} has {len(new)} entries, had {len(old)}"
        for place, (left, right) in enumerate(zip(old, new, strict=True)):
            if left != right:
                return _where_in_json(left, right, f"{path}.{place}")
    return f"{path} is {new!r}, was {old!r}" if old != new else "the same values, other bytes"
