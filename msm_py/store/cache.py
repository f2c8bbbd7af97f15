"""Tables that depend on a lake, the code and definitions alone, kept for the next invocation.

The models of a stage are computed once and copied into a database of their own in the cache folder.
Its name says what they depend on (`keys`) and hashes its bytes: a file that is damaged or half
written is not what its name says, and one of other code, another lake or another version of this
module has another name. Nobody has to trust it, and a file never changes, so anybody may read it
while others write theirs. What is there is attached to a scratch database read-only; views there
have the names of the models. The least recently used files go when there are more than fit.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from msm_py.experiment.ids import ResolvedRun, feature_set_id, legs_id, short_hash, universe_id
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.settings import DATABASE, project_dir
from msm_py.store import scratch
from msm_py.store.origin import code_fingerprint

VERSION: Final = 2
"""Of this module: what another one has kept is not looked at."""
_SCRATCH: Final = f"{DATABASE}.main"
NAME: Final = re.compile(r"([a-z]+)-([0-9a-f]{10})-([0-9a-f]{64})\.duckdb")


@dataclass(frozen=True)
class Stage:
    """Models that are kept together: none has rows of runs.

    Parameters
    ----------
    name
        Of the stage.
    folders
        Folders of `models` whose models are meant.
    also
        Models of other folders that are meant too.
    """

    name: str
    folders: tuple[str, ...]
    also: tuple[str, ...] = ()

    def models(self) -> tuple[str, ...]:
        """Return the names of its models, sorted."""
        found = {
            file.stem
            for folder in self.folders
            for file in (project_dir() / "models" / folder).iterdir()
            if file.suffix in (".sql", ".py")
        }
        return tuple(sorted(found | set(self.also)))

    def selectors(self) -> tuple[str, ...]:
        """Return what selects its tables in dbt; a view is made anew, over tables."""
        tables = "config.materialized:table"
        return (*(f"path:models/{folder},{tables}" for folder in self.folders), *self.also)


STAGES: Final = (
    Stage("lake", ("staging",), ("lake", "row_counts", "first_rows")),
    Stage("market", ("market",)),
    Stage("features", ("features",)),
    Stage("legs", ("legs",)),
)
"""What is kept, in the order of the graph; each depends on more than the one before."""


def keys(
    runs: Sequence[ResolvedRun],
    lake_fingerprint: str,
    code_fingerprint: str,
    recorded_looks: Iterable[str],
) -> dict[str, str]:
    """Return, by stage, ten hex digits of all that its tables depend on.

    Parameters
    ----------
    runs
        The runs of the invocation; without any nothing is computed, and nothing kept.
    lake_fingerprint, code_fingerprint
        Of what is read and of what computes.
    recorded_looks
        Run ids that may see their hold-out.
    """
    if not runs:
        return {}
    looks = set(recorded_looks)
    of_all = {
        "version": VERSION,
        "lake": lake_fingerprint,
        "code": code_fingerprint,
    }
    definitions = {
        "lake": [],
        "market": sorted({universe_id(run.experiment) for run in runs}),
        "features": sorted({feature_set_id(run.experiment) for run in runs}),
        "legs": sorted({legs_id(run.experiment, looks=run.run_id in looks) for run in runs}),
    }
    return {
        stage.name: short_hash(
            {**of_all, "models": stage.models(), "definitions": definitions[stage.name]}
        )
        for stage in STAGES
    }


def find(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Return the files of the stages that are there and sound; what is damaged is removed.

    Parameters
    ----------
    folder
        The cache folder; it need not be there.
    wanted
        Keys by stage.
    """
    scratch.remove_leftovers(folder)
    found = {}
    for stage, key in wanted.items():
        for file in sorted(folder.glob(f"{stage}-{key}-*.duckdb")):
            with suppress(OSError):  # removed by somebody else meanwhile
                if _digest(file) == file.stem.rpartition("-")[2]:
                    found[stage] = file
                    with suppress(OSError):  # somebody else's
                        os.utime(file)  # used last now
                    break
                file.unlink()
    return found


def held(found: Mapping[str, Path], own: Path) -> dict[str, Path]:
    """Return the files under names of one's own, which stay when the cache removes its names."""
    kept = {}
    for stage, file in found.items():
        name = own / f"{stage}.duckdb"
        with suppress(OSError):  # gone meanwhile
            try:
                os.link(file, name)
            except OSError:
                shutil.copyfile(file, name)  # another disk, or one without hard links
            kept[stage] = name
    return kept


def attach(con: duckdb.DuckDBPyConnection, found: Mapping[str, Path]) -> None:
    """Let a scratch database show the tables of files as if it had them, in place of its own.

    Parameters
    ----------
    con
        The scratch database; views of an earlier build go.
    found
        Files by stage.
    """
    for name in shown(con):
        con.execute(f'drop view {_SCRATCH}."{name}"')
    there = _kinds(con)
    for stage, file in found.items():
        known = _attached(con, stage, file)
        tables = con.execute(
            "select table_name from duckdb_tables() where database_name = ?", [known]
        ).fetchall()
        for (name,) in tables:
            kind = there.get(name)
            if kind is not None:
                con.execute(f'drop {kind} {_SCRATCH}."{name}"')
            con.execute(f'create view {_SCRATCH}."{name}" as from {known}.main."{name}"')
            con.execute(f"comment on view {_SCRATCH}.\"{name}\" is '{stage}:{_quoted(file)}'")


def attach_again(con: duckdb.DuckDBPyConnection) -> None:
    """Attach the files that a scratch database shows from an earlier build, where they are left."""
    for stage, file in sorted({tuple(x.split(":", 1)) for x in shown(con).values()}):
        if Path(file).is_file():
            _attached(con, stage, Path(file))


def shown(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the models of a scratch database that come from the cache, and of what file."""
    found = con.execute(
        "select view_name, comment from duckdb_views() "
        "where database_name = ? and schema_name = 'main' and not internal and comment is not null",
        [DATABASE],
    )
    return dict(found.fetchall())


def _kinds(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return what there is in a scratch database: ``table`` or ``view``, by name."""
    found = con.execute(
        "select table_name, case table_type when 'VIEW' then 'view' else 'table' end "
        "from information_schema.tables where table_catalog = ? and table_schema = 'main'",
        [DATABASE],
    )
    return dict(found.fetchall())


def _attached(con: duckdb.DuckDBPyConnection, stage: str, file: Path) -> str:
    known = f"kept_{stage}"
    con.execute(f"attach '{_quoted(file)}' as {known} (read_only)")
    return known


def is_of(con: duckdb.DuckDBPyConnection, lake: Path) -> bool:
    """Return whether what is in a scratch database was read from a lake as it is now.

    And computed by the code as it is now, which is that of the process: `keys` hash both as they
    are, and what changed meanwhile must not be kept under them.
    """
    read = con.execute(f"select fingerprint from {_SCRATCH}.lake").fetchall()  # of no run: none
    as_it_is: str = code_fingerprint.__wrapped__()  # read again
    return read == [(fingerprint(open_lake(lake)),)] and as_it_is == code_fingerprint()


def keep(
    con: duckdb.DuckDBPyConnection, folder: Path, stage: Stage, key: str, most_bytes: int
) -> Path | None:
    """Copy the tables of a stage into the cache; None when they do not fit.

    Parameters
    ----------
    con
        A connection to the scratch database without a transaction.
    folder
        The cache folder, made when it is not there.
    stage, key
        What is kept, and what it depends on.
    most_bytes
        Size of the folder beyond which the least recently used files go.

    Raises
    ------
    OSError, duckdb.Error
        When the folder cannot be written to; nothing is left there then.
    ValueError
        When a model of the stage is not there, or comes from the cache itself.
    """
    kinds, from_cache = _kinds(con), shown(con)
    for model in stage.models():
        if model not in kinds or model in from_cache:
            raise ValueError(f"the model {model} was not built")
    folder.mkdir(parents=True, exist_ok=True)
    with scratch.folder(folder) as own:
        file, known = own / "unfinished.duckdb", f"new_{stage.name}"
        con.execute(f"attach '{_quoted(file)}' as {known}")
        try:
            for model in stage.models():
                if kinds[model] != "view":
                    con.execute(f"create table {known}.main.{model} as from {_SCRATCH}.{model}")
        finally:
            con.execute(f"detach {known}")
        if file.stat().st_size > most_bytes:
            return None
        final = folder / f"{stage.name}-{key}-{_digest(file)}.duckdb"
        file.chmod(0o444)
        os.replace(file, final)
    _remove_oldest(folder, most_bytes)
    return final


@dataclass(frozen=True)
class Entry:
    """A file of the cache.

    Parameters
    ----------
    file
        Where it is.
    stage
        What it holds.
    n_bytes
        Its size.
    used_at
        When it was used last, UTC.
    """

    file: Path
    stage: str
    n_bytes: int
    used_at: datetime


def entries(folder: Path) -> list[Entry]:
    """Return what a cache folder holds, the least recently used first."""
    found = []
    with suppress(OSError):  # there is no such folder
        for file in folder.iterdir():
            named = NAME.fullmatch(file.name)
            with suppress(OSError):
                facts = file.stat()
                if named:
                    used_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                    found.append(Entry(file, named[1], facts.st_size, used_at))
    return sorted(found, key=lambda entry: (entry.used_at, entry.file.name))


def clear(folder: Path) -> list[Entry]:
    """Remove what a cache folder holds and return it; other files in the folder stay."""
    scratch.remove_leftovers(folder)
    gone = entries(folder)
    for entry in gone:
        entry.file.unlink(missing_ok=True)
    return gone


def _remove_oldest(folder: Path, most_bytes: int) -> None:
    there = entries(folder)
    total = sum(entry.n_bytes for entry in there)
    for entry in there:
        if total <= most_bytes:
            break
        entry.file.unlink(missing_ok=True)
        total -= entry.n_bytes


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _quoted(file: Path) -> str:
    return str(file).replace("'", "''")
