"""The lake contract: which tables a lake has, what their columns are, what its numbers mean.

A lake is a directory of Parquet that MSM only ever reads. ``open_lake`` looks at file footers and
``lake.yaml`` and says in one clear paragraph what is wrong; it does not read the data (see
``msm_py.lake.check`` for that). ``TABLES`` is the only place where tables and columns are listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from msm_py.errors import MsmError
from msm_py.lake import aliases, exclusions
from msm_py.lake.contract import FIRST_DAY, LAST_DAY, SQL_TYPES, TABLES, Kind, TableSpec
from msm_py.lake.exclusions import read_exclusions
from msm_py.lake.files import SUFFIX, path_list, read_parquet, table_files
from msm_py.lake.lake_yaml import LAKE_YAML, LakeSettings, read_settings
from msm_py.lake.lake_yaml import FundingUnit as FundingUnit
from msm_py.text import hint, listed

_NUMBERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"),
}
_TIMESTAMPS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_WANTED: Mapping[Kind, str] = {
    "text": "text (VARCHAR)",
    "number": "a number (DOUBLE, an integer or DECIMAL)",
    "date": "a DATE, or a TIMESTAMP without time zone at midnight",
    "flag": "BOOLEAN",
}


@dataclass(frozen=True)
class TableFiles:
    """The files of one table.

    Parameters
    ----------
    files
        Absolute paths in name order.
    columns
        Those of the contract's columns that at least one file has, in the contract's order.
    sql
        The DuckDB query, in brackets, that reads exactly these files: all columns of the contract,
        each file's numbers as DOUBLE and dates as DATE before files meet, what a file lacks as
        NULL.
    n_rows
        Rows over all files, from the footers (before anything is dropped).
    """

    files: tuple[Path, ...]
    columns: tuple[str, ...]
    sql: str
    n_rows: int


@dataclass(frozen=True)
class Lake:
    """A lake that keeps the contract.

    Parameters
    ----------
    path
        Its directory, absolute.
    settings
        What lake.yaml says, defaults filled in.
    tables
        The tables that are there, by name, in the order of ``TABLES``.
    exclusions
        Assets that its exclude.csv keeps out of baskets, each with its reason.
    """

    path: Path
    settings: LakeSettings
    tables: Mapping[str, TableFiles]
    exclusions: Mapping[str, str] = field(default_factory=dict)


def open_lake(path: str | Path) -> Lake:
    """Validate a lake directory and describe it.

    Only footers of Parquet files, lake.yaml and, where they are cheap, single columns are read.

    Parameters
    ----------
    path
        The lake's directory. Each table is ``<name>.parquet`` or ``<name>/**/*.parquet``.

    Returns
    -------
    Lake
        An optional table that is absent is absent from ``tables``.

    Raises
    ------
    MsmError
        When the directory, a table, a column, a file or lake.yaml breaks the contract, or when
        fact_price has no usable row of BTC.

    Examples
    --------
    >>> open_lake("no/such/lake")
    Traceback (most recent call last):
        ...
    msm_py.errors.MsmError: there is no such lake
      where:    no/such/lake
      remedy:   give the directory that holds fact_price.parquet, or write one: msm lake sample DIR
    """
    given = Path(path)
    found = _find_tables(given)
    settings = read_settings(given)
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as con:
        tables = {name: _describe(con, name, files) for name, files in found.items()}
        _check_btc(con, given, settings, tables["fact_price"])
    return Lake(given.resolve(), settings, tables, read_exclusions(given))


def fingerprint(lake: Lake) -> str:
    """Return the SHA-256 of a lake's content: its table files, lake.yaml and exclude.csv.

    Files are taken in the order of their names relative to the lake, each name and content
    counting; files that no table has do not count, and neither does where the lake lies.

    Parameters
    ----------
    lake
        An opened lake. Its list of files is the one that is read: open it anew to see files that
        came or went.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    MsmError
        When a file cannot be read.
    """
    files = [file for table in lake.tables.values() for file in table.files]
    beside = [lake.path / name for name in (LAKE_YAML, exclusions.FILE)]
    files += [file for file in beside if file.is_file()]
    named = sorted((file.relative_to(lake.path).as_posix(), file) for file in files)
    total = hashlib.sha256()
    for name, file in named:
        try:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise _unreadable([file], error.strerror or str(error)) from error
        # A digest has a fixed length and a name cannot hold a NUL: no two lakes run together.
        total.update(name.encode() + b"\0" + content.digest())
    return total.hexdigest()


def _find_tables(lake: Path) -> dict[str, tuple[Path, ...]]:
    """Return the absolute files of every table that a lake directory has."""
    if not lake.exists():
        raise MsmError(
            "there is no such lake",
            where=str(lake),
            remedy="give the directory that holds fact_price.parquet, "
            "or write one: msm lake sample DIR",
        )
    if not lake.is_dir():
        raise MsmError(
            "a lake is a directory, and this is a file",
            where=str(lake),
            remedy=f"give the directory that it lies in: {lake.parent}",
        )
    try:
        entries = sorted(entry.name for entry in lake.iterdir())
    except OSError as error:
        raise MsmError(
            "the lake cannot be listed", where=str(lake), received=error.strerror
        ) from error
    if not entries:
        raise MsmError(
            "the lake is an empty folder",
            where=str(lake),
            remedy=f"it must hold {listed(n for n, s in TABLES.items() if s.required)} as "
            "Parquet; msm lake sample DIR writes an example",
        )
    for entry in entries:
        name = entry.removesuffix(SUFFIX)
        if name not in TABLES and name.casefold() in TABLES:
            raise MsmError(
                "a table has other capitals than the contract",
                where=str(lake / entry),
                received=entry,
                remedy=f"name it {name.casefold()}{entry[len(name) :].lower()}: capitals count",
            )
    found = {}
    for name, spec in TABLES.items():
        files = table_files(lake.resolve(), name)
        if not files:
            _check_no_other_form(lake, name, entries)
        if files:
            found[name] = files
        elif spec.required:
            raise MsmError(
                f"the lake lacks the required table {name}",
                where=str(lake),
                received=f"a folder with {listed(entries[:12])}" + hint(name, entries),
                remedy=f"add {name}.parquet (or a directory {name} with *.parquet files) with the "
                f"columns {listed(spec.columns)}",
            )
    return found


OTHER_FORMS = (
    *("csv", "csv.gz", "csv.zip", "tsv", "txt", "json", "jsonl", "json.gz", "ndjson"),
    *("feather", "arrow", "parquet.gz", "parquet.zip", "pq", "parq", "xlsx", "pkl", "pickle", "h5"),
)


def _check_no_other_form(lake: Path, name: str, entries: Sequence[str]) -> None:
    """Raise when a table is there, but not as Parquet: a run would do without it."""
    for form in OTHER_FORMS:
        if f"{name}.{form}" not in entries:
            continue
        read = f"from '{name}.{form}'" if form.startswith(("csv", "json")) else "..."
        raise MsmError(
            f"the table {name} is not Parquet",
            where=str(lake / f"{name}.{form}"),
            received=f"a file .{form}",
            remedy=f"write it as {name}.parquet, such as with DuckDB: copy ({read}) to "
            f"'{name}.parquet'; pandas has read_csv and to_parquet"
            if TABLES[name].required
            else f"write it as {name}.parquet; if runs are to do without it, rename it: without "
            f"it there is {TABLES[name].without}",
        )


def _describe(con: duckdb.DuckDBPyConnection, name: str, files: tuple[Path, ...]) -> TableFiles:
    """Check the columns of every file of a table and return how all of them are read."""
    spec = TABLES[name]
    kinds: dict[_Types, list[Path]] = {}
    for file, columns in _schemas(con, files).items():
        types = _checked_types(con, name, file, columns)
        kinds.setdefault(tuple(sorted(types.items())), []).append(file)
    present = {column for types in kinds for column, _ in types}
    relation = " union all ".join(
        _select(spec, {column for column, _ in types}, read_parquet(alike))
        for types, alike in kinds.items()
    )
    table = TableFiles(
        files=files,
        columns=tuple(column for column in spec.all_columns if column in present),
        sql=f"({relation})",
        n_rows=_count_rows(con, name, files, relation),
    )
    if spec.required and table.n_rows == 0:
        raise MsmError(
            f"the required table {name} has no rows",
            where=listed(map(str, files[:3])),
            remedy="write the table anew, with data",
        )
    for kind, alike in kinds.items():
        for column, received in kind:
            if spec.all_columns[column] == "date" and received in _TIMESTAMPS:
                _check_midnight(con, name, column, alike)
    return table


_Types = tuple[tuple[str, str], ...]


def _select(spec: TableSpec, present: Collection[str], relation: str) -> str:
    """Return the query of a table's columns from files that have those that are present."""
    sources = {name: f'"{name}"' if name in present else "null" for name in spec.all_columns}
    columns = ", ".join(
        f'cast({sources[name]} as {SQL_TYPES[kind]}) as "{name}"'
        for name, kind in spec.all_columns.items()
    )
    return f"select {columns} from {relation}"


def empty_table(name: str) -> str:
    """Return the DuckDB query, in brackets, of a table that a lake does not have: no row."""
    return f"({_select(TABLES[name], (), '(select 1)')} where false)"


def _count_rows(
    con: duckdb.DuckDBPyConnection, name: str, files: tuple[Path, ...], relation: str
) -> int:
    """Return the rows of all files by their footers, after seeing that they can be read as one."""
    try:
        con.execute(f"describe {relation}")
        counted = con.execute(
            f"select sum(num_rows)::bigint from parquet_file_metadata({path_list(files)})"
        ).fetchone()
    except duckdb.Error as error:
        raise MsmError(
            f"the files of {name} do not fit together",
            where=str(files[0].parent),
            received=_first_line(error),
            remedy="give all files of one table the same columns and types",
        ) from error
    return int(counted[0]) if counted else 0


def _schemas(
    con: duckdb.DuckDBPyConnection, files: tuple[Path, ...]
) -> dict[Path, list[tuple[str, str]]]:
    """Return the top-level columns and DuckDB types of each file, in the file's order."""
    query = "select file_name, name, duckdb_type, num_children from parquet_schema({})"
    try:
        rows = con.execute(query.format(path_list(files))).fetchall()
    except duckdb.Error:
        for file in files:  # which one it was is told by the file, not by the message
            try:
                con.execute(query.format(path_list([file])))
            except duckdb.Error as error:
                raise _unreadable([file], _first_line(error)) from error
        raise
    schemas: dict[Path, list[tuple[str, str]]] = {file: [] for file in files}
    nested = 0
    for file_name, column, kind, n_children in rows:
        if kind is None:  # the root of a file
            nested = 0
        elif nested:
            nested += (n_children or 0) - 1
        else:
            schemas[Path(file_name)].append((str(column), str(kind).strip('"')))
            nested = n_children or 0
    return schemas


def _checked_types(
    con: duckdb.DuckDBPyConnection, name: str, file: Path, schema: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return a file's columns of the contract and their DuckDB types.

    Raises
    ------
    MsmError
        The file lacks a required column or each of several of which it needs one, has one of the
        wrong kind or one that is spelled with other capitals, or two of its columns have one name
        but for capitals.
    """
    spec = TABLES[name]
    columns = _distinct_columns(name, file, [column for column, _ in schema])
    found = dict(schema)
    for column in spec.all_columns:
        spelled = columns.get(column.casefold())
        if spelled is not None and spelled != column:
            raise MsmError(
                f"the table {name} lacks the column {column}"
                if column in spec.columns
                else f"a column of {name} has other capitals than the contract",
                where=str(file),
                received=f"the columns {listed(found)} (did you mean {spelled}?)"
                if column in spec.columns
                else spelled,
                remedy=f"name it {column}: capitals count",
            )
    for column in spec.columns:
        if column not in found:
            remedy = f"{name} needs the columns {listed(spec.columns)}"
            if any(part.startswith(f"{column}=") for part in file.parts):
                remedy += "; a value in the name of a folder is not read, write it into the file"
            raise MsmError(
                f"the table {name} lacks the column {column}",
                where=str(file),
                received=f"the columns {listed(found)}" + hint(column, found),
                remedy=remedy,
            )
    if spec.one_of and not any(column in found for column in spec.one_of):
        raise MsmError(
            f"the table {name} lacks a column with its number",
            where=str(file),
            received=f"the columns {listed(found)}" + hint(spec.one_of[-1], found),
            remedy=f"{name} needs {' or '.join(spec.one_of)}",
        )
    for column, kind in spec.all_columns.items():
        received = found.get(column)
        if received is None or _fits(kind, received):
            continue
        if received == "NULL" and column in spec.optional:
            continue  # what pandas writes for a column of nothing but None
        sample = _first_row(
            con,
            f'select "{column}"::varchar from {read_parquet([file])} '
            f'where "{column}" is not null limit 1',
            [file],
        )
        raise MsmError(
            f"the column {column} of {name} has the wrong type",
            where=str(file),
            received=received + (f", for example {sample[0]!r}" if sample else ""),
            remedy=f"write it as {_WANTED[kind]}",
        )
    return {column: found[column] for column in spec.all_columns if column in found}


def _distinct_columns(name: str, file: Path, columns: Sequence[str]) -> dict[str, str]:
    """Return column names by what DuckDB takes for equal: names that differ in capitals only."""
    seen: dict[str, str] = {}
    for column in columns:
        first = seen.get(column.casefold())
        if first is not None:
            raise MsmError(
                f"two columns of {name} have one name"
                + (", capitals apart" if first != column else ""),
                where=str(file),
                received=f"{first} and {column}",
                remedy="drop or rename one of them: which one is meant cannot be told",
            )
        seen[column.casefold()] = column
    return seen


def _fits(kind: Kind, received: str) -> bool:
    """Return whether a DuckDB type can serve as a kind of column without losing anything."""
    if kind == "text":
        return received == "VARCHAR"
    if kind == "flag":
        return received == "BOOLEAN"
    if kind == "date":
        return received == "DATE" or received in _TIMESTAMPS
    return received in _NUMBERS or received.startswith("DECIMAL(")


def _check_midnight(
    con: duckdb.DuckDBPyConnection, name: str, column: str, files: Sequence[Path]
) -> None:
    """Raise when a date that is stored as a timestamp has a time of day."""
    query = (
        f"select {column}::varchar from {read_parquet(files)} "
        f"where {column}::date::timestamp <> {column} limit 1"
    )
    row = _first_row(con, query, files)
    if row:
        raise MsmError(
            f"the column {column} of {name} has times of day",
            where=name,
            received=str(row[0]),
            remedy="write UTC days, as DATE"
            if column != "date"
            else "write one row per asset and UTC day, date as DATE",
        )


def _check_btc(
    con: duckdb.DuckDBPyConnection, lake: Path, settings: LakeSettings, price: TableFiles
) -> None:
    """Raise when no usable price of BTC exists, whose first and last close span the grid."""
    spec = TABLES["fact_price"]
    prices = price.sql
    if settings.aliases:
        aliases.put(con, "aliases", settings.aliases)
        prices = aliases.resolved(prices, spec, "aliases")
    usable = (
        f"close > 0 and isfinite(close) and close < {spec.below!r} "
        f"and date between date '{FIRST_DAY}' and date '{LAST_DAY}'"
    )
    query = f"select 1 from {prices} where asset_id = 'BTC' and {usable} limit 1"
    if _first_row(con, query, price.files):
        return
    # The names that look most like it first.
    some = _first_row(
        con,
        "select list(asset_id order by upper(asset_id) not like '%BTC%', asset_id)[:8] "
        f"from (select distinct asset_id from {prices} where asset_id is not null)",
        price.files,
    )
    raise MsmError(
        "the lake has no usable price of BTC",
        where=f"{lake}, fact_price",
        received=f"assets such as {listed(some[0] or [])}" if some else None,
        remedy="add the closes of BTC with asset_id BTC, which span the calendar of the lake, or "
        "name its id in the aliases of lake.yaml",
    )


def _first_row(
    con: duckdb.DuckDBPyConnection, query: str, files: Sequence[Path]
) -> tuple[Any, ...] | None:
    """Return the first row of a query that reads these files."""
    try:
        return con.execute(query).fetchone()
    except duckdb.Error as error:
        raise _unreadable(files, _first_line(error)) from error


def _unreadable(files: Sequence[Path], received: str) -> MsmError:
    """Return the error for a file that is truncated, damaged or not Parquet."""
    return MsmError(
        "a file of the lake cannot be read",
        where=listed(map(str, files[:3])),
        received=received,
        remedy="it is truncated, damaged, not Parquet or not yours to read: write it anew",
    )


def _first_line(error: duckdb.Error) -> str:
    """Return what DuckDB said, without its hints."""
    return str(error).splitlines()[0]
