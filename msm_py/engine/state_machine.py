"""The hysteresis state machine, vectorised over runs.

A loop over days with arrays over runs: day t needs day t - 1, runs need nothing of each other. All
states are numbered as five, from 0 (the most ALTS state) to 4 (the most MAJORS state) with 2 for
BALANCED; a run with three states never reaches 0 and 4, because its outer cuts are infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msm_py._typing import Bools, Floats, Ints
from msm_py.regimes import BALANCED

# what multiplies the band while a state is younger than min_duration_days
YOUNG_BAND_FACTOR = 1.5


@dataclass(frozen=True)
class StateRules:
    """The rules of the state machine, one element per run.

    Parameters
    ----------
    cuts
        Shape (runs, 4), or (runs, days, 4) where they change, in the order of `CUTS`.
        With three states the outer two are minus and plus infinity.
    low_band, high_band
        Shape (runs,): what a score must pass a cut by on the way back to BALANCED, from the
        MAJORS side (negative) and from the ALTS side (positive).
    min_duration_days
        Shape (runs,): a state is young while its age is below this.
    requires_stronger_signal
        Shape (runs,): whether a young state's bands are 1.5 times as wide (else it never leaves).
    """

    cuts: Floats
    low_band: Floats
    high_band: Floats
    min_duration_days: Ints
    requires_stronger_signal: Bools


def weighted_scores(z_scores: Floats, weights: Floats) -> Floats:
    """Return the weighted sums of z-scores, before smoothing and gate.

    Parameters
    ----------
    z_scores
        Shape (days, features), a missing z counting 0.
    weights
        Shape (runs, features).

    Returns
    -------
    Shape (runs, days); no matrix product, whose bits depend on the number of threads.

    Examples
    --------
    >>> weighted_scores(np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([[0.5, 0.25]]))
    array([[1., 1.]])
    """
    score = np.zeros((len(weights), len(z_scores)))
    for feature in range(weights.shape[1]):
        score += weights[:, feature, None] * z_scores[:, feature]
    return score


def unbounded(cuts: Floats) -> Floats:
    """Return cuts (last axis: the four) with infinite outer ones for runs that have none."""
    bounds = np.array([-np.inf, 0.0, 0.0, np.inf])
    return np.where(np.isnan(cuts), bounds, cuts)


def smooth(score: Floats, span_days: Floats) -> Floats:
    """Return the exponential moving average of the scores, per run.

    Parameters
    ----------
    score
        Shape (runs, days), NaN on days without a score. The first day of a run that has one starts
        the average.
    span_days
        Shape (runs,), s in alpha = 2 / (s + 1); NaN for runs that are not smoothed.

    Returns
    -------
    Shape (runs, days). The value at t depends on scores dated <= t only; a day without a score has
    none here either and leaves the average as it was.

    Examples
    --------
    >>> smooth(np.array([[1.0, 3.0, np.nan, 3.0]]), np.array([3.0]))
    array([[1. , 2. , nan, 2.5]])
    """
    alpha = np.where(np.isnan(span_days), 1.0, 2.0 / (span_days + 1.0))
    smoothed = np.full_like(score, np.nan)
    average = np.full(len(score), np.nan)
    for day in range(score.shape[1]):
        today = score[:, day]
        known = ~np.isnan(today)
        started = ~np.isnan(average)
        moved = np.where(started, alpha * today + (1.0 - alpha) * average, today)
        # without smoothing the score itself, not 1.0 * score + 0.0 * before
        moved = np.where(alpha == 1.0, today, moved)
        average = np.where(known, moved, average)
        smoothed[known, day] = average[known]
    return smoothed


def gate(score: Floats, btc_return: Floats, max_abs_return: Floats, high: Floats) -> Floats:
    """Return the scores with the high-volatility gate applied.

    Parameters
    ----------
    score, btc_return
        Shape (runs, days): the (smoothed) score and BTC's return over the gate's days; NaN where
        missing. A missing return means no gate.
    max_abs_return
        Shape (runs,): the limit, NaN for runs without the gate.
    high
        The cut `high`, shape (runs,), or (runs, days) where it changes.

    Returns
    -------
    Shape (runs, days): where BTC moved by more than the limit, a score above `high` is `high`.
    """
    wild = np.abs(btc_return) > max_abs_return[:, None]
    limit = high if high.ndim == 2 else high[:, None]
    return np.where(wild & (score > limit), limit, score)


def classify(score: Floats, cuts: Floats) -> Ints:
    """Return the state 0 to 4 of each score: strictly below or above a cut, else nearer BALANCED.

    Parameters
    ----------
    score
        Shape (runs,), no NaN.
    cuts
        Shape (runs, 4).

    Examples
    --------
    >>> cuts = np.array([[-1.5, -0.5, 0.5, 1.5]] * 3)
    >>> classify(np.array([-0.5, 0.6, -1.6]), cuts)
    array([2, 3, 0])
    """
    below = (score[:, None] < cuts[:, :2]).sum(axis=1)
    above = (score[:, None] > cuts[:, 2:]).sum(axis=1)
    return np.asarray(BALANCED - below + above, dtype=np.int64)


def walk(
    state: Ints, raw: Ints, score: Floats, factor: Floats, cuts: Floats, rules: StateRules
) -> Ints:
    """Return where a walk from ``state`` towards ``raw`` ends, one state at a time.

    A step away from BALANCED is free. A step towards it is taken only if the score passed the cut
    between the two states by the band times ``factor``; the walk stops at the first step that
    fails.

    Parameters
    ----------
    state, raw, score, factor
        Shape (runs,).
    cuts
        Those of the day, shape (runs, 4).
    rules
        The bands.
    """
    runs = np.arange(len(state))
    here = state.copy()
    walking = here != raw
    while walking.any():
        up = raw > here
        cut = cuts[runs, np.where(up, here, here - 1).clip(0, 3)]
        band = np.where(up, rules.high_band, rules.low_band)
        passed = np.where(up, score > cut + band * factor, score < cut + band * factor)
        towards_balanced = np.where(up, here < BALANCED, here > BALANCED)
        walking &= passed | ~towards_balanced
        here = np.where(walking, here + np.where(up, 1, -1), here)
        walking &= here != raw
    return here


def next_state(state: Ints, age: Ints, score: Floats, cuts: Floats, rules: StateRules) -> Ints:
    """Return the state after a day on which the machine may move.

    Parameters
    ----------
    state
        The state of the day before, shape (runs,).
    age
        Days since that was entered, on the day.
    score
        The day's final score; NaN carries the state.
    cuts
        Those of the day, shape (runs, 4).
    rules
        The others.
    """
    known = ~np.isnan(score)
    raw = np.where(known, classify(np.where(known, score, 0.0), cuts), state)
    young = age < rules.min_duration_days
    factor = np.where(young & rules.requires_stronger_signal, YOUNG_BAND_FACTOR, 1.0)
    may_move = known & ~(young & ~rules.requires_stronger_signal)
    return walk(state, np.where(may_move, raw, state), score, factor, cuts, rules)


def run_state_machine(score: Floats, first_day: Ints, rules: StateRules) -> tuple[Ints, Ints]:
    """Return state and age of every run and day.

    Parameters
    ----------
    score
        Shape (runs, days): smoothed and gated; NaN on a day without coverage, which carries the
        state.
    first_day
        Shape (runs,): index of the first decision day, on which there is a score.

    Returns
    -------
    state, age
        Shape (runs, days). State 0 to 4 in force after the decision at the close of day t, -1
        before the first decision day; age is the number of days since the state was entered, 0 on
        that day. Both depend on scores dated <= t only.
    """
    n_runs, n_days = score.shape
    states = np.full((n_runs, n_days), -1, dtype=np.int64)
    ages = np.full((n_runs, n_days), -1, dtype=np.int64)
    state = np.full(n_runs, BALANCED, dtype=np.int64)
    age = np.zeros(n_runs, dtype=np.int64)
    cuts = rules.cuts if rules.cuts.ndim == 3 else rules.cuts[:, None, :]
    cuts = np.broadcast_to(cuts, (n_runs, n_days, cuts.shape[2]))
    for day in range(n_days):
        today = score[:, day]
        started = day > first_day
        starts = day == first_day
        known = ~np.isnan(today)
        raw = np.where(known, classify(np.where(known, today, 0.0), cuts[:, day]), state)
        age = np.where(started, age + 1, 0)
        moved = np.where(started, next_state(state, age, today, cuts[:, day], rules), state)
        age = np.where(moved != state, 0, age)
        state = np.where(starts, raw, moved)
        visible = started | starts
        states[visible, day] = state[visible]
        ages[visible, day] = age[visible]
    return states, ages


def rotate(state: Ints, age: Ints, first_day: Ints, n_days: Ints, days: Ints) -> tuple[Ints, Ints]:
    """Return state and age with the states of each run's decision days rotated: placebos.

    Parameters
    ----------
    state, age
        Shape (runs, days), from `run_state_machine`.
    first_day, n_days
        Shape (runs,): index of the first decision day, and how many there are from there on.
    days
        Shape (runs,): k, by how much; 0 leaves a run as it is.

    Returns
    -------
    state, age
        Shape (runs, days). The state of the i-th of n decision days is the one that was in force on
        the (i - k) mod n-th; its age is counted anew, 0 on the first day and wherever it changes.
        What stands before and after the decision days stays. **This knows the future.**

    Examples
    --------
    >>> path, age = np.array([[2, 2, 3, 3, 4]]), np.array([[0, 1, 0, 1, 0]])
    >>> one, all_days = np.array([0]), np.array([5])
    >>> rotate(path, age, one, all_days, np.array([2]))
    (array([[3, 4, 2, 2, 3]]), array([[0, 0, 0, 1, 0]]))
    """
    state, age = state.copy(), age.copy()
    for run in np.flatnonzero(days % np.maximum(n_days, 1)):
        own = slice(first_day[run], first_day[run] + n_days[run])
        path = np.roll(state[run, own], days[run])
        place = np.arange(len(path))
        entered = np.r_[True, path[1:] != path[:-1]]
        state[run, own] = path
        age[run, own] = place - np.maximum.accumulate(np.where(entered, place, 0))
    return state, age
