"""Assets that no basket ever holds: the project's list, and what a lake adds to it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msm_py.errors import MsmError
from msm_py.settings import project_dir

PROJECT_LIST: Final = "seeds/excluded_assets.csv"
FILE: Final = "exclude.csv"
COLUMNS: Final = ("asset_id", "reason")
MOST_BYTES: Final = 10_000_000


def project_list() -> Mapping[str, str]:
    """Return the assets that the project itself excludes, each with its reason."""
    with (project_dir() / PROJECT_LIST).open(encoding="utf-8", newline="") as file:
        return {row["asset_id"]: row["reason"] for row in csv.DictReader(file)}


def read_exclusions(lake: Path) -> Mapping[str, str]:
    """Return what the ``exclude.csv`` of a lake excludes, with reasons; nothing without one.

    Parameters
    ----------
    lake
        The lake's directory.

    Raises
    ------
    MsmError
        The file is none, no UTF-8, of other columns than ``asset_id`` and ``reason``, lacks one of
        the two in a row, or names an asset twice.
    """
    file = lake / FILE
    if not file.exists() and not file.is_symlink():
        return MappingProxyType({})
    if not file.is_file():
        raise _wrong(file, "is not a file", None, "put a file there, or remove it")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _wrong(file, "is far too long", f"{file.stat().st_size:,} bytes", "shorten it")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(file, "is not UTF-8", str(error), "save it as UTF-8") from None
    except OSError as error:
        raise _wrong(file, "cannot be read", error.strerror, "give yourself the right to") from None
    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as error:  # such as a cell of a megabyte
        raise _wrong(
            file, "cannot be read", str(error), "write a line asset_id,reason for each asset"
        ) from None
    header = lines[0] if lines else []
    if tuple(cell.strip() for cell in header) != COLUMNS:
        wanted = ",".join(COLUMNS)
        raise _wrong(
            file, "has other columns", ",".join(header) or "nothing", f"its first line is {wanted}"
        )
    found: dict[str, str] = {}
    for number, row in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(COLUMNS) or not all(cells):
            raise _wrong(
                file,
                f"lacks an asset or a reason in line {number}",
                ",".join(row),
                "write asset_id,reason",
            )
        asset, reason = cells
        if asset in found:
            raise _wrong(file, f"names an asset twice, in line {number}", asset, "keep one of them")
        found[asset] = reason
    return MappingProxyType(found)


def _wrong(file: Path, what: str, received: str | None, remedy: str) -> MsmError:
    return MsmError(f"{FILE} {what}", where=str(file), received=received, remedy=remedy)
