"""Folders for what is not finished yet: one per process and place, told apart from all others.

A folder counts as MSM's own only when its name has the full pattern and a marker lies in it that
MSM wrote and that says the same. Nothing else is ever removed. What is made in such a folder is
renamed out of it when it is complete; the marker stays behind.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from msm_py.errors import NO_SPACE, not_written
from msm_py.settings import target_root

NAME: Final = re.compile(r"\.msm-scratch-[\w.-]+-[0-9]+-[0-9a-f]{12}")
MARKER: Final = ".msm-scratch.json"
MARKER_BYTES: Final = 10_000  # more than any marker has
WRITTEN_BY: Final = "MSM, for what is not finished yet; `msm` removes it when its process is gone"
ASIDE: Final = "aside"  # holds folders that others are about to replace
SECONDS_A_DAY: Final = 86_400.0


@contextmanager
def folder(place: Path) -> Iterator[Path]:
    """Yield a scratch folder of this process in ``place``, gone afterwards.

    What killed processes left in ``place`` goes first.
    """
    remove_leftovers(place)
    own = _made(place)
    try:
        yield own
    finally:
        _remove(own)


@contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a folder for what a command makes for itself, gone afterwards.

    It is made in MSM_TARGET, or where temporary files go when nothing can be written there.

    Raises
    ------
    MsmError
        When nothing can be written in either, or the disk is full.
    """
    root, beside = target_root(), None
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            own = stack.enter_context(folder(root))
        except OSError as error:
            beside = error
        if beside is not None:
            try:
                if beside.errno in NO_SPACE:
                    raise beside
                # the code may be installed read-only
                own = stack.enter_context(folder(Path(tempfile.gettempdir())))
            except OSError:
                raise not_written(
                    "the folder of scratch cannot be written to",
                    f"{root} (MSM_TARGET)",
                    beside,
                    "free space there, or name a folder that you may write to in MSM_TARGET",
                ) from None
        yield own


@contextmanager
def file_for(final: Path, place: Path) -> Iterator[Path]:
    """Yield where a file is to be written that then goes to its place whole, or not at all.

    Parameters
    ----------
    final
        Its place. Everybody may read what is put there.
    place
        Where the scratch folder is made: where others look for what a killed process left.
    """
    is_near = place.stat().st_dev == final.parent.stat().st_dev  # a folder may be a link
    with folder(place if is_near else final.parent) as own:
        unfinished = own / final.name
        yield unfinished
        unfinished.chmod(0o644)
        os.replace(unfinished, final)


def remove_leftovers(place: Path) -> None:
    """Remove the scratch folders in ``place`` of processes that were killed.

    Those of this machine go when their process is gone; those of others, which cannot be asked,
    when nothing in them has changed for a day. A folder that had stepped aside in one comes back.
    """
    with suppress(OSError):  # there is no such place, or it is not ours to look into
        for entry in os.scandir(place):
            if NAME.fullmatch(entry.name):
                with suppress(OSError):  # somebody else may be at it too
                    owner = _owner(Path(entry.path))
                    if owner is None:
                        _remove_unmarked(Path(entry.path))
                    elif _is_left(Path(entry.path), owner):
                        _remove(Path(entry.path))


def owners(place: Path) -> list[str]:
    """Return who else works in a folder, in words: live processes with a scratch folder there."""
    own_process = (_host(), os.getpid())
    found = []
    for own in sorted(place.glob(".msm-scratch-*")):
        owner = _owner(own)
        if owner is not None and not _is_left(own, owner):
            found.append((owner["host"], owner["process_id"]))
    return [
        f"process {number} on {host}" for host, number in found if (host, number) != own_process
    ]


def step_aside(standing: Path, own: Path) -> Path:
    """Move what stands in a place into a scratch folder of that place, and return where it is."""
    aside = own / ASIDE / standing.name
    aside.parent.mkdir(exist_ok=True)
    standing.rename(aside)
    return aside


def put_back(aside: Path, place: Path) -> None:
    """Put a folder that had stepped aside back into its place.

    When the one that replaces it stands there by now, only what that one lacks goes over to it:
    notes that somebody had put into the folder.
    """
    final = place / aside.name
    try:
        aside.rename(final)
    except OSError as error:
        if aside.is_symlink() and final.is_dir():
            aside.unlink()
            return
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        for entry in os.scandir(aside):
            if not os.path.lexists(final / entry.name):
                os.rename(entry.path, final / entry.name)
        shutil.rmtree(aside)


def is_alive(process_id: int, started: int | None = None) -> bool:
    """Return whether a process of this machine runs, and is the one that started then."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    now = _started(process_id)
    return started is None or now is None or now == started


def _made(place: Path) -> Path:
    own = place / f".msm-scratch-{_host()}-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        own.mkdir(mode=0o700)
        _mark(own)
    except OSError as error:
        with suppress(OSError):
            (own / MARKER).unlink(missing_ok=True)
            own.rmdir()
        raise OSError(error.errno, error.strerror or str(error), str(own)) from None
    return own


def _mark(own: Path) -> None:
    marker = {
        "written_by": WRITTEN_BY,
        "name": own.name,
        "host": _host(),
        "process_space": _process_space(),
        "process_id": os.getpid(),
        "process_started": _started(os.getpid()),
    }
    (own / MARKER).write_text(json.dumps(marker, indent=1) + "\n")


def _owner(own: Path) -> Mapping[str, Any] | None:
    """Return what the marker of a scratch folder says; None when the folder is not MSM's."""
    try:
        facts = (own / MARKER).lstat()
        is_marker = stat.S_ISREG(facts.st_mode) and facts.st_size < MARKER_BYTES
        if own.is_symlink() or not is_marker:
            return None
        says = json.loads((own / MARKER).read_bytes())
    except (OSError, ValueError):
        return None
    is_own = (
        isinstance(says, dict)
        and says.get("written_by") == WRITTEN_BY
        and says.get("name") == own.name
        and isinstance(says.get("process_id"), int)
        and own.name.startswith(f".msm-scratch-{says.get('host')}-{says['process_id']}-")
    )
    return says if is_own else None


def _remove_unmarked(own: Path) -> None:
    """Remove what a process left that was killed before it had marked its folder: an empty folder.

    Its name says whose it was. A folder in which there is anything stays.
    """
    host, _, rest = own.name.removeprefix(".msm-scratch-").rpartition("-")[0].rpartition("-")
    if own.is_symlink() or host != _host() or is_alive(int(rest)):
        return
    marker = own / MARKER
    if os.listdir(own) == [MARKER] and stat.S_ISREG(marker.lstat().st_mode):
        if marker.lstat().st_size:
            return
        marker.unlink()
    own.rmdir()


def _is_left(own: Path, owner: Mapping[str, Any]) -> bool:
    if (owner["host"], owner.get("process_space")) == (_host(), _process_space()):
        return not is_alive(owner["process_id"], owner.get("process_started"))
    changed = max(entry.lstat().st_mtime for entry in (own, *own.rglob("*")))
    return time.time() - changed > SECONDS_A_DAY


def _remove(own: Path) -> None:
    """Remove a scratch folder, its marker last: killed on the way it is still known as one."""
    with suppress(OSError):  # whatever cannot be put back stays
        if (own / ASIDE).is_dir():
            for aside in sorted((own / ASIDE).iterdir()):
                put_back(aside, own.parent)
        for entry in list(os.scandir(own)):
            if entry.name == MARKER:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
        if os.listdir(own) == [MARKER]:
            (own / MARKER).unlink()
            own.rmdir()


@cache
def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()) or "localhost"


def _process_space() -> str | None:
    """Return which numbering of processes this is: containers of one name have one each."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _started(process_id: int) -> int | None:
    """Return when a process started, in ticks since the machine did; None where nobody tells."""
    try:
        facts = Path(f"/proc/{process_id}/stat").read_text()
        return int(facts.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
