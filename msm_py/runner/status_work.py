"""The state of the market on a day, as experiments see it: computed as far as needed, kept nowhere.

The models are those of a run, without tests of edges, run folder and warehouse: the state of a day
is the one that a run on the same lake would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from msm_py._typing import Row
from msm_py.engine.state_machine import (
    YOUNG_BAND_FACTOR,
    StateRules,
    next_state,
    unbounded,
)
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.schema import Experiment
from msm_py.lake.files import read_parquet
from msm_py.lake.opening import Lake, fingerprint, open_lake
from msm_py.regimes import CUTS, REGIMES_OF
from msm_py.runner import invocation
from msm_py.settings import Places
from msm_py.store import run_list
from msm_py.store.origin import code_fingerprint
from msm_py.store.run import Run

MODELS: Final = (
    *("run_errors", "states", "scores", "z_scores", "run_features", "baskets"),
    *("positions", "leg_weights"),
)
HORIZON: Final = 5
HISTORY_DAYS: Final = 120


@dataclass(frozen=True)
class Switch:
    """What would change the state at the next close.

    Parameters
    ----------
    regime
        The state that it would be.
    score
        The nearest score that leads there.
    distance
        That score minus today's.
    """

    regime: str
    score: float
    distance: float


@dataclass(frozen=True)
class Status:
    """How things stand for one experiment at the close of a day.

    Parameters
    ----------
    experiment_id, title
        Which one.
    error
        Why there is no decision; the rest is empty then.
    day
        The day: its close is the last that is known.
    regime, since, age_days
        The state, its first day, and the days since.
    regime_before
        The state of the day before; None on the first day.
    score, score_before, coverage
        Final score of the day and of the day before; share of the weights whose z is there.
    features
        A row per feature: feature_id, weight, raw_value, z_score, contribution (weight times z),
        and contribution_before, the day before's.
    switches
        What other states would take; None where a search chooses the cuts.
    trades
        A row per asset held or traded: asset_id, weight_before (drifted), weight_after and trade,
        shares of net asset value, short ones negative.
    basket
        The basket of the day, by rank: asset_id, rank, weight.
    history
        Final scores of the last days, the newest last; None without coverage.
    worth
        What the state has been worth by the newest run of the experiment: run_id, horizon_days,
        trade_edge, low, high, p_edge, evidence, n_spells; None without such a run.
    """

    experiment_id: str
    title: str
    error: str | None
    day: date | None = None
    regime: str | None = None
    since: date | None = None
    age_days: int | None = None
    regime_before: str | None = None
    score: float | None = None
    score_before: float | None = None
    coverage: float | None = None
    features: Sequence[Row] = ()
    switches: Sequence[Switch] | None = ()
    trades: Sequence[Row] = ()
    basket: Sequence[Row] = ()
    worth: Row | None = None
    history: Sequence[float | None] = ()

    @property
    def has_changed(self) -> bool:
        """Return whether the state is another one than the day before."""
        return self.regime_before is not None and self.regime != self.regime_before

    @property
    def missing_features(self) -> list[str]:
        """Return the features with a weight that have no z-score on the day."""
        return [x["feature_id"] for x in self.features if x["weight"] and x["z_score"] is None]


@dataclass(frozen=True)
class Statuses:
    """How things stand.

    Parameters
    ----------
    experiments
        One each.
    tables
        The last day of each table of the lake; None without rows.
    """

    experiments: Sequence[Status]
    tables: Mapping[str, date | None]


def status(experiments: Sequence[Experiment], places: Places, asof: date | None) -> Statuses:
    """Return how things stand at the close of a day.

    Parameters
    ----------
    experiments
        The experiments; the ends of their windows, hold-outs and looks play no part, since no
        return is told.
    places
        Where the lake is, and the runs that say what states have been worth. Nothing is written.
    asof
        The day, at the latest; None: the last one of the lake.

    Raises
    ------
    MsmError
        The lake cannot be read, or its data contradict each other.
    """
    lake = open_lake(places.lake)
    data, code = fingerprint(lake), code_fingerprint()
    runs, found = [], {}
    for given in experiments:
        try:
            runs.append(ResolvedRun.of(_of_today(given, asof), data, code))
        except MsmError as error:  # such as a day before the window: the others have theirs
            name = given.experiment_id
            found[name] = Status(name, given.title or name, str(error))
    if runs:
        with (
            invocation.built(runs, places, MODELS) as database,
            invocation.opened(database) as con,
        ):
            for run in runs:
                found[run.experiment.experiment_id] = _status(con, run, places.runs)
    return Statuses(tuple(found[x.experiment_id] for x in experiments), _last_days(lake, asof))


def _of_today(experiment: Experiment, asof: date | None) -> Experiment:
    """Return an experiment whose window ends with the day, without what only judges it."""
    spec = resolve(experiment)
    spec["window"] = {**spec["window"], "end": None if asof is None else asof.isoformat()}
    spec["evaluation"] = {**spec["evaluation"], "holdout_start": None, "look": False}
    backtest = {**spec["backtest"], "with_regime_eval": False}
    if backtest["grid_search"] is None:
        backtest["walk_forward"] = False  # it only says which days count
    spec["backtest"] = backtest
    return from_resolved(spec, where=experiment.experiment_id)


def _status(con: duckdb.DuckDBPyConnection, run: ResolvedRun, runs: Path) -> Status:
    named = (run.experiment.experiment_id, run.title)
    own = {"run_id": run.run_id}
    (error,) = _one(con, "select error from run_errors where run_id = $run_id", own) or (None,)
    if error is not None:
        return Status(*named, error)
    days = _rows(
        con,
        f"select * from states where run_id = $run_id order by date desc limit {HISTORY_DAYS}",
        own,
    )
    if not days or days[0]["score"] is None:
        day = days[0]["date"] if days else None
        return Status(
            *named,
            "no feature of the experiment is known on the day"
            if days
            else "the lake has no decision day for it",
            day,
        )
    today, before = days[0], days[1] if len(days) > 1 else None
    (since,) = _one(
        con,
        "select min(date) from states where run_id = $run_id and spell = $spell",
        {**own, "spell": today["spell"]},
    ) or (None,)
    return Status(
        *named,
        None,
        today["date"],
        today["regime"],
        since,
        today["regime_age_days"],
        None if before is None else before["regime"],
        today["score"],
        None if before is None else before["score"],
        today["feature_coverage"],
        _rows(con, _FEATURES, {**own, "day": today["date"]}),
        _switches(con, run, today),
        _rows(con, _TRADES, {**own, "day": today["date"]}),
        _rows(con, _BASKET, {**own, "day": today["date"]}),
        _worth(runs, run.experiment.experiment_id, today["regime"]),
        [row["score"] for row in reversed(days)],
    )


def _switches(con: duckdb.DuckDBPyConnection, run: ResolvedRun, today: Row) -> list[Switch] | None:
    """Return the nearest score that leads to each other state at the next close.

    Found by the state machine itself, just beside every cut and every band.
    """
    if run.experiment.backtest.grid_search is not None:
        return None
    (row,) = _rows(con, "select * from runs where run_id = $run_id", {"run_id": run.run_id})
    cuts = unbounded(np.array([[np.nan if row[cut] is None else float(row[cut]) for cut in CUTS]]))
    names = REGIMES_OF[int(row["n_regimes"])]
    shift = 1 if len(names) == 3 else 0
    state = int(today["regime_order"]) + shift
    band_factors = (1.0, YOUNG_BAND_FACTOR)
    bands = [
        float(row[name]) * factor for name in ("low_band", "high_band") for factor in band_factors
    ]
    edges = {float(cut + band) for cut in cuts[0] for band in (0.0, *bands) if np.isfinite(cut)}
    scores = np.array([x for edge in edges for x in _beside(edge)])
    n = len(scores)
    rules = StateRules(
        cuts=np.repeat(cuts, n, axis=0),
        low_band=np.full(n, float(row["low_band"])),
        high_band=np.full(n, float(row["high_band"])),
        min_duration_days=np.full(n, int(row["min_duration_days"])),
        requires_stronger_signal=np.full(n, bool(row["requires_stronger_signal"])),
    )
    age = np.full(n, int(today["regime_age_days"]) + 1)
    reached = next_state(np.full(n, state), age, scores, rules.cuts, rules)
    found = []
    for other in sorted(set(reached.tolist()) - {state}):
        there = scores[reached == other]
        nearest = float(there[np.argmin(np.abs(there - today["score"]))])
        found.append(Switch(names[other - shift], nearest, nearest - today["score"]))
    return found


def _beside(edge: float) -> tuple[float, float, float]:
    return float(np.nextafter(edge, -np.inf)), edge, float(np.nextafter(edge, np.inf))


def _worth(runs: Path, experiment_id: str, regime: str) -> Row | None:
    """Return what the newest run of an experiment says of a state, nearest 5 days."""
    try:
        run = Run.read(run_list.find_run(runs, experiment_id).folder)
    except MsmError:
        return None
    edges = run.edges_named(regime)
    if not edges:
        return None
    edge = min(edges, key=lambda row: abs(row["horizon_days"] - HORIZON))

    def turned(value: float | None) -> float | None:
        return None if value is None else -value

    return {
        "run_id": run.run_id,
        "horizon_days": edge["horizon_days"],
        "trade_edge": turned(edge["estimate"]),
        "low": turned(edge["ci_high"]),
        "high": turned(edge["ci_low"]),
        "p_edge": edge["p_edge"],
        "evidence": edge["evidence"],
        "n_spells": edge["n_spells"],
    }


def _last_days(lake: Lake, asof: date | None) -> dict[str, date | None]:
    found = {}
    with duckdb.connect() as con:
        for name, table in lake.tables.items():
            if "date" not in table.columns:
                continue
            until = "" if asof is None else f"where date <= date '{asof}'"
            rows = con.execute(f"select max(date)::date from {read_parquet(table.files)} {until}")
            found[name] = rows.fetchall()[0][0]
    return found


def _one(con: duckdb.DuckDBPyConnection, query: str, values: Row) -> tuple[Any, ...] | None:
    return con.execute(query, dict(values)).fetchone()


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: Row) -> list[dict[str, Any]]:
    found = con.execute(query, dict(values))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


_FEATURES: Final = """
    select
        own.feature_id,
        own.weight,
        today.raw_value,
        today.z_score,
        own.weight * today.z_score as contribution,
        own.weight * before.z_score as contribution_before
    from run_features as own
    left join z_scores as today
        on own.universe_id = today.universe_id and own.z_key = today.z_key
        and today.date = $day
    left join z_scores as before
        on own.universe_id = before.universe_id and own.z_key = before.z_key
        and before.date = $day::date - 1
    where own.run_id = $run_id
    order by abs(coalesce(contribution, 0)) desc, own.feature_id
"""
_TRADES: Final = """
    with today as (select * from positions where strategy_id = $run_id and date = $day),
    sides as (
        select long_leg_id as leg_id, 1 as sign, long_exposure_before as before,
            long_exposure_after as after
        from today
        union all
        select short_leg_id, -1, short_exposure_before, short_exposure_after from today
    )
    select
        asset_id,
        sum(sign * before * weight_before) as weight_before,
        sum(sign * after * weight_after) as weight_after,
        sum(sign * (after * weight_after - before * weight_before)) as trade
    from sides
    inner join leg_weights using (leg_id)
    where leg_weights.date = $day
    group by asset_id
    having max(abs(before * weight_before)) > 0 or max(abs(after * weight_after)) > 0
    order by weight_after desc, asset_id
"""
_BASKET: Final = """
    select asset_id, rank, weight
    from baskets
    inner join runs using (basket_id)
    where run_id = $run_id and date = $day
    order by rank
"""
