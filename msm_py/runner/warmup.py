"""How much history an experiment needs before its window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.schema import Experiment
from msm_py.lake.cutting import write_lake
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.runner.dated_tables import renamed
from msm_py.runner.lookahead import same_ids, strategies_of
from msm_py.settings import Places
from msm_py.store import scratch
from msm_py.store.origin import code_fingerprint

NOT_OF_A_DAY: Final = ("edges+", "sharpe_tests+", "run_artifacts+")
"""Models of the window as a whole, and what comes after them."""
LENGTHS: Final = (30, 60, 90, 120, 150, 180, 270, 365, 545, 730)
"""Days of history that are tried, as far as the lake has them."""
OUTPUTS: Final[Mapping[str, tuple[Sequence[str], str]]] = {
    "z_scores": (("universe_id", "z_key", "date"), "z_score"),
    "scores": (("run_id", "date"), "raw_score"),
    "states": (("run_id", "date"), "regime_order"),
    "baskets": (("basket_id", "date", "asset_id"), "weight"),
    "daily_returns": (("strategy_id", "date"), "r_net"),
}
"""What is compared: model, what names a row, its number."""


@dataclass(frozen=True)
class Changed:
    """How an output changes with less history.

    Parameters
    ----------
    n_rows
        Rows with another value, or on one side only.
    n_missing
        Those that lack a value that the whole history gives.
    largest
        The largest absolute difference; None where none has both values.
    last_day
        The last day with a difference.
    """

    n_rows: int
    n_missing: int
    largest: float | None
    last_day: date | None


@dataclass(frozen=True)
class WithHistory:
    """What becomes of an experiment with so much history.

    Parameters
    ----------
    n_days
        Days of history before the window.
    changed
        How each output changes; those that do not are left out.
    error
        Why nothing could be computed.
    """

    n_days: int
    changed: Mapping[str, Changed]
    error: str | None = None


@dataclass(frozen=True)
class Warmup:
    """How an experiment hangs on the history before its window.

    Parameters
    ----------
    experiment_id
        Which one.
    first_day
        The first decision day, with the whole history.
    n_days
        Days of history that the lake has.
    tried
        What became of it with less, the shortest first.
    """

    experiment_id: str
    first_day: date
    n_days: int
    tried: Sequence[WithHistory]

    @property
    def enough(self) -> int | None:
        """The length from which on nothing changes any more; None if no tried one is enough."""
        found = None
        for one in reversed(self.tried):
            if one.changed or one.error is not None:
                break
            found = one.n_days
        return found


Tell = Callable[[WithHistory], object]


def check_warmup(experiment: Experiment, places: Places, tell: Tell | None = None) -> Warmup:
    """Build an experiment on lakes that begin later and later, and compare what it decides.

    Parameters
    ----------
    experiment
        What is built.
    places
        Where the lake is. Nothing is written.
    tell
        Told of each length as it is done.

    Raises
    ------
    MsmError
        The lake cannot be read, or there is no history before the window.
    """
    lake = open_lake(places.lake)
    run = _run(experiment, places.lake)
    with ExitStack() as stack:
        own = stack.enter_context(scratch.own_folder())
        places = invocation.in_scratch(places, own)
        whole = stack.enter_context(invocation.built_without([run], places, NOT_OF_A_DAY))
        with duckdb.connect(whole, read_only=True) as con:
            ((first, begin, fault),) = con.execute(
                """
                select
                    (select min(date) from states),
                    (select min(date) from stg_prices),
                    (select any_value(error) from run_errors where error is not null)
                """
            ).fetchall()
        if fault is not None:
            raise MsmError(
                "the experiment cannot be computed on this lake",
                where=experiment.experiment_id,
                received=fault,
                remedy="mend that first; `msm check` tells more",
            )
        n_days = 0 if first is None else (first - begin).days
        lengths = [x for x in LENGTHS if x < n_days]
        if not lengths:
            raise MsmError(
                "there is too little history before the window to leave some out",
                where=f"{experiment.experiment_id}.window.start",
                received=f"{n_days} days of history before the first decision day",
                remedy=f"choose a window that begins later: {LENGTHS[0]} days are tried first",
            )
        tried = []
        for length in lengths:
            folder = own / f"lake_{length}"
            write_lake(lake, folder, since=first - timedelta(days=length))
            other = _run(experiment, folder)
            try:
                with invocation.built_without(
                    [other], replace(places, lake=folder), NOT_OF_A_DAY
                ) as less:
                    ids = {other.run_id: run.run_id}
                    done = WithHistory(length, _changed(whole, less, first, ids))
            except MsmError as error:
                done = WithHistory(length, {}, f"{error.what} ({error.received})")
            shutil.rmtree(folder)
            tried.append(done)
            if tell is not None:
                tell(done)
    return Warmup(experiment.experiment_id, first, n_days, tried)


def _run(experiment: Experiment, lake: Path) -> ResolvedRun:
    return ResolvedRun.of(experiment, fingerprint(open_lake(lake)), code_fingerprint())


def _changed(whole: Path, less: Path, first: date, runs: Mapping[str, str]) -> dict[str, Changed]:
    with (
        duckdb.connect(whole, read_only=True) as a,
        duckdb.connect(less, read_only=True) as b,
    ):
        ids = same_ids(strategies_of(a), strategies_of(b), runs)
        found = {}
        for name, (key, number) in OUTPUTS.items():
            left, right = (
                con.sql(
                    f"select {', '.join(_column(x, of) for x in key)}, "
                    f"cast({number} as double) as number from {name} where date >= date '{first}'"
                ).to_arrow_table()
                for con, of in ((a, {}), (b, ids))
            )
            changed = _compared(left, right, key)
            if changed.n_rows:
                found[name] = changed
        return found


def _column(name: str, ids: Mapping[str, str]) -> str:
    return renamed(name, ids if name.endswith("_id") else {})


def _compared(left: pa.Table, right: pa.Table, key: Sequence[str]) -> Changed:
    with duckdb.connect() as con:
        con.register("a", left)
        con.register("b", right)
        row = con.execute(
            f"""
            select
                count(*) as n_rows,
                count(*) filter (b.number is null) as n_missing,
                max(abs(a.number - b.number)) as largest,
                max(coalesce(a.date, b.date)) as last_day
            from a full join b using ({", ".join(key)})
            where a.number is distinct from b.number
            """
        ).fetchall()[0]
        return Changed(*row)
