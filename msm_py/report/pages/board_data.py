"""What a leaderboard is made of: runs as the warehouse has them, and the record of their sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from msm_py._typing import Floats, Row
from msm_py.errors import MsmError
from msm_py.report import sweep_report
from msm_py.report.runs_table import Choice, choose
from msm_py.report.varying import differing_keys
from msm_py.store import sweep_records
from msm_py.text import relative_path

SPARK_POINTS: Final = 32
BEST_FIRST: Final = "deflated_sharpe"


@dataclass(frozen=True)
class Board:
    """Runs, best first by deflated Sharpe ratio.

    Parameters
    ----------
    rows
        Columns of the catalog and ``spread_...`` of every run; of a sweep those of its statistics
        too, which take the place of equal names (the deflated Sharpe ratio counts its trials).
    params
        The resolved experiment of every run, flat, a text for each dotted key.
    sparks
        Net equity of every run at evenly spaced decision days, at most `SPARK_POINTS`; by run id.
    record
        The record of the sweep; None when the runs are those of a catalog.
    """

    rows: Sequence[Row]
    params: Sequence[Mapping[str, str]]
    sparks: Mapping[str, Sequence[float]]
    record: Row | None

    @classmethod
    def of_sweep(cls, runs: Path, warehouse: Path, sweep_id: str) -> Board:
        """Return the runs of a sweep.

        Raises
        ------
        MsmError
            When there is no such sweep, or the warehouse cannot be read.
        """
        record = sweep_records.find_record(runs, sweep_id)
        choice = Choice(sweep=record["sweep_id"], limit=None, with_older=True)
        known = {row["run_id"]: row for row in choose(warehouse, choice).rows}
        ranked = [
            {**known[row["run_id"]], **row}
            for row in sweep_report.ranked_rows(record)
            if row["run_id"] in known
        ]
        return cls._with_days(warehouse, ranked, record)

    @classmethod
    def of_catalog(cls, warehouse: Path) -> Board:
        """Return the newest run of every experiment in a warehouse, placebos left out.

        Raises
        ------
        MsmError
            When the warehouse cannot be read.
        """
        rows = choose(warehouse, Choice(sort=BEST_FIRST, limit=None)).rows
        return cls._with_days(warehouse, rows, None)

    @classmethod
    def _with_days(cls, warehouse: Path, rows: Sequence[Row], record: Row | None) -> Board:
        if not rows:
            raise MsmError(
                "there is no run to show",
                where=relative_path(warehouse),
                remedy="run an experiment first; `msm catalog rebuild` reads the run folders anew",
            )
        ids = [row["run_id"] for row in rows]
        with duckdb.connect(warehouse, read_only=True) as con:
            flat: dict[str, dict[str, str]] = defaultdict(dict)
            for run_id, key, value in con.execute(_PARAMS, [ids]).fetchall():
                flat[run_id][key] = value
            sparks: dict[str, list[float]] = defaultdict(list)
            for run_id, value in con.execute(_SPARKS, [ids]).fetchall():
                sparks[run_id].append(value)
        return cls(rows, [flat[run_id] for run_id in ids], sparks, record)

    def numbers(self, name: str) -> Floats:
        """Return a column, NaN where missing; shape (runs,)."""
        values = [row.get(name) for row in self.rows]
        return np.array([np.nan if x is None else x for x in values], dtype=np.float64)

    @cached_property
    def differing(self) -> dict[str, list[str]]:
        """The settings that differ, by dotted key: a text for every run.

        Of settings that move together only the first one stands here (`moving_along`).
        """
        return {
            key: values
            for key, values in self._all_differing.items()
            if self._leader_of[key] == key
        }

    @cached_property
    def moving_along(self) -> dict[str, list[str]]:
        """Settings that tell runs apart exactly as an earlier one does, by that one's key."""
        found: dict[str, list[str]] = defaultdict(list)
        for key, leader in self._leader_of.items():
            if leader != key:
                found[leader].append(key)
        return found

    @cached_property
    def _leader_of(self) -> dict[str, str]:
        first: dict[tuple[int, ...], str] = {}
        found = {}
        for key, values in self._all_differing.items():
            groups = _groups(values)
            # values of which none occurs twice were drawn, each by itself
            is_drawn = len(set(groups)) == len(groups) > 2
            found[key] = key if is_drawn else first.setdefault(groups, key)
        return found

    @cached_property
    def _all_differing(self) -> dict[str, list[str]]:
        return {
            key: [params.get(key, "") for params in self.params]
            for key in differing_keys(self.params)
        }

    @cached_property
    def best(self) -> list[int]:
        """The places, from 0, of the ten best runs that do not earn the same day by day."""
        seen: set[Any] = set()
        found = []
        for place, row in enumerate(self.rows):
            returns = row.get("same_returns_as", row["run_id"])
            if returns not in seen:
                seen.add(returns)
                found.append(place)
        return found[:10]


def _groups(values: Sequence[str]) -> tuple[int, ...]:
    """Return values as numbers in the order in which they occur: which runs are alike in them."""
    known: dict[str, int] = {}
    return tuple(known.setdefault(value, len(known)) for value in values)


_PARAMS: Final = """
    select run_id, param, value from run_params
    where run_id = any(?) and value is not null
    order by run_id, param
"""
_SPARKS: Final = f"""
    select run_id, arg_max(equity_net, date) as equity
    from (
        select
            run_id, date, equity_net,
            {SPARK_POINTS} * (row_number() over by_day - 1) // count(*) over of_run as bucket
        from daily
        where run_id = any(?) and equity_net is not null
        window
            by_day as (partition by run_id order by date),
            of_run as (partition by run_id)
    )
    group by run_id, bucket
    order by run_id, bucket
"""
