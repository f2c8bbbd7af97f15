"""The family of a run: all that was tried on the same days, and what it makes of the run's results.

Whoever tries sixty questions on the same days finds a few good answers by luck, whether he tries
them in a sweep or one by one. The family of a run is every run of the runs folder, looks included,
whose lake has the same name and whose decision days overlap by half of the shorter or more; with
them count the trials that left no run: variants of their sweeps that failed or were rejected, looks
of their experiments whose run is gone, and every run folder that is broken. It is derived from what
lies in a warehouse, whenever that is published: a run's own files never depend on other runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from msm_py._typing import Bools, Floats, Ints, Row
from msm_py.experiment.ids import short_hash
from msm_py.stats.adjusted_p_values import benjamini_hochberg, beside_others
from msm_py.stats.sharpe import ANNUALIZATION_DAYS, deflated_sharpe_ratio
from msm_py.store import looks
from msm_py.store.edge_rows import SUMMARY_EDGES

EDGES: Final = ("edge_best", "spread")
NAMES: Final = ("experiment_id", "title", "description", "category_path")


def question_of(spec: Row) -> str:
    """Return what stands for the question of a resolved experiment, whatever it is called.

    Examples
    --------
    >>> question_of({"experiment_id": "a", "x": 1}) == question_of({"experiment_id": "b", "x": 1})
    True
    """
    return short_hash({key: value for key, value in spec.items() if key not in NAMES})


@dataclass(frozen=True)
class Tried:
    """What was tried in a runs folder, runs in one order.

    Parameters
    ----------
    window
        Which lake and days a run has, as a row of ``lake``, ``first`` and ``last``, shape (runs,).
    lake, first, last
        Number of the lake's name, first and last decision day as day numbers, shape (windows,).
    question
        Number of the run's question, shape (runs,).
    made
        Place of the run in the order in which runs were made, shape (runs,).
    net_sharpe, n_test_days, skewness, kurtosis
        Of net returns on the run's own test days, the ratio annualised, NaN where missing; (runs,).
    edge_run, p
        Position of the run and p of every tested `EDGES` edge, shape (edges,).
    others
        What left no run: names, and the runs beside which they were tried, shape (runs,).
    """

    window: Ints
    lake: Ints
    first: Ints
    last: Ints
    question: Ints
    made: Ints
    net_sharpe: Floats
    n_test_days: Floats
    skewness: Floats
    kurtosis: Floats
    edge_run: Ints
    p: Floats
    others: Sequence[tuple[frozenset[str], Bools]]


@dataclass(frozen=True)
class Found:
    """What families make of runs.

    Parameters
    ----------
    n_family
        Distinct questions in the family of a run, its own included, shape (runs,).
    deflated_sharpe
        Deflated Sharpe ratio of a run as one of so many, NaN where missing, shape (runs,).
    p_family
        p of every edge, adjusted over the edges of the family by Benjamini & Hochberg; (edges,).
    """

    n_family: Ints
    deflated_sharpe: Floats
    p_family: Floats


def related(tried: Tried, window: int) -> Bools:
    """Return which windows are of one family with a window: half of the shorter one is shared."""
    days = tried.last - tried.first + 1
    shared = np.minimum(tried.last, tried.last[window]) - np.maximum(
        tried.first, tried.first[window]
    )
    enough = 2 * (shared + 1) >= np.minimum(days, days[window])
    return np.asarray(enough & (tried.lake == tried.lake[window]))


def families(tried: Tried) -> Found:
    """Return what each run's family makes of it.

    The deflated Sharpe ratio (Bailey & Lopez de Prado 2014) takes the number of distinct questions
    for the number of trials, and the sample variance of the net Sharpe ratios of the family's runs,
    each on its own test days. A question that was asked again, on newer data or by newer code, is
    no further try: its newest run stands for it, and an older one for itself alone. Runs of one
    lake and window have one family, so the cost is that of the distinct windows, and of runs that
    a newer one has replaced.
    """
    found = Found(
        np.zeros(len(tried.window), dtype=np.int64),
        np.full(len(tried.window), np.nan),
        np.full(len(tried.p), np.nan),
    )
    families: dict[bytes, list[int]] = {}
    for window in range(len(tried.first)):
        families.setdefault(related(tried, window).tobytes(), []).append(window)
    for windows_of_family, windows in families.items():
        member = np.frombuffer(windows_of_family, dtype=bool)[tried.window]
        own = np.isin(tried.window, windows)
        others = {
            name for names, beside in tried.others if (beside & member).any() for name in names
        }
        newest = _newest(tried, member)
        n_family = int(newest.sum()) + len(others)
        daily = tried.net_sharpe / np.sqrt(ANNUALIZATION_DAYS)
        known = daily[newest & np.isfinite(daily)]
        found.n_family[own] = n_family
        found.deflated_sharpe[own] = deflated_sharpe_ratio(
            daily[own],
            tried.n_test_days[own],
            tried.skewness[own],
            tried.kurtosis[own],
            known.var(ddof=1) if len(known) > 1 else np.nan,
            n_family,
        )
        counted = np.flatnonzero(newest[tried.edge_run])
        shown = own[tried.edge_run[counted]]
        found.p_family[counted[shown]] = benjamini_hochberg(tried.p[counted])[shown]
        older = np.flatnonzero((own & ~newest)[tried.edge_run])
        found.p_family[older] = beside_others(
            tried.p[older],
            tried.edge_run[older],
            tried.question[tried.edge_run[older]],
            tried.p[counted],
            tried.question[tried.edge_run[counted]],
        )
    return found


def _newest(tried: Tried, member: Bools) -> Bools:
    """Return which members are the newest run of their question."""
    rows = np.flatnonzero(member)
    rows = rows[np.argsort(-tried.made[rows], kind="stable")]
    _, first = np.unique(tried.question[rows], return_index=True)
    found = np.zeros(len(member), dtype=bool)
    found[rows[first]] = True
    return found


# --- In a warehouse ------------------------------------------------------------------------------

_RUNS: Final = """
    select
        run_id, experiment_id, net_sharpe, n_test_days, net_skewness, net_kurtosis,
        coalesce(lake_name, '') as lake, first_date - date '1970-01-01' as first,
        last_date - date '1970-01-01' as last,
        row_number() over (order by run_id) - 1 as place,
        row_number() over (order by created_at nulls first, run_id) as made,
        dense_rank() over (order by question) - 1 as question_number,
        dense_rank() over (order by lake) - 1 as lake_number,
        dense_rank() over (order by lake, first, last) - 1 as window_number
    from catalog
    where is_placebo is not true and first_date is not null and last_date is not null
    order by run_id
"""
# where two states are present, the best one asks what the spread asks
_EDGES: Final = f"""
    with counted as (
        select
            *,
            count(estimate) filter (edge not in {SUMMARY_EDGES}) over at_horizon as n_states,
            count(estimate) filter (edge = 'spread') over at_horizon as n_spreads
        from edges
        window at_horizon as (partition by run_id, horizon_days)
    )
    select counted.run_id, counted.horizon_days, counted.edge, counted.p_edge, runs.place
    from counted inner join ({_RUNS}) as runs on counted.run_id = runs.run_id
    where edge in {EDGES} and p_edge is not null
        and (edge = 'spread' or n_states <> 2 or n_spreads = 0)
    order by counted.run_id, counted.horizon_days, counted.edge
"""


def derive(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Bring the catalog's columns about families up to date; return the rows of `family_edges`.

    Parameters
    ----------
    con
        A warehouse whose other tables are up to date.
    """
    con.execute("update catalog set n_family = null, deflated_sharpe = null, p_family = null")
    runs = con.sql(_RUNS).to_arrow_table()
    edges = con.sql(_EDGES).to_arrow_table()
    tried = _tried(con, runs, edges)
    found = families(tried)
    p_family = pa.array(found.p_family, pa.float64())
    edges = edges.drop_columns("place").append_column("p_family", p_family)
    smallest = np.full(len(tried.window), np.nan)
    np.fmin.at(smallest, tried.edge_run, found.p_family)
    con.register(
        "of_families",
        pa.table(
            {
                "run_id": runs["run_id"],
                "n_family": found.n_family,
                "deflated_sharpe": pa.array(found.deflated_sharpe, from_pandas=True),
                "p_family": pa.array(smallest, from_pandas=True),
            }
        ),
    )
    con.execute(
        """
        update catalog set
            n_family = of_families.n_family,
            deflated_sharpe = of_families.deflated_sharpe,
            p_family = of_families.p_family
        from of_families
        where catalog.run_id = of_families.run_id
        """
    )
    con.unregister("of_families")
    return edges


def _tried(con: duckdb.DuckDBPyConnection, runs: pa.Table, edges: pa.Table) -> Tried:
    def numbers(name: str) -> Floats:
        return np.asarray(runs[name].cast(pa.float64()).to_numpy(), dtype=np.float64)

    def whole(name: str) -> Ints:
        return np.asarray(runs[name].to_numpy(), dtype=np.int64)

    window = whole("window_number")
    _, of_window = np.unique(window, return_index=True)
    return Tried(
        window=window,
        lake=whole("lake_number")[of_window],
        first=whole("first")[of_window],
        last=whole("last")[of_window],
        question=whole("question_number"),
        made=whole("made"),
        net_sharpe=numbers("net_sharpe"),
        n_test_days=numbers("n_test_days"),
        skewness=numbers("net_skewness"),
        kurtosis=numbers("net_kurtosis"),
        edge_run=np.asarray(edges["place"].to_numpy(), dtype=np.int64),
        p=np.asarray(edges["p_edge"].to_numpy(), dtype=np.float64),
        others=[*_failed(con, runs), *_lost_looks(con, runs), *_broken(con, len(runs))],
    )


def _failed(
    con: duckdb.DuckDBPyConnection, runs: pa.Table
) -> Iterable[tuple[frozenset[str], Bools]]:
    """Yield the variants of each sweep that left no run, beside those that did."""
    place = {run_id: row for row, run_id in enumerate(runs["run_id"].to_pylist())}
    names: dict[str, set[str]] = defaultdict(set)
    beside: dict[str, list[int]] = defaultdict(list)
    trials = con.execute("select sweep_id, experiment_id, run_id, status from sweep_trials")
    for sweep_id, experiment_id, run_id, status in trials.fetchall():
        if run_id in place:
            beside[sweep_id].append(place[run_id])
        elif status in ("failed", "rejected"):
            names[sweep_id].add(experiment_id)
    for sweep_id in sorted(names):
        is_beside = np.zeros(len(place), dtype=bool)
        is_beside[beside[sweep_id]] = True
        yield frozenset(names[sweep_id]), is_beside


def _lost_looks(
    con: duckdb.DuckDBPyConnection, runs: pa.Table
) -> Iterable[tuple[frozenset[str], Bools]]:
    """Yield looks whose run is gone, beside the runs of the same experiment."""
    lost = con.execute(
        "select run_id, family from looks anti join catalog using (run_id) order by run_id"
    ).fetchall()
    if not lost:
        return
    own = np.array([looks.family_of(x) for x in runs["experiment_id"].to_pylist()], dtype=object)
    for run_id, family in lost:
        yield frozenset({run_id}), own == family


def _broken(con: duckdb.DuckDBPyConnection, n_runs: int) -> Iterable[tuple[frozenset[str], Bools]]:
    """Yield runs that are broken, each beside all: nobody knows on which days it was tried."""
    for (folder,) in con.execute("select folder from run_problems where is_broken").fetchall():
        # by the name that the sweep gives it as a failed variant, so that it counts once
        yield frozenset({folder.rpartition("-")[0]}), np.ones(n_runs, dtype=bool)


@dataclass(frozen=True)
class Family:
    """What a run's family makes of it.

    Parameters
    ----------
    n_family
        Distinct questions tried, its own included.
    deflated_sharpe
        None where missing.
    p_family
        Adjusted p by horizon in days and edge.
    """

    n_family: int
    deflated_sharpe: float | None
    p_family: Mapping[tuple[int, str], float]


def read(con: duckdb.DuckDBPyConnection, run_id: str) -> Family | None:
    """Return the family of a run as a warehouse has it; None when the run is not in it."""
    found = con.execute(
        "select n_family, deflated_sharpe from catalog where run_id = ? and n_family is not null",
        [run_id],
    ).fetchone()
    if found is None:
        return None
    rows = con.execute(
        "select horizon_days, edge, p_family from family_edges where run_id = ?", [run_id]
    ).fetchall()
    n_family, deflated_sharpe = found
    return Family(n_family, deflated_sharpe, {(days, edge): p for days, edge, p in rows})
