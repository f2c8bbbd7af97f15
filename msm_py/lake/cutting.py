"""Lakes as they were, or might have been: cut at a day, with noise after it, or begun later.

What a run must not depend on is taken away or replaced; all else is left to the last bit.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from msm_py.lake.contract import TABLES
from msm_py.lake.exclusions import FILE as EXCLUDE_CSV
from msm_py.lake.lake_yaml import LAKE_YAML
from msm_py.lake.opening import Lake

NOISE: Final = 1.0
"""Half the width of the uniform noise that is added to the logarithm of a number."""
GONE: Final = 7
"""One asset of so many, by its name, ends with the cut in a lake with noise."""


def write_lake(
    lake: Lake,
    folder: Path,
    *,
    until: date | None = None,
    noise: int | None = None,
    since: date | None = None,
) -> None:
    """Write a lake that differs from another one in time alone.

    Parameters
    ----------
    lake
        The lake; it is only read.
    folder
        Where to; made.
    until
        The last day. Later rows are left out, and so is what tables of assets and listings say of
        later days.
    noise
        A seed: rows after ``until`` are there with other numbers, but for those of some assets,
        which end with it. Equal rows get equal numbers.
    since
        The first day; earlier rows are left out.
    """
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        for name, table in lake.tables.items():
            numbers = [x for x in TABLES[name].numbers if x in table.columns]
            columns = ", ".join(
                _noisy(x, until, noise) if x in numbers else _column(name, x, until)
                for x in table.columns
            )
            rows = f"select {columns} from {table.sql} where {_rows(name, until, noise, since)}"
            con.execute(
                f"copy ({rows}) to '{_quoted(folder / f'{name}.parquet')}' (format parquet)"
            )
    for name in (LAKE_YAML, EXCLUDE_CSV):
        if (lake.path / name).is_file():
            shutil.copyfile(lake.path / name, folder / name)


def _rows(name: str, until: date | None, noise: int | None, since: date | None) -> str:
    """Return the SQL that is true for the rows of a table that stay."""
    declared = {column.name for column in TABLES[name].declared}
    kept = []
    if until is not None and "date" in declared:
        later = f"date <= date '{until}'"
        kept.append(
            later if noise is None else f"({later} or hash(asset_id, {noise}) % {GONE} > 0)"
        )
    if until is not None and "listed" in declared:
        kept.append(f"listed <= date '{until}'")
    if since is not None and "date" in declared:
        kept.append(f"date >= date '{since}'")
    # a row without a day or an asset is nobody's: it stays, to be dropped and counted as ever
    return " and ".join(f"coalesce({rule}, true)" for rule in kept) or "true"


def _column(name: str, column: str, until: date | None) -> str:
    """Return a column without what it says of days after the cut."""
    is_future = until is not None and column == "delisted" and name == "dim_listing"
    return (
        f"case when {column} <= date '{until}' then {column} end as {column}"
        if is_future
        else (f'"{column}"')
    )


def _noisy(column: str, until: date | None, noise: int | None) -> str:
    if until is None or noise is None:
        return f'"{column}"'
    # one number per asset and day, whatever else tells rows apart: duplicates stay duplicates
    uniform = f"(cast(hash(asset_id, date, {noise}) as double) / 18446744073709551616)"
    return (
        f"case when date > date '{until}' then \"{column}\" * exp({NOISE} * (2 * {uniform} - 1)) "
        f'else "{column}" end as "{column}"'
    )


def _quoted(file: Path) -> str:
    return str(file).replace("'", "''")
