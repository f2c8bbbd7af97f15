"""Null markets as work: a run's figures among those of lakes in which its states tell nothing.

Every null market is a lake (`msm_py.lake.null_market`) and goes through the same graph as the run,
one invocation of dbt each, so that all that makes a run is part of what is tested: states that are
made of past prices, searches, baskets that follow market caps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from msm_py._typing import Row
from msm_py.errors import Interrupted, MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.registry import feature_registry
from msm_py.experiment.schema import Experiment
from msm_py.lake import null_market
from msm_py.lake.null_market import Market
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import batches, invocation
from msm_py.runner.executors import Workers, run_batch
from msm_py.runner.invocation import Outcome
from msm_py.settings import Places
from msm_py.store import (
    formats,
    layout,
    null_market_records,
    record_files,
    run_list,
    scratch,
    warehouse,
)
from msm_py.store.null_market_records import record_file
from msm_py.store.origin import code_fingerprint
from msm_py.store.trial import Trial

BLOCK_DAYS: Final = null_market.BLOCK_DAYS
FEWEST: Final = 19
"""Below this many the smallest p that there can be is above 5%."""
FEATURE_DAYS: Final = 90  # more than any feature looks back, before its z-score does
SECONDS_A_MARKET: Final = 3.0  # beside what the graph computes
EDGES: Final = ("spread", "edge_best")
NET_SHARPE: Final = "net_sharpe"
ADVANTAGE: Final = "net_sharpe_over_ungated"
STRATEGY: Final = (NET_SHARPE, ADVANTAGE)
NAME: Final = "null"


def figures(folder: Path) -> list[dict[str, Any]]:
    """Return what is compared of a run: statistic, horizon_days (None of returns), value.

    Edges are trade edges, plus is good for the trade; those with evidence ``none`` are missing.
    """
    evaluation = json.loads((folder / layout.REGIME_EVALUATION).read_bytes())
    entry = json.loads((folder / layout.CATALOG_ENTRY).read_bytes())
    found = [
        {
            "statistic": edge["edge"],
            "horizon_days": edge["horizon_days"],
            "value": None if edge["evidence"] == "none" else edge["trade_edge"],
        }
        for name in EDGES
        for edge in sorted(evaluation["edges"], key=lambda edge: int(edge["horizon_days"]))
        if edge["edge"] == name
    ]
    net, ungated = entry["net_sharpe"], entry["ungated_net_sharpe"]
    gain = None if net is None or ungated is None else net - ungated
    return [
        *found,
        {"statistic": NET_SHARPE, "horizon_days": None, "value": net},
        {"statistic": ADVANTAGE, "horizon_days": None, "value": gain},
    ]


def judge(own: Sequence[Row], markets: Sequence[Row]) -> list[dict[str, Any]]:
    """Rank the figures of a run among those of its null markets.

    Parameters
    ----------
    own
        Of the run, from `figures`.
    markets
        Each with its ``figures``; none when it failed.

    Returns
    -------
    list of dict
        For every figure of the run: statistic, horizon_days, ``value`` (the run's), ``n_markets``
        that have it, ``n_missing`` that completed without it, ``null_mean`` and ``null_q95`` (95%
        quantile) of those that have it, and the one-sided ``p_value`` = (1 + #{null >= run}) / (1 +
        n_markets), missing where the run lacks the figure or all null markets do. To count a market
        that lacks it as below the run would reward a run for having it, which is no edge.
    """
    complete = [market for market in markets if market["status"] == "complete"]
    among: dict[tuple[str, int | None], list[float]] = {}
    for market in complete:
        for row in market["figures"]:
            if row["value"] is not None:
                among.setdefault((row["statistic"], row["horizon_days"]), []).append(row["value"])
    return [
        _ranked(row, len(complete), among.get((row["statistic"], row["horizon_days"]), []))
        for row in own
    ]


def _ranked(row: Row, n_complete: int, null: Sequence[float]) -> dict[str, Any]:
    value, has_p = row["value"], bool(null) and row["value"] is not None
    return {
        **row,
        "n_markets": len(null),
        "n_missing": n_complete - len(null),
        "null_mean": float(np.mean(null)) if null else None,
        "null_q95": float(np.quantile(null, 0.95)) if null else None,
        "p_value": (1 + sum(x >= value for x in null)) / (1 + len(null)) if has_p else None,
    }


@dataclass(frozen=True)
class MarketsBegun:
    """The null markets of a run are begun: how many, how many to compute, roughly how long."""

    run_id: str
    n_markets: int
    n_waiting: int
    seconds: float


@dataclass(frozen=True)
class MarketEnded:
    """A null market is done: so many of those to compute, so many of them failed, seconds."""

    n_done: int
    n_failed: int
    n_waiting: int
    seconds: float


@dataclass(frozen=True)
class MarketsEnded:
    """The null markets of a run are done and recorded."""

    run_id: str


@dataclass(frozen=True)
class MarketsStopped:
    """They were interrupted: so many of those to compute are recorded."""

    n_done: int
    n_waiting: int


MarketEvent = MarketsBegun | MarketEnded | MarketsEnded | MarketsStopped
Tell = Callable[[MarketEvent], object]


def compute_all(
    run_ids: Sequence[str],
    n_markets: int,
    places: Places,
    open_workers: Callable[[], Workers],
    tell: Tell,
) -> list[dict[str, Any]]:
    """Compute the null markets of runs one after the other, and publish them; see `compute`."""
    records = []
    for run_id in run_ids:
        records.append(compute(run_id, n_markets, places, open_workers, tell))
        tell(MarketsEnded(run_id))
    warehouse.publish(places.runs, places.warehouse)
    return records


def compute(
    run_id: str,
    n_markets: int,
    places: Places,
    open_workers: Callable[[], Workers],
    tell: Tell,
) -> dict[str, Any]:
    """Compute what is not there yet of the null markets of a run, and record them.

    Parameters
    ----------
    run_id
        A complete run.
    n_markets
        How many there shall be; more that are there stay. Those that failed are tried again.
    places
        Where the run is, and whether null markets that are there are computed again.
    open_workers
        Returns what computes them; called when there is something to compute.
    tell
        Told what goes on.

    Returns
    -------
    The record: ``run_id``, ``title``, ``days`` (first and last day of a null market, and the first
    one that is drawn), ``markets`` (number, status, note, figures) and ``summary``, from `judge`.

    Raises
    ------
    Interrupted
        After Ctrl-C. What was computed is recorded.
    """
    folder = places.runs / run_id
    manifest = json.loads((folder / layout.MANIFEST).read_bytes())
    # a run of this code, as its id says, so the schema reads it
    experiment = from_resolved(manifest["spec"], where=f"spec of {run_id}")
    _drop_leftovers(places.runs)
    before = None if places.force else null_market_records.read_record(places.runs, run_id)
    there = {x["number"] for x in (before or {"markets": []})["markets"] if x["status"] != "failed"}
    waiting = [number for number in range(1, n_markets + 1) if number not in there]
    if before is not None and not waiting:
        tell(MarketsBegun(run_id, n_markets, 0, 0.0))
        return before
    workers = open_workers()
    n_rounds = -(-len(waiting) // workers.jobs)
    seconds = n_rounds * (SECONDS_A_MARKET + manifest["duration_seconds"])
    tell(MarketsBegun(run_id, n_markets, len(waiting), seconds))
    window = json.loads((folder / layout.METRICS).read_bytes())["window"]
    first, last = (date.fromisoformat(window[x]) for x in ("first_date", "last_date"))
    asked = as_null(experiment, first, last)
    market = _read_market(ResolvedRun(run_id, experiment), places, first, last)
    record = _begun(folder, market, last, [] if before is None else before["markets"])
    clock, done, failed = time.monotonic(), 0, 0
    with scratch.own_folder() as own:
        (own / "runs").mkdir()
        hidden = replace(places, runs=own / "runs", force=False)
        work = batches.run_sweep(
            [_named(asked, number) for number in waiting],
            hidden,
            batch_size=1,
            jobs=workers.jobs,
            open_executor=workers.open_executor,
            compute=partial(compute_market, market, experiment.evaluation.bootstrap.seed),
        )
        try:
            with closing(work):  # closed before anything else, so that no worker goes on
                for trial in work:
                    row = _market_row(trial, hidden.runs)
                    record = _with_market(places.runs, record, row)
                    done, failed = done + 1, failed + (row["status"] == "failed")
                    tell(MarketEnded(done, failed, len(waiting), time.monotonic() - clock))
        except (KeyboardInterrupt, Interrupted):
            tell(MarketsStopped(done, len(waiting)))
            raise Interrupted from None
    return record


def as_null(experiment: Experiment, first: date, last: date) -> Experiment:
    """Return what is asked of null markets: the same, on the days of the run, without the tests.

    Parameters
    ----------
    experiment
        What the run asks.
    first, last
        Its decision days.
    """
    spec = resolve(experiment)
    spec["window"] = {"start": first.isoformat(), "end": last.isoformat()}
    spec["title"] = "Null market"
    # a null market ends where the run does, so that nothing of it is hidden; only figures count
    spec["evaluation"] |= {"holdout_start": None, "look": False}
    spec["evaluation"]["bootstrap"] |= {"enabled": False}
    return from_resolved(spec)


def _named(experiment: Experiment, number: int) -> ResolvedRun:
    """Return the run of a null market; its id is known when its lake is."""
    name = f"{NAME}_{number}"
    return ResolvedRun(name, experiment.model_copy(update={"experiment_id": name}))


def _read_market(run: ResolvedRun, places: Places, first: date, last: date) -> Market:
    experiment, lake = run.experiment, open_lake(places.lake)
    registry, folder = feature_registry(), places.runs / run.run_id
    needed = {f"fact_{x}" for used in experiment.features for x in registry[used.id].needs}
    first_day = first - timedelta(experiment.feature_params.zscore_window_days + FEATURE_DAYS)
    with (
        invocation.built([run], places, null_market.MODELS) as database,
        invocation.opened(database) as con,
    ):
        try:
            return null_market.read_market(
                con,
                lake.settings,
                first_day=first_day,
                last_day=last,
                needed=needed & lake.tables.keys(),
                majors=experiment.universe.majors,
                excluded=experiment.universe.exclude_assets,
                n_basket=experiment.target.short_leg.n,
                foretold=_foretold(folder, experiment),
            )
        except ValueError as error:
            raise MsmError(
                "there are too few days to draw null markets from",
                where=run.run_id,
                received=str(error),
                remedy="leave --null-markets out, or take a longer window",
            ) from None


def _foretold(folder: Path, experiment: Experiment) -> dict[date, float]:
    """Return what the states of a run foretell of each day, from its second one on."""
    returns = formats.read_parquet(folder / layout.RETURNS)
    timeseries = formats.read_parquet(folder / layout.REGIME_TIMESERIES)
    _, states = np.unique(timeseries["regime"].to_pylist(), return_inverse=True)
    found = null_market.foretold_returns(
        returns["y"].to_numpy(),
        states,
        timeseries["score"].to_numpy(),
        experiment.target.horizons_days,
        lag_days=experiment.backtest.execution_lag_days,
    )
    return dict(zip(returns["date"].to_pylist()[1:], found[1:].tolist(), strict=True))


def compute_market(
    market: Market, seed: int, specs: Sequence[ResolvedRun], places: Places
) -> tuple[list[Outcome], str, float]:
    """Draw a null market, write its lake for as long as it takes, and run it.

    Parameters
    ----------
    market
        What is drawn from.
    seed
        Of the run; together with the null market's number it is that of the draw.
    specs
        One, named by `_named`.
    places
        Its runs folder gets the run folder; its lake is not read.

    Returns
    -------
    As `msm_py.runner.executors.run_batch`.
    """
    (spec,) = specs
    number = int(spec.run_id.removeprefix(f"{NAME}_"))
    with scratch.own_folder() as own:
        lake = own / "lake"
        days = null_market.drawn_days(market, seed=(seed, number))
        null_market.write_lake(null_market.null_market(market, days), lake, spec.run_id)
        run = ResolvedRun.of(spec.experiment, fingerprint(open_lake(lake)), code_fingerprint())
        (outcome,), started, seconds = run_batch([run], replace(places, lake=lake, cache=None))
    return [replace(outcome, run_id=spec.run_id)], started, seconds


def _market_row(trial: Trial, runs: Path) -> dict[str, Any]:
    number = int(str(trial.run_id).removeprefix(f"{NAME}_"))
    row = {"number": number, "status": trial.status, "note": trial.error, "figures": []}
    if trial.status == "complete":
        (folder,) = (x for x in run_list.existing_runs(runs) if x.startswith(f"{trial.run_id}-"))
        row["figures"] = figures(runs / folder)
    return row


def _begun(folder: Path, market: Market, last_day: date, markets: Sequence[Row]) -> dict[str, Any]:
    """Return a record with the null markets that are there."""
    first = market.first_day + timedelta(market.n_before - 1)
    drawn = market.first_day + timedelta(market.pool_start)
    return {
        "run_id": folder.name,
        "title": json.loads((folder / layout.CATALOG_ENTRY).read_bytes())["title"],
        "days": {
            "first_date": first.isoformat(),
            "first_drawn_date": drawn.isoformat(),
            "last_date": last_day.isoformat(),
        },
        "markets": list(markets),
        "summary": judge(figures(folder), markets),
    }


def _with_market(runs: Path, record: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Return and write a record with one null market more, in the order of their numbers."""
    markets = {x["number"]: x for x in [*record["markets"], row]}
    ordered = [markets[number] for number in sorted(markets)]
    summary = judge(figures(runs / record["run_id"]), ordered)
    updated = {**record, "markets": ordered, "summary": summary}
    record_files.replace(record_file(runs, record["run_id"]), updated)
    return updated


def _drop_leftovers(runs: Path) -> None:
    """Delete records whose run is gone."""
    for file in null_market_records.files(runs):
        if not (runs / file.stem).is_dir():
            file.unlink(missing_ok=True)


def failure(record: Row) -> MsmError | None:
    """Return the error that ends a command none of whose null markets completed."""
    failed = [x for x in record["markets"] if x["status"] == "failed"]
    if len(failed) < len(record["markets"]):
        return None
    return MsmError(
        "none of the null markets could be computed",
        where=f"null markets of {record['run_id']}",
        received=failed[0]["note"].splitlines()[0],
        remedy="mend the cause and run again with --null-markets",
    )
