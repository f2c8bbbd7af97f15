"""Rows by key, and files that many run folders share."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from msm_py.store.formats import write_parquet

CONTENT_ID_DIGITS: Final = 16  # of the SHA-256 of a panel's file


class RowsByKey:
    """The rows of a table that belong to one key, without copying the others.

    Parameters
    ----------
    table
        Any table.
    key
        The column to look up by.
    order
        Columns that order the rows of a key.
    """

    def __init__(self, table: pa.Table, key: str, order: Sequence[str] = ()) -> None:
        table = table.sort_by([(name, "ascending") for name in (key, *order)]).combine_chunks()
        keys = table[key].to_pandas().to_numpy()
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.array([])
        ends = np.r_[starts[1:], len(keys)]
        self._table = table
        self._span = {
            keys[int(start)]: (int(start), int(end - start))
            for start, end in zip(starts, ends, strict=bool(len(keys)))
        }

    def __getitem__(self, key: str) -> pa.Table:
        """Return the rows of ``key``; none when it is unknown."""
        start, length = self._span.get(key, (0, 0))
        return self._table.slice(start, length)

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Return the rows of ``key`` as dicts."""
        rows: list[dict[str, Any]] = self[key].to_pylist()
        return rows


class PanelFiles:
    """Parquet files that many runs share, written once and hard-linked into their folders.

    Parameters
    ----------
    name
        What the panels hold, for the names of scratch files.
    rows
        The panels' rows by panel id.
    columns
        The columns of the file.
    scratch
        A folder on the file system of the runs folder.
    """

    def __init__(self, name: str, rows: RowsByKey, columns: Sequence[str], scratch: Path) -> None:
        self._name = name
        self._rows = rows
        self._columns = list(columns)
        self._scratch = scratch
        self._made: dict[str, tuple[Path, str]] = {}

    def content_id(self, panel_id: str) -> str:
        """Return the SHA-256 of the panel's file (16 digits): equal content, equal id."""
        return self._file(panel_id)[1]

    def put(self, panel_id: str, target: Path) -> None:
        """Place the panel's file at ``target``: a hard link, or a copy where links cannot be."""
        source, _ = self._file(panel_id)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            shutil.copyfile(source, target)

    def _file(self, panel_id: str) -> tuple[Path, str]:
        if panel_id not in self._made:
            source = self._scratch / f"{self._name}-{panel_id}.parquet"
            write_parquet(self._rows[panel_id].select(self._columns), source)
            digest = hashlib.sha256(source.read_bytes()).hexdigest()[:CONTENT_ID_DIGITS]
            self._made[panel_id] = (source, digest)
        return self._made[panel_id]
