"""The state machine on every short path of scores that can matter, and what a higher score does.

A score matters by the side of each number on which it lies that a rule compares it with: cuts, and
cuts moved by a band, wide or not. So these numbers and one between each two of them are all scores.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from msm_py._typing import Bools, Floats, Ints
from msm_py.engine.state_machine import StateRules, run_state_machine

FIVE = (-1.5, -0.5, 0.5, 1.5)
THREE = (-0.5, 0.5)
# cuts, low_band, high_band, min_duration_days, requires_stronger_signal
Rules = tuple[tuple[float, ...], float, float, int, bool]
EVERY_RULES: list[Rules] = [
    (FIVE, -0.3, 0.3, 3, True),
    (FIVE, -0.3, 0.3, 3, False),
    (FIVE, -0.3, 0.3, 0, True),
    (FIVE, -0.25, 0.5, 2, True),  # bands of unequal width
    (FIVE, -1.0, 1.0, 2, True),  # a band reaches to the next cut, a wide one beyond it
    (FIVE, 0.0, 0.0, 2, True),  # no band
    (THREE, -0.3, 0.3, 3, True),
    (THREE, -0.3, 0.3, 2, False),
    (THREE, -1.25, 1.0, 2, True),  # what leaves one side lies on the other
]
IDS = [
    f"{len(cuts) + 1} states, bands {low:g} and {high:g}, {days} days, {'wide' if wide else 'shut'}"
    for cuts, low, high, days, wide in EVERY_RULES
]


def scores_that_matter(rules: Rules) -> list[float]:
    """Return all of them in order, then the missing score."""
    cuts, low, high, _, _ = rules
    half = len(cuts) // 2
    points = {*cuts}
    for m in (1.0, 1.5):
        points |= {cut + high * m for cut in cuts[:half]} | {cut + low * m for cut in cuts[half:]}
    at = sorted(points)
    between = [(a + b) / 2 for a, b in itertools.pairwise(at)]
    return [*sorted([at[0] - 1, *at, *between, at[-1] + 1]), math.nan]


# --- The walk as the methodology tells it --------------------------------------------------------

# A state is its distance from BALANCED: negative on the ALTS side, positive on the MAJORS side.


def side_of(score: float, cuts: tuple[float, ...]) -> int:
    """Return the state that a score has of itself; one on a cut has the one nearer to BALANCED."""
    half = len(cuts) // 2
    alts, majors = reversed(cuts[:half]), cuts[half:]  # from BALANCED outwards
    if score < cuts[half - 1]:
        return -sum(1 for cut in alts if score < cut)
    return sum(1 for cut in majors if score > cut)


def inner_cut(state: int, cuts: tuple[float, ...]) -> float:
    """Return the cut between a state on a side and the next one towards BALANCED."""
    half = len(cuts) // 2
    return cuts[half - 1 + state] if state > 0 else cuts[half + state]


def walked(state: int, age: int, score: float, rules: Rules) -> int:
    """Return the state after a day; ``age`` is that of the state before, on this day."""
    cuts, low_band, high_band, min_duration_days, requires_stronger_signal = rules
    if math.isnan(score):
        return state
    is_young = age < min_duration_days
    if is_young and not requires_stronger_signal:
        return state
    m = 1.5 if is_young else 1.0
    target = side_of(score, cuts)
    while state != target:
        step = 1 if target > state else -1
        is_towards_balanced = state * step < 0
        if is_towards_balanced:
            cut = inner_cut(state, cuts)
            leaves = score > cut + high_band * m if state < 0 else score < cut + low_band * m
            if not leaves:
                break
        state += step
    return state


def walked_paths(paths: Ints, scores: list[float], rules: Rules) -> tuple[Ints, Ints]:
    """Return states and ages along paths, which are places in ``scores``; the first is no NaN."""
    half, n_days = len(rules[0]) // 2, paths.shape[1]
    after = np.array(
        [
            [[walked(state, age, score, rules) for score in scores] for age in range(n_days)]
            for state in range(-half, half + 1)
        ]
    )
    first = np.array([side_of(score, rules[0]) for score in scores])
    state, age = np.empty_like(paths), np.zeros_like(paths)
    state[:, 0] = first[paths[:, 0]]
    for day in range(1, n_days):
        before = state[:, day - 1]
        state[:, day] = after[before + half, age[:, day - 1] + 1, paths[:, day]]
        age[:, day] = np.where(state[:, day] == before, age[:, day - 1] + 1, 0)
    return state, age


# --- Calling what is tested ----------------------------------------------------------------------


def machine(scores: Floats, rules: Rules) -> tuple[Ints, Ints]:
    """Return the machine's states, as distances from BALANCED, and ages; one run a path."""
    cuts, low, high, days, wide = rules
    n = len(scores)
    four = cuts if len(cuts) == 4 else (-np.inf, *cuts, np.inf)
    state, age = run_state_machine(
        scores,
        np.zeros(n, dtype=np.int64),
        StateRules(
            cuts=np.tile(four, (n, 1)),
            low_band=np.full(n, low),
            high_band=np.full(n, high),
            min_duration_days=np.full(n, days),
            requires_stronger_signal=np.full(n, wide),
        ),
    )
    return state - 2, age


def all_paths(n_scores: int, n_days: int) -> Ints:
    """Return every path of so many days, as places; none begins with the last, the missing one."""
    grid = np.indices((n_scores - 1, *[n_scores] * (n_days - 1))).reshape(n_days, -1).T
    return np.ascontiguousarray(grid)


def few_of(scores: list[float]) -> list[float]:
    """Return the outermost scores, the middle one, two on the way, and the missing one."""
    known = scores[:-1]
    places = np.linspace(0, len(known) - 1, 5).round().astype(int)
    return [known[place] for place in places] + [math.nan]


@pytest.mark.parametrize("rules", EVERY_RULES, ids=IDS)
def test_every_path_of_four_days_is_walked_as_the_methodology_says(rules: Rules) -> None:
    """And so every shorter one, which one of four days begins with."""
    scores = scores_that_matter(rules)
    paths = all_paths(len(scores), 4)
    state, age = machine(np.array(scores)[paths], rules)
    expected_state, expected_age = walked_paths(paths, scores, rules)
    np.testing.assert_array_equal(state, expected_state)
    np.testing.assert_array_equal(age, expected_age)
    assert len(np.unique(state)) == len(rules[0]) + 1, "a state is never seen"


@pytest.mark.parametrize("rules", EVERY_RULES, ids=IDS)
def test_longer_paths_of_few_scores_too(rules: Rules) -> None:
    """Seven days, so that states grow old and young ones come after them."""
    scores = few_of(scores_that_matter(rules))
    paths = all_paths(len(scores), 7)
    for found, expected in zip(
        machine(np.array(scores)[paths], rules), walked_paths(paths, scores, rules), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


# --- Higher scores -------------------------------------------------------------------------------

NEVER_YOUNG: list[Rules] = [(FIVE, -0.3, 0.3, 0, True), (FIVE, -0.5, 0.75, 1, False)]


@pytest.mark.parametrize("rules", EVERY_RULES, ids=IDS)
def test_a_higher_last_score_never_gives_a_state_nearer_to_alts(rules: Rules) -> None:
    """After the same three days, whatever they were."""
    scores = scores_that_matter(rules)
    paths = all_paths(len(scores), 4)
    last = machine(np.array(scores)[paths], rules)[0][:, -1].reshape(-1, len(scores))
    assert (np.diff(last[:, :-1], axis=1) >= 0).all()  # scores are in order, but for the missing


@pytest.mark.parametrize("rules", NEVER_YOUNG)
def test_a_path_of_higher_scores_never_has_a_state_nearer_to_alts(rules: Rules) -> None:
    """Where no state is ever young.

    Else it may: of two paths in one state the higher one may have been there for longer, so that
    less makes it leave.
    """
    scores = few_of(scores_that_matter(rules))
    paths = all_paths(len(scores), 4)
    paths = paths[(paths < len(scores) - 1).all(axis=1)]  # a missing score is not higher or lower
    state = machine(np.array(scores)[paths], rules)[0]
    for own, own_states in zip(paths, state, strict=True):
        higher: Bools = (paths >= own).all(axis=1)
        assert (state[higher] >= own_states).all()
