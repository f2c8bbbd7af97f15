"""The neighbours of a run: does its result survive small changes of what should not matter.

The neighbours of a run differ from it in one respect each: when it is traded, what that costs, how
many alts are short, how z-scores and cuts are set, when a leg is renewed, when the window starts,
and which features speak. The placebos are the run with its states rotated in time: they have its
states, its stays and its costs, but not its timing.

Neighbours share most of their days with the run and with each other, so that their number is no
number of independent tests. Only the placebos give a p-value, and it knows nothing of how many runs
were tried before this one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Final, TypeVar

from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.schema import Experiment, Section
from msm_py.experiment.values import WEEKDAYS

S = TypeVar("S", bound=Section)
LAGS_DAYS: Final = (0, 1)
COST_FACTORS: Final = (0, 1, 2)
BASKET_STEPS: Final = (-5, 5)
ZSCORE_WINDOWS_DAYS: Final = (45, 90)
THRESHOLD_FACTORS: Final = (0.8, 1.2)
START_WEEKS: Final = (1, 2, 3, 4, 5)
N_PLACEBOS: Final = 100
LEAST_OFFSET_DAYS: Final = 20
PLACEBO: Final = "placebo"
# what the schema allows, less the longest check and setting and the words between them
LONGEST_BASE: Final = 130


@dataclass(frozen=True)
class Neighbour:
    """A run that differs from another one in one respect.

    Parameters
    ----------
    check, setting
        What differs, and how.
    experiment
        What is run; None for one that is not run.
    note
        Why it is not run: it would be the run itself (then ``is_itself``), or it cannot be.
    is_itself
        Whether the setting is that of the run.
    """

    check: str
    setting: str
    experiment: Experiment | None = None
    note: str | None = None
    is_itself: bool = False


def check_no_placebo(experiment: Experiment, what: str = "robustness panel") -> None:
    """See that a run is no placebo itself, before it gets "a robustness panel" or the like.

    Raises
    ------
    MsmError
        When it is.
    """
    days = experiment.state_mapping.placebo_rotation_days
    if days:
        raise MsmError(
            f"a placebo has no {what}",
            where=f"state_mapping.placebo_rotation_days of {experiment.experiment_id}",
            received=days,
            remedy="remove it: `msm run EXPERIMENT --robust` makes placebos of its own",
        )


def neighbours(experiment: Experiment, *, first_date: date, n_days: int) -> list[Neighbour]:
    """Return the neighbours of a run, placebos last.

    Parameters
    ----------
    experiment
        What the run asks.
    first_date, n_days
        The run's first decision day and its number of decision days. Starts are shifted from that
        day, because the window may begin before there is anything to decide on.

    Returns
    -------
    list of Neighbour
        Every setting of every check, those as well that are the run's own or cannot be.

    Raises
    ------
    MsmError
        As `check_no_placebo`.

    Examples
    --------
    >>> features = [{"id": "momentum", "weight": 1}, {"id": "oi_risk", "weight": 1}]
    >>> experiment = from_resolved({"experiment_id": "a", "features": features})
    >>> found = neighbours(experiment, first_date=date(2024, 1, 1), n_days=500)
    >>> [x.setting for x in found if x.check == "costs"], len(found)
    (['x0', 'x1', 'x2'], 126)
    >>> free = found[2].experiment
    >>> free.experiment_id, free.backtest.costs.taker_fee_bps
    ('a_costs_x0', 0.0)
    """
    check_no_placebo(experiment)
    return [
        _neighbour(experiment, check, setting, changed)
        for check, setting, changed in _variants(experiment, first_date, n_days)
    ]


Variant = tuple[str, str, Experiment | str]
"""Check, setting, and the changed experiment, not validated yet, or why there is none."""


def _variants(own: Experiment, first_date: date, n_days: int) -> Iterator[Variant]:
    for lag in LAGS_DAYS:
        changed = _set(own, "backtest", execution_lag_days=lag)
        yield "execution lag", f"{lag} day{'' if lag == 1 else 's'}", changed
    for factor in COST_FACTORS:
        yield "costs", f"x{factor}", _with_costs(own, factor)
    for step in BASKET_STEPS:
        n = own.target.short_leg.n + step
        changed = _set(own, "target.short_leg", n=n)
        yield "basket size", f"n {n}", changed if n > 0 else "no alt would be left"
    for days in ZSCORE_WINDOWS_DAYS:
        yield "z-window", f"{days} days", _set(own, "feature_params", zscore_window_days=days)
    for threshold in THRESHOLD_FACTORS:
        yield "thresholds", f"x{threshold}", _with_thresholds(own, threshold)
    yield from _rebalances(own)
    yield from _starts(own, first_date, n_days)
    yield from _without_features(own)
    yield from _placebos(own, n_days)


COST_KEYS: Final = ("taker_fee_bps", "slippage_bps")


def _rebalances(own: Experiment) -> Iterator[Variant]:
    daily = _set(own, "backtest", rebalance_frequency_days=1, rebalance_weekday=None)
    yield "rebalance", "daily", daily
    for day in WEEKDAYS:
        weekly = _set(own, "backtest", rebalance_frequency_days=None, rebalance_weekday=day)
        yield "rebalance", day, weekly


def _starts(own: Experiment, first_date: date, n_days: int) -> Iterator[Variant]:
    needed = 1
    if own.backtest.walk_forward:
        needed = own.backtest.lookback_window_days + own.backtest.min_test_days
    for weeks in START_WEEKS:
        start = first_date + timedelta(weeks=weeks)
        setting = f"+{weeks} week{'' if weeks == 1 else 's'}"
        left = n_days - 7 * weeks
        if left < needed:
            yield "start", setting, f"{max(left, 0)} days would be left, {needed} are needed"
        else:
            yield "start", setting, _set(own, "window", start=start)


def _without_features(own: Experiment) -> Iterator[Variant]:
    search = own.backtest.grid_search
    searched = search.weights if search else {}
    for feature in own.features:
        others = tuple(other for other in own.features if other.id != feature.id)
        if not others:
            yield "without feature", feature.id, "it is the only one"
        elif not feature.weight and feature.id not in searched:
            yield "without feature", feature.id, "its weight is 0"
        else:
            changed = own.model_copy(update={"features": others})
            if feature.id in searched:
                weights = {key: pair for key, pair in searched.items() if key != feature.id}
                changed = _set(changed, "backtest.grid_search", weights=weights)
            yield "without feature", feature.id, changed


def _placebos(own: Experiment, n_days: int) -> Iterator[Variant]:
    least = max(LEAST_OFFSET_DAYS, *own.target.horizons_days)
    seed = own.evaluation.bootstrap.seed
    # what a placebo is needed for is its net Sharpe ratio
    untested = _set(own, "evaluation.bootstrap", enabled=False)
    for days in placebo_offsets(n_days, least_days=least, seed=seed):
        changed = _set(untested, "state_mapping", placebo_rotation_days=days)
        yield PLACEBO, f"states rotated by {days} days", changed


def placebo_offsets(
    n_days: int, *, least_days: int, seed: int, n_placebos: int = N_PLACEBOS
) -> list[int]:
    """Return by how many days the states of placebos are rotated, ascending and distinct.

    One offset is drawn from each of ``n_placebos`` equal stretches of the circle. Neighbouring
    offsets give nearly the same path, so that stretches say more than draws from all of it; draws
    say more than even steps, which would keep weekdays aligned where the step is about 7 days.

    Parameters
    ----------
    n_days
        Decision days of the run.
    least_days
        An offset is at least this, either way round the circle.
    seed
        Of the draws.
    n_placebos
        How many; all there are when there are fewer, none when the window is too short.

    Examples
    --------
    >>> placebo_offsets(46, least_days=20, seed=1)
    [20, 21, 22, 23, 24, 25, 26]
    >>> placebo_offsets(30, least_days=20, seed=1)
    []
    """
    n_offsets = n_days - 2 * least_days + 1
    n = min(n_placebos, max(n_offsets, 0))
    # Python promises Random.random() to be the same in all versions
    stream = random.Random(f"{seed} placebo")
    bounds = [least_days + n_offsets * i // n for i in range(n + 1)] if n else []
    return [low + int(stream.random() * (high - low)) for low, high in pairwise(bounds)]


def _neighbour(own: Experiment, check: str, setting: str, changed: Experiment | str) -> Neighbour:
    if isinstance(changed, str):
        return Neighbour(check, setting, note=changed)
    if changed == own:
        return Neighbour(check, setting, note="the run itself", is_itself=True)
    base = own.experiment_id[:LONGEST_BASE]
    named = changed.model_copy(
        update={
            "experiment_id": "_".join([base, _slug(check), _slug(setting)]),
            "title": f"{own.title}: {check} {setting}",
        }
    )
    try:
        return Neighbour(check, setting, from_resolved(resolve(named)))
    except MsmError as error:
        return Neighbour(check, setting, note=" ".join(error.what.split()))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _set(section: S, path: str, **values: object) -> S:
    """Return a section in which the one at a dotted path has other values, not validated yet."""
    if not path:
        return section.model_copy(update=values)
    name, _, rest = path.partition(".")
    return section.model_copy(update={name: _set(getattr(section, name), rest, **values)})


def _scaled(own: Experiment, path: str, factor: float, keys: Sequence[str]) -> Experiment:
    """Return an experiment in which some numbers of a section are multiplied."""
    section = attrgetter(path)(own)
    return _set(own, path, **{key: _times(getattr(section, key), factor) for key in keys})


def _with_costs(own: Experiment, factor: float) -> Experiment:
    """Scale fees and slippage, and impact where it is charged."""
    changed = _scaled(own, "backtest.costs", factor, COST_KEYS)
    if own.backtest.capital_usd is not None:
        changed = _scaled(changed, "backtest", factor, ("impact_coefficient",))
    return changed


def _with_thresholds(own: Experiment, factor: float) -> Experiment:
    """Scale the cuts, and the ranges that a search draws them from."""
    given = [name for name, cut in own.state_mapping.thresholds if cut is not None]
    changed = _scaled(own, "state_mapping.thresholds", factor, given)
    search = own.backtest.grid_search
    if search:
        ranges = {
            name: tuple(_times(bound, factor) for bound in pair)
            for name, pair in search.thresholds.items()
        }
        changed = _set(changed, "backtest.grid_search", thresholds=ranges)
    return changed


def _times(value: float, factor: float) -> float:
    """Multiply without leaving a 1.7999999999999998 in a title or a hash."""
    return float(f"{value * factor:.12g}")
