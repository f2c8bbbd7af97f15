"""The warehouse's tables as Parquet, in a folder beside it.

Tables that have rows of their own for every run are folders of parts: a part holds the rows of some
runs, so that publishing writes those parts alone whose runs have come, gone or changed. All other
tables are small, or change whole, and are one file each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from msm_py.store import layout
from msm_py.store.warehouse_tables import ALL_TABLES, RUN_TABLES

RUNS_A_PART: Final = 200
FIRST_PART: Final = 1
"""This part is always there, though it may be empty, so that a glob finds a file."""
PART: Final = re.compile(r"[0-9]{5,}\.parquet")
PANEL_OF: Final = {table: panel for panel, (table, _) in layout.PANELS.items()}
IN_PARTS: Final = tuple(name for name in RUN_TABLES if name != "catalog")
WHOLE: Final = tuple(name for name in ALL_TABLES if name not in IN_PARTS)


@dataclass(frozen=True)
class Parts:
    """Which part of the tables has what.

    Parameters
    ----------
    of_run
        Part by run id.
    of_panel
        Part by name of the panel's column and its id: the first one with a run that has it.
    """

    of_run: Mapping[str, int]
    of_panel: Mapping[str, Mapping[str, int]]

    def files(self) -> set[str]:
        """Return the files of all tables, seen from their folder."""
        runs = {FIRST_PART, *self.of_run.values()}
        return {f"{table}.parquet" for table in WHOLE} | {
            part_file(table, part)
            for table in IN_PARTS
            for part in (self._panels(table) | {FIRST_PART} if table in PANEL_OF else runs)
        }

    def _panels(self, table: str) -> set[int]:
        return set(self.of_panel[PANEL_OF[table]].values())


def part_file(table: str, part: int) -> str:
    """Return the file of a part, seen from the tables' folder.

    Examples
    --------
    >>> part_file("daily", 3)
    'daily/00003.parquet'
    """
    return f"{table}/{part:05}.parquet"


def part_files(folder: Path) -> list[str]:
    """Return the files of parts that lie in the tables' folder, seen from it."""
    return [
        f"{table}/{file.name}"
        for table in IN_PARTS
        for file in sorted((folder / table).glob("*.parquet"))
        if PART.fullmatch(file.name)
    ]


def assign(con: duckdb.DuckDBPyConnection) -> None:
    """Give a part to each run that has none: the last one as long as it has room."""
    con.execute(
        """
        with sizes as (
            select part, count(*) as n from run_panels where part is not null group by part
        ),
        last as (
            select coalesce(max(part), $first) as part, coalesce(arg_max(n, part), 0) as n
            from sizes
        ),
        assigned as (
            select
                run_id,
                last.part + (last.n + row_number() over (order by run_id) - 1) // $runs as part
            from run_panels cross join last
            where run_panels.part is null
        )
        update run_panels set part = assigned.part
        from assigned
        where run_panels.run_id = assigned.run_id
        """,
        {"first": FIRST_PART, "runs": RUNS_A_PART},
    )


def parts(con: duckdb.DuckDBPyConnection) -> Parts:
    """Return which part has what, as a warehouse says; every run has one."""
    return Parts(
        dict(con.execute("select run_id, part from run_panels").fetchall()),
        {
            panel: dict(
                con.execute(
                    f"""
                    select {panel}, min(part) from run_panels
                    where {panel} is not null group by 1
                    """
                ).fetchall()
            )
            for panel in layout.PANELS
        },
    )


def write(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    before: Parts | None,
    changed: Collection[str],
) -> Parts:
    """Write the files that are not as they were before.

    Parameters
    ----------
    con
        A warehouse that is up to date, every run with a part.
    folder
        Where to: files are called as `Parts.files` says.
    before
        What had which part when the files were last written; None: there are none.
    changed
        Ids of runs whose rows differ from those before, gone ones too.

    Returns
    -------
    Parts
        What has which part now. Files of other parts are to be removed.
    """
    now = parts(con)
    for table in WHOLE:
        _copy(con, table, folder / f"{table}.parquet")
    for table in IN_PARTS:
        (folder / table).mkdir()
        panel = PANEL_OF.get(table)
        key = panel or "run_id"
        of = now.of_run if panel is None else now.of_panel[panel]
        was = None if before is None else before.of_run if panel is None else before.of_panel[panel]
        touched = _touched(of, was, changed if panel is None else ())
        if was is None or not of:
            touched.add(FIRST_PART)
        members = _by_part(of, touched)
        for part in sorted(touched):
            _copy(con, table, folder / part_file(table, part), key, members[part])
    return now


def _touched(
    now: Mapping[str, int], before: Mapping[str, int] | None, changed: Collection[str]
) -> set[int]:
    """Return the parts that have, or had, something that was moved or changed."""
    was = before or {}
    moved = {name for name in now.keys() | was.keys() if now.get(name) != was.get(name)}
    touched = {part for name in (*moved, *changed) for part in (now.get(name), was.get(name))}
    return {part for part in touched if part is not None}


def _by_part(of: Mapping[str, int], wanted: Collection[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {part: [] for part in wanted}
    for name, part in of.items():
        if part in found:
            found[part].append(name)
    return found


def _copy(
    con: duckdb.DuckDBPyConnection,
    table: str,
    file: Path,
    key: str | None = None,
    members: Collection[str] = (),
) -> None:
    rows = table
    if key is not None:
        wanted = f"{key} in {listed(members)}"
        # the rows of a part lie together: all columns are read there alone
        first, last = con.execute(
            f"select coalesce(min(rowid), 0), coalesce(max(rowid), 0) from {table} where {wanted}"
        ).fetchall()[0]
        rows = f"(select * from {table} where rowid between {first} and {last} and {wanted})"
    con.execute(f"copy {rows} to ? (format parquet)", [str(file)])


def listed(names: Collection[str]) -> str:
    """Return names as a list of SQL: unlike a join it lets DuckDB skip rows by their ranges.

    Examples
    --------
    >>> listed(["b", "it's"])
    "('b', 'it''s')"
    >>> listed([])
    '(null)'
    """
    quoted = ["'" + name.replace("'", "''") + "'" for name in sorted(names)]
    return f"({', '.join(quoted) or 'null'})"
