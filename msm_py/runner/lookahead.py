"""Whether anything that an experiment computes for a day hangs on a later one.

The models of a run are built on the whole lake, then on lakes that end at sampled days, and on
lakes that go on with other numbers from there. Up to such a day nothing may differ, to the last
bit: not a feature, not a basket, not a return. What is compared is read from the database, so
models and features of a user's own are checked as all others are.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import yaml

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.schema import Experiment
from msm_py.lake.cutting import write_lake
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.settings import Places, project_dir
from msm_py.store import scratch
from msm_py.store.origin import code_fingerprint
from msm_py.store.parting import Parting, partings_of

NOT_COMPARED: Final = frozenset(
    {"is_test_day", "trade_number", "long_trade_number", "short_trade_number"}
)
"""A label that where the window ends may decide, and running numbers that name trades."""
ROWS_BY_NEED: Final = frozenset(
    {"asset_days", "asset_eligibility", "evaluated_states", "impact_inputs", "leg_values"}
)
"""Models with rows of assets that will be known or held, of trades to come, of days that count.

That a row is there is no number: their values are compared, and ``alts`` and ``baskets``, which
choose assets, are compared row by row.
"""
NOT_OF_A_DAY: Final = ("edges+", "sharpe_tests+", "run_artifacts+")
"""Models of the window as a whole, and what comes after them: nothing in them is dated."""
SEED: Final = 7


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
    """

    last_day: date
    with_noise: bool
    n_rows: Mapping[str, int]
    columns: Mapping[str, Sequence[str]]
    partings: Sequence[Parting]


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
        How many days, evenly spread over the decision days, the last but one among them.
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
    found = []
    with ExitStack() as stack:
        whole = stack.enter_context(
            invocation.built_without(
                runs, places, NOT_OF_A_DAY, progress=lambda node: order.append(node.name)
            )
        )
        grains = grains_of(project_dir() / "models")
        own = stack.enter_context(scratch.own_folder())
        days = _decision_days(whole, runs)
        for last_day in sampled_days(days, n_dates):
            for noise in (None, SEED):
                folder = own / f"lake_{last_day}_{noise}"
                write_lake(lake, folder, until=last_day, noise=noise)
                others = _runs(experiments, folder, last_day)
                ids = {x.run_id: y.run_id for x, y in zip(others, runs, strict=True)}
                with invocation.built_without(
                    others, replace(places, lake=folder), NOT_OF_A_DAY
                ) as other:
                    done = compare(
                        Sides(whole, other, ids, order, grains),
                        last_day,
                        lag,
                        with_noise=noise is not None,
                    )
                shutil.rmtree(folder)
                found.append(done)
                if tell is not None:
                    tell(done)
    return found


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


def sampled_days(days: Sequence[date], n: int) -> list[date]:
    """Return some days, evenly spread: the last but one, and n - 1 before it.

    Examples
    --------
    >>> days = [date(2024, 1, day) for day in range(1, 12)]
    >>> [day.day for day in sampled_days(days, 3)]
    [4, 7, 10]
    """
    places = np.linspace(0, len(days) - 2, n + 1).round().astype(int)[1:]
    return [days[place] for place in sorted(set(places.tolist()))]


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
    grains
        What names a row, by model; where it is not told, see `msm_py.store.parting.key_of`.
    """

    whole: Path
    other: Path
    ids: Mapping[str, str]
    order: Sequence[str]
    grains: Mapping[str, Sequence[str]]


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
        tables, ids = _dated(a), same_ids(strategies_of(a), strategies_of(b), sides.ids)
        for name in [x for x in sides.order if x in tables]:
            shared = [x for x in tables[name] if x not in NOT_COMPARED]
            left = _arrow(a, _rows_until(name, shared, last_day, lag_days, {}))
            right = _arrow(b, _rows_until(name, shared, last_day, lag_days, ids))
            n_rows[name], columns[name] = left.num_rows, shared
            partings += partings_of(
                name,
                left,
                right,
                sides.grains.get(name),
                with_rows=name not in ROWS_BY_NEED,
            )
    return Compared(last_day, with_noise, n_rows, columns, partings)


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


def _dated(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return the columns of every table and view of models that has a day, by name."""
    found: dict[str, list[str]] = {}
    for table, column, is_date in con.execute(
        """
        select table_name, column_name, data_type = 'DATE'
        from duckdb_columns() where schema_name = 'main' and not internal
        order by table_name, column_index
        """
    ).fetchall():
        found.setdefault(table, []).append(column if column != "date" or is_date else "")
    return {name: columns for name, columns in found.items() if "date" in columns}


def _rows_until(
    name: str, columns: Sequence[str], last_day: date, lag_days: int, ids: Mapping[str, str]
) -> str:
    days = f" + horizon_days + {lag_days}" if "horizon_days" in columns else ""
    listed = ", ".join(renamed(column, ids) for column in columns)
    return f"select {listed} from \"{name}\" where date{days} <= date '{last_day}'"


def renamed(column: str, ids: Mapping[str, str]) -> str:
    """Return a column in which runs, and what is called after them, have the ids of others."""
    if not ids or not column.endswith("_id"):
        return f'"{column}"'
    cases = " ".join(f"when '{before}' then '{after}'" for before, after in ids.items())
    return f'case "{column}" {cases} else "{column}" end as "{column}"'


def grains_of(models: Path) -> dict[str, list[str]]:
    """Return what names a row of each model, as its test ``sound_rows`` has it.

    Parameters
    ----------
    models
        The folder of models with their ``.yml``.
    """
    found = {}
    for file in sorted(models.rglob("*.yml")):
        for model in (yaml.safe_load(file.read_text()) or {}).get("models", []):
            for test in model.get("data_tests", []):
                if isinstance(test, dict) and "sound_rows" in test:
                    grain = test["sound_rows"].get("arguments", {}).get("grain")
                    if grain:
                        found[model["name"]] = [re.sub(r'^"|"$', "", str(x)) for x in grain]
    return found
