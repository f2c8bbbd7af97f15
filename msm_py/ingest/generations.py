"""Lakes made of vintages: generations, one of which is published.

``STORE/lakes/<id>/`` is a lake with one sorted file per table and year; its id comes from its
content. Files that are those of the generation before are hard links to them. ``STORE/lake`` is a
link to the published generation, replaced in one step: whoever opened the lake before reads on in
the old one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from msm_py.errors import MsmError
from msm_py.lake.contract import TABLES
from msm_py.lake.files import read_parquet
from msm_py.lake.lake_yaml import LAKE_YAML
from msm_py.store.formats import write_json, write_parquet

FOLDER: Final = "lakes"
LAKE: Final = "lake"
PROVENANCE: Final = "provenance.json"
INCOMING: Final = "incoming_"
SOURCE: Final = "source"
"""A column beside those of the contract: which source a row is from."""
_ID_DIGITS: Final = 12


@dataclass(frozen=True)
class Generation:
    """A lake of a store.

    Parameters
    ----------
    folder
        Where it is; its name is its id.
    provenance
        What it is made of.
    """

    folder: Path
    provenance: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Return its id."""
        return self.folder.name


def published(store: Path) -> Generation | None:
    """Return the published generation; None when there is none, or nothing says what it is of."""
    link = store / LAKE
    try:
        folder = link.resolve(strict=True)
        if folder.parent != (store / FOLDER).resolve():
            return None
        return Generation(folder, json.loads((folder / PROVENANCE).read_bytes()))
    except (OSError, ValueError):
        return None


def build(
    con: duckdb.DuckDBPyConnection,
    store: Path,
    scratch: Path,
    *,
    since: date | None,
    base: Generation | None,
    lake_yaml: str,
    provenance: Mapping[str, Any],
    beside: Sequence[Path] = (),
) -> Generation:
    """Write a lake from the tables ``incoming_<table>`` of a connection, and put it in its place.

    Parameters
    ----------
    con
        Its tables have the columns of the contract that are known, and ``source``.
    store, scratch
        The store, and a folder on its file system for what is not finished.
    since
        First day that the tables hold; days before are taken over from ``base``. None: all days.
    base
        The generation before; files of equal content become links to its files.
    lake_yaml
        The text of the lake's lake.yaml.
    provenance
        What is to be said about where it comes from; figures of its tables are added.
    beside
        Files that become part of the lake as they are.

    Returns
    -------
    Generation
        One that is there already, if it has this content.
    """
    made = scratch / "generation"
    made.mkdir()
    (made / LAKE_YAML).write_text(lake_yaml)
    for file in beside:
        shutil.copyfile(file, made / file.name)
    figures = {}
    for name in _incoming(con):
        written = _write_table(con, name, made, since, None if base is None else base.folder)
        if written is not None:
            figures[name] = written
    hashes = {file.relative_to(made).as_posix(): _hash(file) for file in _files(made)}
    if base is not None:
        for name in hashes:
            _link_if_equal(made / name, base.folder / name, hashes[name])
    digest = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    generation = Generation(
        store / FOLDER / digest[:_ID_DIGITS],
        {**provenance, "tables": figures, "files": hashes},
    )
    write_json(generation.provenance, made / PROVENANCE)
    (store / FOLDER).mkdir(exist_ok=True)
    if generation.folder.is_dir():
        # the same lake, made of more: what it is made of is told anew
        os.replace(made / PROVENANCE, generation.folder / PROVENANCE)
    else:
        os.rename(made, generation.folder)
    return generation


def publish(store: Path, scratch: Path, generation: Generation) -> None:
    """Let ``STORE/lake`` lead to a generation, in one step.

    Raises
    ------
    MsmError
        Something else than a link is there.
    """
    place = store / LAKE
    if os.path.lexists(place) and not place.is_symlink():
        raise MsmError(
            "the place of the published lake is taken",
            where=str(place),
            received="a folder" if place.is_dir() else "a file",
            remedy="move it elsewhere: MSM puts a link there, to the newest lake of the store",
        )
    fresh = scratch / LAKE
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(FOLDER, generation.id))
    os.replace(fresh, place)


def remove_old(store: Path, keep: int) -> list[str]:
    """Remove generations beyond the newest ``keep``, never the published one; return their ids."""
    standing = published(store)
    folders = [
        folder
        for folder in (store / FOLDER).glob("*")
        if (folder / PROVENANCE).is_file() and (standing is None or folder.name != standing.id)
    ]
    folders.sort(key=lambda folder: (folder / PROVENANCE).stat().st_mtime_ns, reverse=True)
    old = folders[max(keep - (standing is not None), 0) :]
    for folder in old:
        shutil.rmtree(folder)
    return sorted(folder.name for folder in old)


def _incoming(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return which tables of the contract the connection has something for."""
    there = {row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()}
    return [name for name in TABLES if INCOMING + name in there]


def _write_table(
    con: duckdb.DuckDBPyConnection, name: str, made: Path, since: date | None, base: Path | None
) -> dict[str, Any] | None:
    """Write a table's files and return its figures; None when it has no row."""
    columns = [row[0] for row in con.execute(f"describe {INCOMING}{name}").fetchall()]
    wanted = [*(column for column in TABLES[name].all_columns if column in columns), SOURCE]
    key = [column for column in TABLES[name].key if column in columns]
    order = ", ".join([*key, *(column for column in wanted if column not in key)])
    select = ", ".join(wanted)
    if "date" not in wanted:
        table = _rows(con, f"select {select} from {INCOMING}{name} order by {order}")
        if table.num_rows:
            write_parquet(table, made / f"{name}.parquet")
        return {"n_rows": table.num_rows} if table.num_rows else None
    (made / name).mkdir()
    old = {} if since is None or base is None else _years_of(base / name)
    fresh = con.execute(f"select distinct year(date) from {INCOMING}{name}").fetchall()
    for year in sorted({row[0] for row in fresh} | old.keys()):
        file = made / name / f"{year}.parquet"
        if since is not None and year < since.year:
            if year in old:
                _link(old[year], file)
            continue
        rows = f"select {select} from {INCOMING}{name} where year(date) = {year}"
        if since is not None:
            rows += f" and date >= date '{since}'"
            if year in old:
                before = f"{read_parquet([old[year]])} where date < date '{since}'"
                rows += f" union all by name select {select} from {before}"
        table = _rows(con, f"select {select} from ({rows}) order by {order}")
        if table.num_rows:
            write_parquet(table, file)
    files = list(_years_of(made / name).values())
    if not files:
        (made / name).rmdir()
        return None
    return _figures(con, files)


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return con.sql(query).to_arrow_table()


def _years_of(table: Path) -> dict[int, Path]:
    """Return a table's files by year."""
    return {int(file.stem): file for file in sorted(table.glob("*.parquet"))}


def _figures(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, Any]:
    """Return what there is to say of a table's rows."""
    every_row = read_parquet(files)
    rows, first, last = con.execute(
        f"select count(*), min(date), max(date) from {every_row}"
    ).fetchone() or (0, None, None)
    of_sources = con.execute(
        f"select {SOURCE}, count(*) from {every_row} group by {SOURCE} order by {SOURCE}"
    ).fetchall()
    return {
        "n_rows": rows,
        "first_date": str(first),
        "last_date": str(last),
        "rows_by_source": dict(of_sources),
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link_if_equal(fresh: Path, old: Path, digest: str) -> None:
    """Replace a file by a link to an old one of equal content."""
    if not old.is_file() or fresh.samefile(old):
        return
    if old.stat().st_size == fresh.stat().st_size and _hash(old) == digest:
        link = fresh.with_name(f"{fresh.name}.link")
        _link(old, link)
        os.replace(link, fresh)


def _link(old: Path, place: Path) -> None:
    """Put a file at another place too: a hard link, or a copy where links cannot be."""
    try:
        os.link(old, place)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(old, place)
