"""A lake's rows in a DuckDB connection: read once, typed, each with why it cannot be used.

The dbt models and ``msm lake check`` read the tables that `load` makes, and nothing else of a lake.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from msm_py.errors import MsmError
from msm_py.lake import aliases
from msm_py.lake.contract import MISSING_KEY, REASONS, TABLES, TableSpec
from msm_py.lake.files import read_parquet
from msm_py.lake.opening import Lake, empty_table

SCHEMA: Final = "lake"
"""The schema of the tables, which dbt knows as the source of this name."""


def load(con: duckdb.DuckDBPyConnection, lake: Lake | None) -> None:
    """Make ``lake.<table>`` for every table of the contract, ``lake.exclude`` and ``lake.aliases``.

    Parameters
    ----------
    con
        Any connection.
    lake
        An opened lake; None makes tables without rows.

    Notes
    -----
    Each table has all columns of the contract (`msm_py.lake.contract.TABLES`) in SQL types of
    their kinds (NULL where the files lack one), and ``unusable``: the reason why a row never
    reaches a number, NULL for all others. Aliases of lake.yaml are resolved: nobody who reads these
    tables sees another id. A table that the lake lacks has no rows.

    Raises
    ------
    MsmError
        When a file cannot be read to its end, or other rows come out of the files than their
        footers say.
    """
    con.execute(f"create schema if not exists {SCHEMA}")
    con.execute(f"create or replace table {SCHEMA}.exclude (asset_id varchar, reason varchar)")
    if lake is not None and lake.exclusions:
        con.execute(
            f"insert into {SCHEMA}.exclude select unnest(?), unnest(?)",
            [list(lake.exclusions), list(lake.exclusions.values())],
        )
    known = f"{SCHEMA}.aliases"
    declared = () if lake is None else lake.settings.aliases
    aliases.put(con, known, declared)
    for name, spec in TABLES.items():
        table = None if lake is None else lake.tables.get(name)
        # In two steps: over Parquet files, whose statistics leave NaN out, DuckDB 2.0 takes isnan()
        # for false, and a column that is otherwise constant for its constant. Over a table not.
        try:
            con.execute(
                f"create or replace table {SCHEMA}.{name}_rows as "
                f"select * from {empty_table(name) if table is None else table.sql}"
            )
        except duckdb.OutOfMemoryException:
            raise  # no fault of the file
        except duckdb.Error as error:
            raise _damaged(con, name, () if table is None else table.files, error) from error
        rows = f"{SCHEMA}.{name}_rows"
        named = aliases.resolved(rows, spec, known) if declared else rows
        con.execute(
            f"create or replace view {SCHEMA}.{name} as "
            f"select *, {unusable(spec)} as unusable from {named}"
        )
        if table is not None:
            _check_count(con, name, table.n_rows)


def unusable(spec: TableSpec) -> str:
    """Return the SQL expression of why a row of a table cannot be used, NULL when it can.

    Examples
    --------
    >>> unusable(TABLES["dim_asset"])
    "case when asset_id is null then 'missing key' end"
    """
    if spec.value is None:
        is_missing = " or ".join(f"{name} is null" for name in spec.key if name in spec.columns)
        return f"case when {is_missing} then '{MISSING_KEY.name}' end"
    cases = " ".join(
        f"when {reason.rule.format(value=spec.value, below=spec.below)} then '{reason.name}'"
        for reason in REASONS
        if reason.concerns(spec)
    )
    return f"case {cases} end"


def _damaged(
    con: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], error: duckdb.Error
) -> MsmError:
    """Return the error that names the file among many that cannot be read to its end."""
    where, received = name, str(error)
    for file in files:
        try:
            con.execute(f"create or replace temp table probe as from {read_parquet([file])}")
        except duckdb.Error as own:
            where, received = str(file), str(own)
            break
    con.execute("drop table if exists probe")
    return MsmError(
        f"a file of {name} cannot be read",
        where=where,
        received=received.splitlines()[0],
        remedy="it is damaged: write it anew",
    )


def _check_count(con: duckdb.DuckDBPyConnection, name: str, expected: int) -> None:
    found = con.execute(f"select count(*) from {SCHEMA}.{name}_rows").fetchall()[0][0]
    if found != expected:
        raise MsmError(
            f"other rows came out of {name} than its files hold",
            where=name,
            received=f"{found:,} rows read, {expected:,} by the footers of the files",
            remedy="if nothing writes to the lake meanwhile, write the table anew",
        )
