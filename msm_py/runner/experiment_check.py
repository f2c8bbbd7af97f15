"""What an experiment would meet on a lake, before it is run: nothing is written, no return is told.

The models are those of a run, built as far as needed: whatever is told here, a run computes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment import variants
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.plausibility import doubtful_settings, unreached_cuts
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.regimes import CUTS
from msm_py.runner import invocation
from msm_py.settings import Places
from msm_py.store.origin import code_fingerprint

MOST_REJECTED: Final = 10
MODELS: Final = ("alts", "baskets", "run_features", "states", "run_errors", "daily_returns")


@dataclass(frozen=True)
class Read:
    """What files of experiments hold.

    Parameters
    ----------
    runs
        The experiment of every sound file; of a sweep its first variant.
    notes
        What there is to say of sweeps, a sentence each.
    errors
        All that is wrong with the others.
    """

    runs: Sequence[ResolvedRun]
    notes: Sequence[str]
    errors: Sequence[MsmError]


def read(files: Sequence[Path], lake: Path | None, start: str | None, end: str | None) -> Read:
    """Read experiments and sweeps, every variant of them.

    Parameters
    ----------
    files
        YAML files.
    lake
        The lake that they are to be looked at on; None for none.
    start, end
        Replace the windows of the files.

    Raises
    ------
    MsmError
        When the lake cannot be opened.
    """
    data = "" if lake is None else fingerprint(open_lake(lake))
    runs, notes, errors = [], [], []
    for file in files:
        try:
            found = variants.expand(file, start=start, end=end)
        except MsmError as error:
            errors.append(error)
            continue
        runs += [ResolvedRun.of(x, data, code_fingerprint()) for x in found.variants[:1]]
        errors += [
            MsmError(f"a variant is no valid experiment: {one.error}", where=f"{file}: {one.title}")
            for one in found.rejected[:MOST_REJECTED]
        ]
        if len(found.variants) > 1 or found.rejected:
            notes.append(
                f"{file}: {len(found.variants)} variants, of which the first is shown; "
                f"{len(found.rejected)} more are no valid experiments, {found.n_duplicates} "
                "duplicates are dropped."
            )
    return Read(runs, notes, errors)


@dataclass(frozen=True)
class Met:
    """What an experiment meets on a lake.

    Parameters
    ----------
    first_date, last_date
        First and last decision day; None when there is none.
    error
        Why a run would fail; None when it would not.
    assets
        A row per year: days, least and median number of eligible alts, least and median number of
        members of the basket over rebalance days.
    coverage
        A row per feature and year: share of the days with a z-score.
    scores
        Lowest, 1%, 50% and 99% quantile and highest score of the decision days; None without any.
    states
        A row per state: share of the days that the cuts alone would put there, and share of the
        days it is in force, with hysteresis and all. Without the former when a search chooses cuts.
    trading
        A row for the run and one for its control without gating: turnover, costs and funding a year
        of 365 days, as shares of net asset value.
    doubts
        What is likely meant otherwise.
    """

    first_date: date | None
    last_date: date | None
    error: str | None
    assets: Sequence[Row]
    coverage: Sequence[Row]
    scores: Sequence[float] | None
    states: Sequence[Row]
    trading: Sequence[Row]
    doubts: Sequence[str]


def check(runs: Sequence[ResolvedRun], places: Places) -> list[Met]:
    """Return what experiments meet on a lake, in their order.

    Parameters
    ----------
    runs
        The experiments.
    places
        Where the lake is. Nothing is written there, nor to the runs folder or the warehouse.

    Raises
    ------
    MsmError
        When the lake cannot be read, or its data contradict each other.
    """
    with (
        invocation.built(runs, places, MODELS) as database,
        invocation.opened(database) as con,
    ):
        return [_met(con, run) for run in runs]


def _met(con: duckdb.DuckDBPyConnection, run: ResolvedRun) -> Met:
    own = {"run_id": run.run_id}
    ((first, last),) = con.execute(
        "select first_date, last_date from run_windows where run_id = $run_id", own
    ).fetchall()
    (error,) = con.execute(
        "select error from run_errors where run_id = $run_id", own
    ).fetchone() or (None,)
    if error is not None:
        doubts = doubtful_settings(run.experiment)
        return Met(first, last, error, (), (), None, (), (), doubts)
    scores = con.execute(_SCORES, own).fetchone()
    found = None if scores is None or scores[0] is None else [float(x) for x in scores]
    cuts = run.experiment.state_mapping.thresholds
    has_search = run.experiment.backtest.grid_search is not None
    doubts = doubtful_settings(run.experiment)
    if found is not None and not has_search:
        doubts += unreached_cuts({name: getattr(cuts, name) for name in CUTS}, found[0], found[-1])
    states = _rows(con, _STATES, own)
    if not has_search:
        by_cuts = _shares_by_cuts(con, run, [row["regime"] for row in states])
        states = [{**row, "by_cuts": by_cuts[row["regime"]]} for row in states]
    return Met(
        first,
        last,
        None,
        _rows(con, _ASSETS, own),
        _rows(con, _COVERAGE, own),
        found,
        states,
        _rows(con, _TRADING, own),
        doubts,
    )


def _shares_by_cuts(
    con: duckdb.DuckDBPyConnection, run: ResolvedRun, regimes: Sequence[str]
) -> dict[str, float | None]:
    """Return the share of scored days that lie between the cuts of each state, by state.

    A day on a cut is on its inner side: states beyond are below the low cuts, above the high ones.
    """
    thresholds = run.experiment.state_mapping.thresholds
    sides = {
        side: [
            x
            for name in CUTS
            if name.endswith(side) and (x := getattr(thresholds, name)) is not None
        ]
        for side in ("low", "high")
    }
    counted = con.execute(
        """
        select
            len([cut for cut in cast($low as double[]) if score >= cut])
            + len([cut for cut in cast($high as double[]) if score > cut]),
            count(*)
        from states
        where run_id = $run_id and score is not null
        group by 1
        """,
        {"run_id": run.run_id, **sides},
    ).fetchall()
    total = sum(n for _, n in counted)
    shares = {int(place): n / total for place, n in counted}
    return {name: shares.get(place, 0.0) if total else None for place, name in enumerate(regimes)}


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> list[Row]:
    found = con.execute(query, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


_DAYS: Final = """
    select
        runs.*,
        cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as day
    from run_windows
    inner join runs using (run_id)
    where run_id = $run_id
"""
_ASSETS: Final = f"""
    with days as ({_DAYS}),
    eligible as (
        select universe_id, date, count(*) as n from alts group by universe_id, date
    ),
    members as (
        select basket_id, date, count(*) as n from baskets group by basket_id, date
    )
    select
        year(day) as year, count(*) as n_days,
        min(coalesce(eligible.n, 0)) as fewest_eligible,
        median(coalesce(eligible.n, 0)) as median_eligible,
        min(members.n) as fewest_members, median(members.n) as median_members
    from days
    left join eligible on days.universe_id = eligible.universe_id and day = eligible.date
    left join members on days.basket_id = members.basket_id and day = members.date
    group by year(day)
    order by year(day)
"""
_COVERAGE: Final = f"""
    with days as ({_DAYS})
    select
        run_features.feature_id, run_features.weight, year(day) as year,
        count(z_scores.z_score) / count(*) as share
    from days
    inner join run_features on days.run_id = run_features.run_id
    left join z_scores
        on
            days.universe_id = z_scores.universe_id
            and run_features.z_key = z_scores.z_key
            and day = z_scores.date
    group by run_features.feature_id, run_features.weight, year(day)
    order by run_features.feature_id, year(day)
"""
_SCORES: Final = """
    select
        min(score), quantile_cont(score, 0.01), quantile_cont(score, 0.5),
        quantile_cont(score, 0.99), max(score)
    from states
    where run_id = $run_id
"""
_STATES: Final = """
    with counted as (
        select regime, count(*) / sum(count(*)) over () as share
        from states where run_id = $run_id group by regime
    )
    select run_regimes.regime, coalesce(counted.share, 0) as share
    from run_regimes
    left join counted on run_regimes.regime = counted.regime
    where run_regimes.run_id = $run_id
    order by run_regimes.regime_order
"""
_TRADING: Final = """
    select
        daily_returns.is_run,
        365 * avg(turnover) as turnover, 365 * avg(cost) as cost, 365 * avg(funding) as funding,
        avg(gross_exposure) as gross_exposure
    from daily_returns
    inner join strategies
        on daily_returns.strategy_id in (strategies.strategy_id, strategies.control_id)
    where strategies.strategy_id = $run_id
    group by daily_returns.is_run
    order by daily_returns.is_run desc
"""
