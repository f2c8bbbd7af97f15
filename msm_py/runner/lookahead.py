"""Whether anything that an experiment computes for a day hangs on a later one.

The models of a run are built on the whole lake, then on lakes that end at sampled days, and on
lakes that go on with other numbers from there. Up to such a day nothing may differ, to the last
bit: not a feature, not a basket, not a return. What is compared is read from the database, so
models and features of a user's own are checked as all others are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.schema import Experiment
from msm_py.lake.cutting import write_lake
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.runner.dated_tables import (
    END_MODELS,
    Declared,
    declarations,
    tables_of,
    texts_with_ids,
)
from msm_py.settings import Places, project_dir
from msm_py.store import scratch
from msm_py.store.origin import code_fingerprint
from msm_py.store.parting import Parting, key_of, partings_of

ROWS_BY_NEED: Final = frozenset(
    {
        *("asset_days", "asset_eligibility", "evaluated_states", "impact_inputs", "leg_values"),
        "search_windows",
    }
)
"""Models with rows of assets that will be known or held, of trades to come, of days that count.

That a row is there is no number: their values are compared, and ``alts`` and ``baskets``, which
choose assets, are compared row by row.
"""
SEED: Final = 7
SELDOM: Final = 2 / 3
"""A schedule that rebalances on a smaller share of days does not do so daily."""


@dataclass(frozen=True)
class Compared:
    """A comparison with a lake that differs after a day.

    Parameters
    ----------
    last_day
        The last day that is the same.
    with_noise
        Whether the lake goes on, with other numbers.
    n_rows
        Rows that were compared, by table, in the order in which models are built.
    columns
        Columns that were compared, by table.
    partings
        Those that part, the first of each column, in the order in which models are built.
    left_out
        Models that were not compared, and why.
    """

    last_day: date
    with_noise: bool
    n_rows: Mapping[str, int]
    columns: Mapping[str, Sequence[str]]
    partings: Sequence[Parting]
    left_out: Mapping[str, str]


Tell = Callable[[Compared], object]


def check_lookahead(
    experiments: Sequence[Experiment], places: Places, n_dates: int, tell: Tell | None = None
) -> list[Compared]:
    """Build experiments on the whole lake and on lakes that differ after sampled days; compare.

    Parameters
    ----------
    experiments
        What is built, in one invocation a lake.
    places
        Where the lake is. Nothing is written.
    n_dates
        How many days: see `sampled_days`.
    tell
        Told of each comparison as it is done.

    Returns
    -------
    Two comparisons a day: with the lake that ends there, and with the one that goes on with noise.

    Raises
    ------
    MsmError
        The lake cannot be read, or an experiment has no decision day on it.
    """
    lake = open_lake(places.lake)
    experiments = [_without_labels(x) for x in experiments]
    runs = _runs(experiments, places.lake, None)
    lag = max(x.backtest.execution_lag_days for x in experiments)
    order: list[str] = []

    def note(node: invocation.NodeFinished) -> None:
        if node.folder:  # a model
            order.append(node.name)

    found = []
    with ExitStack() as stack:
        own = stack.enter_context(scratch.own_folder())
        places = invocation.in_scratch(places, own)
        left_out = models_left_out(invocation.what_models_read())
        whole = stack.enter_context(invocation.built_without(runs, places, left_out, progress=note))
        order += left_out
        declared = declarations(project_dir() / "models")
        days = _decision_days(whole, runs)
        for last_day in sampled_days(days, n_dates, _sparse_days(whole, days)):
            for noise in (None, SEED):
                folder = own / f"lake_{last_day}_{noise}"
                write_lake(lake, folder, until=last_day, noise=noise)
                others = _runs(experiments, folder, last_day)
                ids = {x.run_id: y.run_id for x, y in zip(others, runs, strict=True)}
                with invocation.built_without(
                    others, replace(places, lake=folder), left_out
                ) as other:
                    done = compare(
                        Sides(whole, other, ids, order, declared),
                        last_day,
                        lag,
                        with_noise=noise is not None,
                    )
                shutil.rmtree(folder)
                found.append(done)
                if tell is not None:
                    tell(done)
    return found


def models_left_out(read: Mapping[str, Collection[str]]) -> list[str]:
    """Return the end models that no other model needs, sorted: they are not built.

    Parameters
    ----------
    read
        What each model reads.

    Examples
    --------
    >>> models_left_out({"edges": {"states"}, "catalog": {"edges"}, "own": {"edges"}})
    ['catalog']
    """
    needed: set[str] = set()
    waiting = [name for name in read if name not in END_MODELS]
    while waiting:
        behind = {x for x in read[waiting.pop()] if x in END_MODELS} - needed
        needed |= behind
        waiting += behind
    return sorted(END_MODELS & read.keys() - needed)


def _runs(
    experiments: Sequence[Experiment], lake: Path, last_day: date | None
) -> list[ResolvedRun]:
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    return [ResolvedRun.of(until(x, last_day), data, code) for x in experiments]


def until(experiment: Experiment, last_day: date | None) -> Experiment:
    """Return an experiment whose window ends with a day, if it would end later."""
    if last_day is None:
        return experiment
    end = resolve(experiment)["window"]["end"]
    ends = last_day.isoformat() if end is None else min(end, last_day.isoformat())
    return _with(experiment, "window", end=ends)


def _without_labels(experiment: Experiment) -> Experiment:
    """Return an experiment of which all days count, which any length of window allows."""
    if experiment.backtest.grid_search is not None:
        return experiment  # its windows are when parameters are chosen
    return _with(experiment, "backtest", walk_forward=False)


def _with(experiment: Experiment, section: str, **changes: object) -> Experiment:
    spec = resolve(experiment)
    return from_resolved(
        {**spec, section: {**spec[section], **changes}}, where=experiment.experiment_id
    )


def _fewest_days(experiments: Sequence[Experiment]) -> int:
    """Return how many decision days a window needs for the searches among experiments."""
    backtests = [x.backtest for x in experiments if x.backtest.grid_search is not None]
    return max((x.lookback_window_days + x.min_test_days for x in backtests), default=0)


def _decision_days(database: Path, runs: Sequence[ResolvedRun]) -> list[date]:
    """Return days to cut at: those of states from when there are enough, and with a BTC close.

    The grid ends with the last BTC close: cut at a day without one, a lake ends before that day.
    """
    with duckdb.connect(database, read_only=True) as con:
        rows = con.execute(
            """
            select date, date in (select date from stg_prices where asset_id = 'BTC')
            from (select distinct date from states)
            order by date
            """
        ).fetchall()
    fewest = _fewest_days([run.experiment for run in runs])
    days = [day for day, has_btc_close in rows[fewest:] if has_btc_close]
    if len(days) < 3:
        raise MsmError(
            "there are too few decision days to check",
            where=", ".join(run.experiment.experiment_id for run in runs),
            received=f"{len(rows)} decision days on this lake",
            remedy="choose another window, or another lake",
        )
    return days


def _sparse_days(database: Path, days: Sequence[date]) -> list[set[date]]:
    """Return days on which schedules decide, and on which they trade, of those that seldom do."""
    with duckdb.connect(database, read_only=True) as con:
        rows = con.execute(
            "select schedule_id, decision_date, trade_date from rebalances order by schedule_id"
        ).fetchall()
    found = []
    for _, group in groupby(rows, key=lambda row: row[0]):
        pairs = list(group)
        for column in (1, 2):
            when = {pair[column] for pair in pairs} & {*days[:-1]}
            if when and len(when) < SELDOM * len(days) and when not in found:
                found.append(when)
    return found


def sampled_days(
    days: Sequence[date], n: int, sparse: Sequence[Collection[date]] = ()
) -> list[date]:
    """Return some days, evenly spread: the last but one, and n - 1 before it.

    Where experiments do not rebalance daily, every other one of them, the last one first, is moved
    to the nearest day of a rebalance, and those between to the nearest day without one.

    Parameters
    ----------
    days
        Days that may be chosen, but for the last one.
    n
        How many.
    sparse
        Days on which a schedule decides or trades; in turn, where there are several.

    Examples
    --------
    >>> days = [date(2024, 1, day) for day in range(1, 12)]
    >>> [day.day for day in sampled_days(days, 3)]
    [4, 7, 10]
    >>> [day.day for day in sampled_days(days, 3, [{days[1], days[6]}])]
    [2, 6, 7]
    """
    places = np.linspace(0, len(days) - 2, n + 1).round().astype(int)[1:]
    wanted = [days[place] for place in sorted(set(places.tolist()), reverse=True)]
    if not sparse:
        return sorted(wanted)
    others = {*days[:-1]}.difference(*sparse)
    chosen: set[date] = set()
    for place, day in enumerate(wanted):
        of = others if place % 2 else {*sparse[place // 2 % len(sparse)]}
        free = (of or others) - chosen or {*days[:-1]} - chosen
        chosen.add(min(free, key=lambda x: (abs(x - day), x)))
    return sorted(chosen)


@dataclass(frozen=True)
class Sides:
    """Two databases of the same models.

    Parameters
    ----------
    whole, other
        Their files.
    ids
        Run ids of the other one, and what they are in the whole one.
    order
        The models in the order in which they were built.
    declared
        What is declared of models.
    """

    whole: Path
    other: Path
    ids: Mapping[str, str]
    order: Sequence[str]
    declared: Mapping[str, Declared]


def compare(sides: Sides, last_day: date, lag_days: int, *, with_noise: bool) -> Compared:
    """Compare every dated table of two databases up to a day, bit for bit.

    Parameters
    ----------
    sides
        The databases.
    last_day
        The last day that counts. A row with ``horizon_days`` counts if its horizon ends by then.
    lag_days
        Days between a decision and the first return that follows from it.
    with_noise
        What the other lake is.
    """
    n_rows: dict[str, int] = {}
    columns: dict[str, Sequence[str]] = {}
    partings: list[Parting] = []
    with (
        duckdb.connect(sides.whole, read_only=True) as a,
        duckdb.connect(sides.other, read_only=True) as b,
    ):
        tables, left_out = tables_of(a, sides.order, sides.declared)
        ids = same_ids(strategies_of(a), strategies_of(b), sides.ids)
        for table in tables:
            left = _arrow(a, table.rows_until(last_day, lag_days, {}))
            texts = texts_with_ids(b, table, ids)
            right = _arrow(b, table.rows_until(last_day, lag_days, texts))
            n_rows[table.name], columns[table.name] = left.num_rows, list(table.columns)
            known = table.declared
            partings += partings_of(
                table.name,
                left,
                right,
                known.grain or [x for x in key_of(left) if x not in known.later_days],
                with_rows=table.name not in ROWS_BY_NEED,
                day=known.day,
            )
    return Compared(last_day, with_noise, n_rows, columns, partings, left_out)


def same_ids(whole: Sequence[Row], other: Sequence[Row], runs: Mapping[str, str]) -> dict[str, str]:
    """Return for ids that hash a run's window or lake what they are in the whole database.

    Parameters
    ----------
    whole, other
        The rows of the model ``strategies``: of runs, and of their controls.
    runs
        The run ids of the other database.
    """
    found = dict(runs)
    by_id = {row["strategy_id"]: row for row in whole}
    for row in other:
        if row["is_run"]:
            own = by_id[runs[row["strategy_id"]]]
            names = [x for x in row if x.endswith("_id") and row[x] is not None]
            found.update((str(row[x]), str(own[x])) for x in names)

    def what(row: Row) -> tuple[Any, ...]:
        """Return what a control is, whatever the window."""
        left_out = ("strategy_id", "first_date", "last_date")
        return tuple(found.get(row[x], row[x]) for x in sorted(row) if x not in left_out)

    controls = {what(row): row["strategy_id"] for row in whole if not row["is_run"]}
    for row in other:
        if not row["is_run"]:
            found[row["strategy_id"]] = str(controls.get(what(row), row["strategy_id"]))
    return {before: after for before, after in found.items() if before != after}


def strategies_of(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the rows of the model ``strategies``."""
    rows: list[Row] = _arrow(con, "select * from strategies").to_pylist()
    return rows


def _arrow(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return con.sql(query).to_arrow_table()
