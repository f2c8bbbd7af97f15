"""Walk-forward search: parameters chosen before each test window, from its lookback alone.

The same candidates are scored before every test window, each on the days that it would have traded
in the lookback, and the best one is in force on the window's days. Days at the lookback's end whose
forward returns would reach into the test window are purged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msm_py._typing import Floats, Ints
from msm_py.regimes import CUTS
from msm_py.stats.inference import TESTABLE_SPELLS, count_spells
from msm_py.stats.sample import Sample


@dataclass(frozen=True)
class Window:
    """A test window and the days its parameters are chosen on; day numbers, ends excluded.

    Parameters
    ----------
    scored_from, scored_until
        The lookback less the purged days.
    first, end
        The test window.
    """

    scored_from: int
    scored_until: int
    first: int
    end: int

    @property
    def scored(self) -> slice:
        """The days that candidates are scored on."""
        return slice(self.scored_from, self.scored_until)


@dataclass(frozen=True)
class Candidates:
    """Parameters to choose from, one row per candidate.

    Parameters
    ----------
    weights
        Shape (candidates, features).
    cuts
        Shape (candidates, 4): strong_low, low, high, strong_high; NaN where there is no such cut.
    """

    weights: Floats
    cuts: Floats


def windows(n_days: int, *, lookback_days: int, test_days: int, purged_days: int) -> list[Window]:
    """Return the test windows of a run, in order.

    Parameters
    ----------
    n_days
        Decision days of the run; day 0 is the first one.
    lookback_days, test_days
        Lengths. The first window starts after one lookback; the last may be shorter, for whether
        its days will count is not known on its first day.
    purged_days
        Days before a test window that candidates are not scored on: the longest horizon plus the
        execution lag, so that no forward return that is scored ends in the test window.

    Examples
    --------
    >>> for window in windows(12, lookback_days=5, test_days=4, purged_days=2): print(window)
    Window(scored_from=0, scored_until=3, first=5, end=9)
    Window(scored_from=4, scored_until=7, first=9, end=12)
    """
    return [
        Window(first - lookback_days, first - purged_days, first, min(first + test_days, n_days))
        for first in range(lookback_days, n_days, test_days)
    ]


def draw_candidates(
    *,
    n_candidates: int,
    seed: int,
    features: Sequence[str],
    weights: Floats,
    cuts: Floats,
    weight_ranges: Mapping[str, Sequence[float]],
    cut_ranges: Mapping[str, Sequence[float]],
) -> Candidates:
    """Draw candidates evenly from their ranges.

    Parameters
    ----------
    n_candidates, seed
        How many, and from which stream of numbers. The first k of a larger draw are the draw of k.
    features
        Feature ids, in the order of ``weights``.
    weights, cuts
        The experiment's own: what has no range keeps its value. Shapes (features,) and (4,).
    weight_ranges, cut_ranges
        (least, most) by feature id and by name of the cut. When any weight has a range, all are
        scaled so that their absolute values sum to 1.

    Notes
    -----
    ``default_rng(seed).random((n_candidates, k))`` fills k columns: the weights with a range in the
    order of ``features``, then strong_low, low, high, strong_high where they have one.

    Examples
    --------
    >>> drawn = draw_candidates(
    ...     n_candidates=2, seed=1, features=["a", "b"], weights=np.array([0.5, 0.5]),
    ...     cuts=np.array([np.nan, -0.5, 0.5, np.nan]), weight_ranges={"a": (-1.0, 1.0)},
    ...     cut_ranges={"high": (0.4, 0.6)},
    ... )
    >>> drawn.weights.round(3)
    array([[ 0.045,  0.955],
           [-0.587,  0.413]])
    >>> drawn.cuts.round(3)
    array([[  nan, -0.5 ,  0.59,   nan],
           [  nan, -0.5 ,  0.59,   nan]])
    """
    ranged = [(weight_ranges, name) for name in features if name in weight_ranges]
    ranged += [(cut_ranges, name) for name in CUTS if name in cut_ranges]
    unit = np.random.default_rng(seed).random((n_candidates, len(ranged)))
    drawn_weights = np.tile(weights, (n_candidates, 1))
    drawn_cuts = np.tile(cuts, (n_candidates, 1))
    for column, (ranges, name) in enumerate(ranged):
        least, most = ranges[name]
        values = least + (most - least) * unit[:, column]
        if ranges is weight_ranges:
            drawn_weights[:, list(features).index(name)] = values
        else:
            drawn_cuts[:, CUTS.index(name)] = values
    if weight_ranges:
        drawn_weights /= np.abs(drawn_weights).sum(axis=1, keepdims=True)
    return Candidates(drawn_weights, drawn_cuts)


def majors_edge(y: Floats, regime: Ints, spell: Ints, *, n_regimes: int) -> Floats:
    """Return minus edge_best: how far Y lies below its mean in the best state.

    Y is alts minus BTC and the trade is long majors, short alts, hence the sign: more is better.

    Parameters
    ----------
    y
        Forward returns, shape (days,), NaN where there is none.
    regime, spell
        Shape (candidates, days): 0 (most ALTS) to n_regimes - 1, and the number of the stay.
    n_regimes
        Number of regimes.

    Returns
    -------
    Shape (candidates,). The best state is that of the evaluation, the most MAJORS one with at least
    `TESTABLE_SPELLS` spells: the best of many candidates would else owe it to a state that was
    hardly ever visited. NaN without such a state.
    """
    sample = _sample(y, regime, spell, n_regimes)
    known = sample.testable.any(axis=-1)
    return np.where(known, 0.0 - Sample.pick(sample.estimate, sample.best), np.nan)


def spread_t(
    y: Floats, regime: Ints, spell: Ints, *, n_regimes: int, block_days: Callable[[int], int]
) -> Floats:
    """Return minus the t of the spread (estimate over standard error): more is better.

    Parameters
    ----------
    y, regime, spell, n_regimes
        As in `majors_edge`.
    block_days
        Block length of the standard error, from the number of pairs, as in the evaluation.

    Returns
    -------
    Shape (candidates,). NaN without two states of so many spells.
    """
    sample = _sample(y, regime, spell, n_regimes)
    se = sample.standard_error(block_days(sample.n))[:, n_regimes]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(se > 0, 0.0 - sample.estimate[:, n_regimes] / se, np.nan)


def _sample(y: Floats, regime: Ints, spell: Ints, n_regimes: int) -> Sample:
    """Return the pairs of the candidates; best and worst may be the states of enough spells."""
    paired = ~np.isnan(y)
    states = np.ascontiguousarray(regime[:, paired])
    repeated = np.repeat(y[paired][None], len(regime), axis=0)
    spells = count_spells(states, spell[:, paired], n_regimes)
    return Sample.of(repeated, states, n_regimes, testable=spells >= TESTABLE_SPELLS)


def best_candidate(values: Floats) -> int | None:
    """Return the number of the first candidate with the highest value; None if none has any.

    Examples
    --------
    >>> best_candidate(np.array([np.nan, 1.0, 2.0, 2.0])), best_candidate(np.array([np.nan]))
    (2, None)
    """
    if np.isnan(values).all():
        return None
    return int(np.nanargmax(values))
