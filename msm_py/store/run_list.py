"""Which folders of a runs folder are runs."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from msm_py.errors import MsmError
from msm_py.store.layout import MANIFEST, REPORT, is_page


class Skipped(NamedTuple):
    """Why an entry of a runs folder is no run that can be used.

    Parameters
    ----------
    reason
        What is wrong, in a few words.
    is_broken
        Whether it is a run of MSM that somebody or something damaged.
    since
        When it or a file in it was last changed: ISO 8601, UTC; None where nothing says so.
    """

    reason: str
    is_broken: bool = False
    since: str | None = None


@dataclass(frozen=True)
class Listing:
    """What lies in a runs folder, hidden entries and leaderboards aside.

    Parameters
    ----------
    runs
        The ids of the runs, sorted: folders that are called as the run that they hold.
    skipped
        Everything else by name, and why it is no run.
    """

    runs: Sequence[str]
    skipped: Mapping[str, Skipped]


RUN_ID: Final = re.compile(r"[a-z0-9][a-z0-9_]*-[0-9a-f]{10}")
DIGITS: Final = re.compile(r"[0-9a-f]{4,10}")
MOST_NAMED: Final = 5
NO_RUN: Final = Skipped("no run folder")


def list_runs(folder: Path, known: Collection[str] = ()) -> Listing:
    """Tell the runs in a runs folder from everything else that lies there.

    Parameters
    ----------
    folder
        The runs folder.
    known
        Names of folders that are runs as somebody knows: they are not opened.
    """
    found = {
        entry.name: None
        if entry.name in known
        else no_run(Path(entry.path), is_folder=entry.is_dir())
        for entry in _entries(folder)
    }
    return Listing(
        [name for name, why in found.items() if why is None],
        {name: why for name, why in found.items() if why is not None},
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    entries = sorted(os.scandir(folder), key=lambda x: x.name) if folder.is_dir() else []
    return [x for x in entries if not x.name.startswith(".") and not is_page(x.name)]


def run_names(folder: Path) -> list[str]:
    """Return the names of folders that are called like runs, sorted; none of them is opened."""
    return [x.name for x in _entries(folder) if RUN_ID.fullmatch(x.name) and x.is_dir()]


def files_digest(folder: Path, shared: dict[int, tuple[int, int]] | None = None) -> int:
    """Return what tells a run folder from one in which a file was touched: a number of 63 bits.

    It is made of names, sizes and times of its files but its page; 0 for a folder that is gone
    meanwhile.

    Parameters
    ----------
    folder
        A run folder.
    shared
        Sizes and times of files that several folders share by hard link, by inode, so that each is
        asked for once; new ones are added. Of folders of one file system.
    """
    shared = {} if shared is None else shared
    facts = []
    try:
        with os.scandir(folder) as files:
            for file in files:
                if file.name == REPORT:
                    continue
                if (known := shared.get(file.inode())) is None:
                    found = file.stat()
                    known = (found.st_size, found.st_mtime_ns)
                    if found.st_nlink > 1 and found.st_ino == file.inode():  # no link elsewhere
                        shared[file.inode()] = known
                facts.append((file.name, *known))
    except OSError:
        return 0
    digest = hashlib.sha256(repr(sorted(facts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def last_change(entry: Path) -> str | None:
    """Return when something in a runs folder was last changed, to the second; None if it is gone.

    Of a folder: itself, or a file in it, but for its page.
    """
    try:
        files = os.scandir(entry) if entry.is_dir() else ()
        changes = [file.stat().st_mtime for file in files if not is_page(file.name)]
        newest = max([*changes, entry.stat().st_mtime])
        return datetime.fromtimestamp(int(newest), UTC).replace(tzinfo=None).isoformat()
    except (OSError, ValueError, OverflowError):  # gone, or of a year that no calendar has
        return None


def existing_runs(folder: Path) -> list[str]:
    """Return the ids of the complete runs in a runs folder, sorted."""
    return list(list_runs(folder).runs)


def is_run(folder: Path) -> bool:
    """Return whether a folder is the run that its name says."""
    return no_run(folder, is_folder=folder.is_dir()) is None


def no_run(folder: Path, *, is_folder: bool) -> Skipped | None:
    """Return why something in a runs folder is no run; None when it is one."""
    is_named = RUN_ID.fullmatch(folder.name) is not None
    try:
        held = _held_run(folder) if is_folder else None
    except BROKEN as error:
        return Skipped(f"{MANIFEST}: {fault_of(error)}", is_broken=True) if is_named else NO_RUN
    if held is None or (held == folder.name and not is_named):
        return NO_RUN
    return None if held == folder.name else Skipped(f"it holds the run {held}")


def _held_run(folder: Path) -> str:
    """Return the id in a run folder's manifest."""
    file = folder / MANIFEST
    facts = file.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("no plain file")
    return _run_id_in(str(file), facts.st_ino, facts.st_size, facts.st_mtime_ns)


# a command lists a runs folder several times, and there may be thousands of runs in it
@lru_cache(maxsize=100_000)
def _run_id_in(manifest: str, *_facts: int) -> str:
    return str(json.loads(Path(manifest).read_bytes())["run_id"])


# what reading a file that somebody damaged can end in
BROKEN: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
    pa.ArrowException,
)


def fault_of(error: Exception) -> str:
    """Return in a few words why a file could not be read."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"no JSON: {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # what Python says of a list where a dict should be, and of the like, tells a user nothing
    of_python = isinstance(error, LookupError | TypeError | AttributeError)
    if of_python and not isinstance(error, pa.ArrowException):
        return "it is not of the shape in which runs write it"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


MEND_RUN: Final = "run the experiment again with --force, or move its folder out of the runs folder"


@dataclass(frozen=True)
class Found:
    """A run that somebody named.

    Parameters
    ----------
    folder
        Its folder.
    note
        Which one of several it is, if the name fits several.
    """

    folder: Path
    note: str | None = None


def find_run(folder: Path, name: str) -> Found:
    """Return the run that somebody names, by its id or the beginning of it or of its digits.

    An experiment's id stands for its newest run.

    Raises
    ------
    MsmError
        When none or several are called so.
    """
    names = run_names(folder)
    called = [name] if name in names else [run for run in names if run.startswith(name)]
    if not called and DIGITS.fullmatch(name):
        called = [run for run in names if run.rpartition("-")[2].startswith(name)]
    found = [run for run in called if is_run(folder / run)]
    if len(found) == 1:
        return Found(folder / found[0])
    of_experiment = [run for run in found if run.rpartition("-")[0] == name]
    if of_experiment:
        newest = max((folder / run for run in of_experiment), key=_made_at)
        if len(of_experiment) == 1:
            return Found(newest)
        return Found(
            newest,
            f"{newest.name} is the newest of {len(of_experiment)} runs of {name}; "
            f"`msm list --experiment {name} --all` lists them.",
        )
    if found:
        some = ", ".join(found[:MOST_NAMED])
        more = len(found) - MOST_NAMED
        raise MsmError(
            "several runs begin with this id",
            where=str(folder),
            received=name,
            remedy=f"give more of it: {some}" + (f", and {more} more" if more > 0 else ""),
        )
    listing = list_runs(folder)
    if broken := [x for x in listing.skipped if x.startswith(name) and name]:
        raise MsmError(
            "this is no run that can be shown",
            where=str(folder / broken[0]),
            received=listing.skipped[broken[0]].reason,
            remedy=MEND_RUN if listing.skipped[broken[0]].is_broken else "give another run id",
        )
    close = difflib.get_close_matches(name, listing.runs, n=1, cutoff=0.4)
    raise MsmError(
        "there is no such run",
        where=str(folder),
        received=name,
        remedy=f"did you mean {close[0]}?" if close else "`msm list` shows what is there",
    )


def _made_at(run: Path) -> str:
    made: str = json.loads((run / MANIFEST).read_bytes())["finished_at"]
    return made
