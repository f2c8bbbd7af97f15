"""Run folders: what a run wrote, complete or not there at all.

A run's files are written to a scratch folder beside their place and renamed into it. A complete run
that is already there wins over a later equal one, unless that one is to replace it. Every file but
the manifest is a function of experiment, lake and code alone; times, machine and git stand there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from msm_py.errors import MsmError, not_written
from msm_py.store import run_list, scratch
from msm_py.store.formats import write_json, write_parquet
from msm_py.store.layout import MANIFEST, REPORT
from msm_py.store.shared_files import PanelFiles

REMEDY: Final = "free space on the disk or give another folder with --runs DIR, then run again"
FileFacts = tuple[int, int, int, int]
"""Device, inode, size and time of the last change in ns."""


def check_runs_dir(folder: Path) -> None:
    """Make the runs folder and see that it can be written to.

    Raises
    ------
    MsmError
        When it is a file or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MsmError(
            "the runs folder cannot be written to",
            where=str(folder),
            received=error.strerror or str(error),
            remedy="give a folder that you may write to with --runs DIR (or MSM_RUNS)",
        ) from None


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """Yield a scratch folder in the runs folder.

    Raises
    ------
    MsmError
        When there is no room for one.
    """
    with ExitStack() as stack:
        try:
            own = stack.enter_context(scratch.folder(folder))
        except OSError as error:
            raise not_written(
                "the runs folder cannot be written to", folder, error, REMEDY
            ) from None
        yield own


def write_run(
    run_id: str,
    own: Path,
    files: Mapping[str, Any],
    panels: Mapping[str, tuple[PanelFiles, str]],
    *,
    replace: bool = False,
) -> bool:
    """Write one run folder, wholly or not at all.

    Parameters
    ----------
    run_id
        Name of the folder.
    own
        A scratch folder in the runs folder, to write the run in before it goes to its place.
    files
        Content by file name: a table for Parquet, text for CSV, else what JSON holds. The manifest
        gets the SHA-256 of every other file (``files``).
    panels
        Shared files by name: where they come from and the panel's id.
    replace
        Whether a run that is there gives way; until then it stays.

    Returns
    -------
    bool
        False when the run was there already and stays; nothing is written then.

    Raises
    ------
    MsmError
        When the disk is full or the folder cannot be written to, or another run lies in its place.
    """
    final = own.parent / run_id
    if final.is_dir() and not replace:
        return False
    unfinished = own / run_id
    try:
        unfinished.mkdir()
        unfinished.chmod(0o755)
        for name, (shared, panel_id) in panels.items():
            shared.put(panel_id, unfinished / name)
        for name, content in files.items():
            if name == MANIFEST:
                continue
            if isinstance(content, pa.Table):
                write_parquet(content, unfinished / name)
            elif isinstance(content, str):
                (unfinished / name).write_text(content)
            else:
                write_json(content, unfinished / name)
        hashes = hashes_of(unfinished)
        write_json({**files[MANIFEST], "files": hashes}, unfinished / MANIFEST)
        return put_run(unfinished, replace=replace)
    except OSError as error:
        raise not_written(
            "a run could not be written; nothing of it was kept", final, error, REMEDY
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files of a run folder, but for its manifest and its page."""
    return {name: hash_of(folder / name) for name in written_files(folder)}


def written_files(folder: Path) -> list[str]:
    """Return the names of the files of a run folder, but for its manifest and its page, sorted."""
    return sorted(
        file.name
        for file in folder.iterdir()
        if file.is_file() and file.name not in (MANIFEST, REPORT) and not file.name.startswith(".")
    )


def hash_of(file: Path, known: dict[FileFacts, str] | None = None) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    file
        A plain file.
    known
        Hashes by file facts, so that what runs share by hard link is read once; this one is added.

    Raises
    ------
    OSError
        When it is missing, or something else, such as a pipe, which nobody waits for.
    """
    known = {} if known is None else known
    facts = file.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "no plain file")
    same = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    if same not in known:
        known[same] = hashlib.sha256(file.read_bytes()).hexdigest()
    return known[same]


def changed_files(
    folder: Path, kept: Mapping[str, str], known: dict[FileFacts, str] | None = None
) -> Iterator[str]:
    """Yield which files of a run are not as the run wrote them, a few words each.

    Parameters
    ----------
    folder
        A run folder.
    kept
        SHA-256 by file, from its manifest.
    known
        As in `hash_of`.
    """
    for name, kept_hash in sorted(kept.items()):
        try:
            if hash_of(folder / name, known) != kept_hash:
                yield f"{name}: changed since the run wrote it"
        except FileNotFoundError:
            yield f"{name}: missing"
        except OSError as error:
            yield f"{name}: {error.strerror or error}"


def fault_in(folder: Path, known: dict[FileFacts, str] | None = None) -> str | None:
    """Return the first of `changed_files`; None without, as in runs of versions before hashes."""
    try:
        kept = json.loads((folder / MANIFEST).read_bytes()).get("files", {})
        return next(changed_files(folder, kept, known), None)
    except run_list.BROKEN as error:
        return f"{MANIFEST}: {run_list.fault_of(error)}"


def fault_of_run(folder: Path) -> str | None:
    """Return why a folder is not the run that its name says, as the run wrote it; None if it is."""
    why = run_list.no_run(folder, is_folder=folder.is_dir())
    return fault_in(folder) if why is None else why.reason


def broken(folder: Path, fault: str) -> MsmError:
    """Return the error for a run folder that cannot be used."""
    return MsmError(
        "a run folder is broken", where=str(folder), received=fault, remedy=run_list.MEND_RUN
    )


def check_whole(folder: Path) -> None:
    """See that all files of a run are as the run wrote them.

    Raises
    ------
    MsmError
        When one is missing or has another content.
    """
    if fault := fault_in(folder):
        raise broken(folder, fault)


def put_run(finished: Path, *, replace: bool) -> bool:
    """Rename a finished run folder out of its scratch folder into the runs folder.

    Parameters
    ----------
    finished
        The run, in a scratch folder of the runs folder.
    replace
        Whether a run that is there gives way: it steps aside, and is deleted when the other one is
        in its place. What others had put into its folder stays there.

    Returns
    -------
    bool
        False when a run was there, or another process was first; ``finished`` is left then.

    Raises
    ------
    MsmError
        When what is there is another run.
    """
    own = finished.parent
    final, aside = own.parent / finished.name, None
    try:
        if replace and final.is_dir():
            _check_replaceable(final)
            with suppress(FileNotFoundError):  # another process replaces it too
                aside = scratch.step_aside(final, own)
        finished.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False  # another process finished the same run first
        raise
    finally:
        if aside is not None:
            scratch.put_back(aside, own.parent)
    return True


def _check_replaceable(final: Path) -> None:
    """See that a folder that is to give way is this run, whole or broken."""
    found = run_list.no_run(final, is_folder=True)
    if found is not None and not found.is_broken:
        raise MsmError(
            "another run lies in the place of this one",
            where=str(final),
            received=found.reason,
            remedy="rename that folder to the run that it holds, or move it elsewhere",
        )
