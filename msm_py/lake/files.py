"""Which files of a folder are a lake's tables: one list, for the check, the fingerprint and a run.

DuckDB's own globs are not used: they follow no links below ``**``, and a name with a bracket in it
would be a pattern. What is listed here is read, file by file, by its literal name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from msm_py.errors import MsmError

SUFFIX: Final = ".parquet"
_GLOB_CHARACTERS: Final = "[*?"


def table_files(lake: Path, name: str) -> tuple[Path, ...]:
    """Return the files of one table in name order, none when the table is absent.

    A table is ``<name>.parquet`` or every ``*.parquet`` file below ``<name>/``, however deep;
    links are followed, and hidden files count like any other. A folder whose name ends in .parquet
    is a folder.

    Parameters
    ----------
    lake
        The lake's directory, absolute and without links.
    name
        The table.

    Returns
    -------
    tuple of Path
        Paths below ``lake``, links not resolved.

    Raises
    ------
    MsmError
        The table is there twice, as a file and as a folder; the file is a folder; a folder that
        leads back into itself, or one file under two names; a file that is a pipe, a socket or a
        device, a link that leads nowhere, a folder that may not be listed; a name that DuckDB
        cannot be given.
    """
    file, folder = lake / f"{name}{SUFFIX}", lake / name
    if os.path.lexists(file) and folder.is_dir():
        raise MsmError(
            f"the table {name} is there twice",
            where=str(lake),
            received=f"{file.name} and {folder.name}/",
            remedy="keep one of them",
        )
    if file.is_dir():
        raise MsmError(
            f"{file.name} is a folder",
            where=str(file),
            remedy=f"name it {name} (a table is {name}{SUFFIX} or {name}/**/*{SUFFIX})",
        )
    if os.path.lexists(file):
        found = [file]
    elif folder.is_dir():
        found = sorted(_below(folder, ()))
    else:
        return ()
    seen: dict[str, Path] = {}
    for path in found:
        check_regular(path)
        quoted(path)
        first = seen.setdefault(os.path.realpath(path), path)
        if first != path:
            raise MsmError(
                f"one file of {name} is there under two names",
                where=str(path),
                received=f"the same file as {first}",
                remedy="remove one of them: its rows would be read twice",
            )
    return tuple(found)


def check_regular(file: Path) -> None:
    """See that a file can be read as a file: what else there is would be waited for forever.

    Raises
    ------
    MsmError
        When it is a pipe, a socket or a device, or a link that leads nowhere.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise MsmError(
            "a file of the lake cannot be read",
            where=str(file),
            received=error.strerror or str(error),
            remedy="if it is a link, mend it or remove it",
        ) from None
    if not stat.S_ISREG(mode):
        raise MsmError(
            "a file of the lake is no regular file",
            where=str(file),
            received=_KINDS.get(stat.S_IFMT(mode), "something else"),
            remedy="put the file itself there",
        )


def read_parquet(files: Iterable[Path]) -> str:
    """Return the DuckDB table function over exactly these files, columns matched by name.

    Names of folders never become columns: a lake below ``exchange=x/`` means what it means
    elsewhere.
    """
    return f"read_parquet({path_list(files)}, union_by_name = true, hive_partitioning = false)"


def path_list(files: Iterable[Path]) -> str:
    """Return paths as a DuckDB list literal, taken literally (no globs)."""
    return "[" + ", ".join(map(quoted, files)) + "]"


def quoted(path: Path) -> str:
    """Return a path as a SQL string in which no character ends the string or is a glob.

    Raises
    ------
    MsmError
        When DuckDB cannot be given this path.

    Examples
    --------
    >>> quoted(Path("it's a lake/[1].parquet"))
    "'it''s a lake/[[]1].parquet'"
    """
    text = str(path)
    is_pattern = any(character in text for character in _GLOB_CHARACTERS)
    if not text.isprintable() and not _encodes(text):
        raise _unspeakable(path, "a name that is not valid UTF-8")
    if is_pattern and "\\" in text:  # a backslash there would escape, and nothing escapes it
        raise _unspeakable(path, "a backslash together with one of " + " ".join(_GLOB_CHARACTERS))
    literal = "".join(f"[{c}]" if c in _GLOB_CHARACTERS else c for c in text)
    return "'" + literal.replace("'", "''") + "'"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unspeakable(path: Path, received: str) -> MsmError:
    return MsmError(
        "DuckDB cannot be given this path",
        where=os.fsencode(path).decode(errors="backslashreplace"),
        received=received,
        remedy="rename the file or the folder that it lies in",
    )


_KINDS: Final = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def _below(folder: Path, inside: tuple[str, ...]) -> Iterator[Path]:
    """Yield the Parquet files below a folder; ``inside`` are the real paths of those around it."""
    real = os.path.realpath(folder)
    # a link to a folder around the lake would be walked for long before it led back
    if any(Path(around).is_relative_to(real) for around in inside):
        raise MsmError(
            "a folder of the lake leads back into itself",
            where=str(folder),
            received=f"a link to {real}",
            remedy="remove the link",
        )
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise MsmError(
            "a folder of the lake cannot be listed",
            where=str(folder),
            received=error.strerror or str(error),
            remedy="give yourself the right to read it",
        ) from None
    for entry in entries:
        path = Path(entry.path)
        if path.is_dir():
            yield from _below(path, (*inside, real))
        elif entry.name.lower().endswith(SUFFIX):
            yield path
