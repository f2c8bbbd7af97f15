"""The state machine against loops written straight from docs/methodology.md, 4 and 5."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msm_py.engine.state_machine import StateRules, classify, gate, run_state_machine, smooth
from msm_py.regimes import REGIMES_OF

NAN = math.nan
NAMES = {
    "SA": "STRONG_RISK_ON_ALTS",
    "WA": "WEAK_RISK_ON_ALTS",
    "B": "BALANCED",
    "WM": "WEAK_RISK_ON_MAJORS",
    "SM": "STRONG_RISK_ON_MAJORS",
    "RA": "RISK_ON_ALTS",
    "RM": "RISK_ON_MAJORS",
}


# --- The plain loops -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """The rules of one run; two cuts make three states, four make five."""

    cuts: tuple[float, ...] = (-1.5, -0.5, 0.5, 1.5)
    low_band: float = -0.3
    high_band: float = 0.3
    min_duration_days: int = 3
    requires_stronger_signal: bool = True


def plain_class(score: float, cuts: tuple[float, ...]) -> int:
    half = len(cuts) // 2
    return half - sum(score < cut for cut in cuts[:half]) + sum(score > cut for cut in cuts[half:])


def plain_machine(scores: list[float], rules: Rules) -> list[tuple[int, int]]:
    """Return state and age of each day; the first score is there."""
    balanced = len(rules.cuts) // 2
    state, age = plain_class(scores[0], rules.cuts), 0
    found = [(state, age)]
    for score in scores[1:]:
        age += 1
        young = age < rules.min_duration_days
        m = 1.5 if young and rules.requires_stronger_signal else 1.0
        frozen = math.isnan(score) or (young and not rules.requires_stronger_signal)
        raw = state if frozen else plain_class(score, rules.cuts)
        before = state
        while state < raw and (
            state >= balanced or score > rules.cuts[state] + rules.high_band * m
        ):
            state += 1
        while state > raw and (
            state <= balanced or score < rules.cuts[state - 1] + rules.low_band * m
        ):
            state -= 1
        age = age if state == before else 0
        found.append((state, age))
    return found


def plain_average(scores: list[float], span_days: float) -> list[float]:
    average, found = NAN, []
    for score in scores:
        if not math.isnan(score):
            alpha = 2.0 / (span_days + 1.0)
            average = score if math.isnan(average) else alpha * score + (1.0 - alpha) * average
        found.append(NAN if math.isnan(score) else average)
    return found


# --- Calling what is tested ----------------------------------------------------------------------


def arrays(rules: list[Rules]) -> StateRules:
    return StateRules(
        cuts=np.array([x.cuts if len(x.cuts) == 4 else (-np.inf, *x.cuts, np.inf) for x in rules]),
        low_band=np.array([x.low_band for x in rules]),
        high_band=np.array([x.high_band for x in rules]),
        min_duration_days=np.array([x.min_duration_days for x in rules]),
        requires_stronger_signal=np.array([x.requires_stronger_signal for x in rules]),
    )


def machine(scores: list[list[float]], rules: list[Rules]) -> list[list[tuple[int, int]]]:
    """Return states (numbered as in the plain loop) and ages of runs that go through it at once."""
    score = np.array(scores)
    first_day = np.argmax(~np.isnan(score), axis=1)
    state, age = run_state_machine(score, first_day, arrays(rules))
    assert (state[np.arange(score.shape[1]) < first_day[:, None]] == -1).all()
    return [
        [
            (int(s) - (len(x.cuts) == 2), int(a))
            for s, a in zip(state[run, first:], age[run, first:], strict=True)
        ]
        for run, (x, first) in enumerate(zip(rules, first_day, strict=True))
    ]


# --- Random runs against the loop ----------------------------------------------------------------

# a grid of fifths, so that scores often lie on a cut or on a cut and its band
GRID = st.integers(-12, 12).map(lambda n: n / 5)
SCORES = st.one_of(GRID, GRID, st.floats(-3, 3), st.just(NAN))


@st.composite
def rules_of_a_run(draw: st.DrawFn) -> Rules:
    n_cuts = draw(st.sampled_from([2, 4]))
    cuts = draw(st.lists(st.integers(-9, 9), min_size=n_cuts, max_size=n_cuts, unique=True))
    return Rules(
        cuts=tuple(cut / 5 for cut in sorted(cuts)),
        low_band=-draw(st.sampled_from([0.0, 0.2, 0.3, 1.0])),
        high_band=draw(st.sampled_from([0.0, 0.2, 0.3, 1.0])),
        min_duration_days=draw(st.integers(0, 5)),
        requires_stronger_signal=draw(st.booleans()),
    )


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[list[float]], list[Rules]]:
    """Return up to six runs over the same days, each with a first score somewhere."""
    n_days = draw(st.integers(1, 40))
    rules = draw(st.lists(rules_of_a_run(), min_size=1, max_size=6))
    scores = []
    for _ in rules:
        late = draw(st.integers(0, min(3, n_days - 1)))
        rest = draw(st.lists(SCORES, min_size=n_days - late - 1, max_size=n_days - late - 1))
        scores.append([NAN] * late + [draw(GRID)] + rest)
    return scores, rules


@settings(derandomize=True, deadline=None, max_examples=300)
@given(runs())
def test_machine_equals_the_plain_loop_and_runs_do_not_touch_each_other(
    given_runs: tuple[list[list[float]], list[Rules]],
) -> None:
    scores, rules = given_runs
    together = machine(scores, rules)
    for run, (own, x) in enumerate(zip(scores, rules, strict=True)):
        started = next(day for day, score in enumerate(own) if not math.isnan(score))
        assert together[run] == plain_machine(own[started:], x)
        assert together[run] == machine([own], [x])[0]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(runs(), st.integers(1, 39))
def test_later_scores_change_nothing(
    given_runs: tuple[list[list[float]], list[Rules]], cut: int
) -> None:
    scores, rules = given_runs
    cut = min(max(cut, 4), len(scores[0]))  # the first scores lie on the first four days
    before = machine([own[:cut] for own in scores], rules)
    for whole, part in zip(machine(scores, rules), before, strict=True):
        assert whole[: len(part)] == part


@settings(derandomize=True, deadline=None, max_examples=200)
@given(rules_of_a_run(), st.integers(0, 5), GRID)
def test_a_stronger_state_never_leaves_further_than_a_weaker_one(
    rules: Rules, age: int, score: float
) -> None:
    """Whatever the score, the states keep their order."""
    between = [(a + b) / 2 for a, b in itertools.pairwise(rules.cuts)]
    starts = [rules.cuts[0] - 1, *between, rules.cuts[-1] + 1]  # a score of each state
    found = machine([[start] * (age + 1) + [score] for start in starts], [rules] * len(starts))
    assert [states[0][0] for states in found] == list(range(len(starts)))
    ends = [states[-1][0] for states in found]
    assert ends == sorted(ends)


# --- Hand-computed tables ------------------------------------------------------------------------

DEFAULT_TABLE = [
    # score, state, age; cuts -1.5 -0.5 0.5 1.5, bands -0.3 and 0.3, young below 3 days: 0.45
    (1.6, "SM", 0),  # above 1.5
    (1.2, "SM", 1),  # young: leaves below 1.5 - 0.45 = 1.05 only
    (1.0, "WM", 0),  # passed 1.05; WM is what 1.0 is
    (0.1, "WM", 1),  # BALANCED asks for less than 0.5 - 0.45 = 0.05
    (NAN, "WM", 2),  # no score: the state is carried and grows older
    (0.1, "B", 0),  # age 3 is old: below 0.5 - 0.3 = 0.2 will do
    (-1.5, "WA", 0),  # away from BALANCED is free; on the cut is the state nearer to BALANCED
    (-1.51, "SA", 0),  # free again
    (2.0, "SM", 0),  # towards and past BALANCED: above -1.5 + 0.45 and above -0.5 + 0.45
    (-0.5, "B", 0),  # below 1.05 and 0.05 on the way; the cut itself is still BALANCED
    (-2.0, "SA", 0),  # two free steps
    (-0.9, "WA", 0),  # above -1.5 + 0.45 = -1.05; -0.9 is WA
]
LAZY_TABLE = [
    # three states, cuts -0.5 and 0.5; requires_stronger_signal false, min_duration_days 2
    (0.6, "RM", 0),
    (-2.0, "RM", 1),  # nothing moves before age 2
    (-2.0, "RA", 0),  # age 2: below 0.5 - 0.3, then free
    (0.7, "RA", 1),
    (-0.2, "RA", 2),  # -0.5 + 0.3 must be passed, not met
    (-0.1, "B", 0),
]


@pytest.mark.parametrize(
    ("table", "rules"),
    [
        (DEFAULT_TABLE, Rules()),
        (LAZY_TABLE, Rules((-0.5, 0.5), min_duration_days=2, requires_stronger_signal=False)),
    ],
    ids=["defaults", "three states, no switch while young"],
)
def test_hand_computed(table: list[tuple[float, str, int]], rules: Rules) -> None:
    names = REGIMES_OF[len(rules.cuts) + 1]
    (found,) = machine([[score for score, _, _ in table]], [rules])
    assert [(names[state], age) for state, age in found] == [
        (NAMES[name], age) for _, name, age in table
    ]


def test_a_score_on_a_cut_is_nearer_to_balanced() -> None:
    cuts = np.array([Rules().cuts] * 4)
    assert classify(cuts[0], cuts).tolist() == [1, 2, 2, 3]


# --- Average and gate ----------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.integers(1, 30).flatmap(
        lambda n: st.lists(
            st.tuples(st.floats(1, 60), st.lists(SCORES, min_size=n, max_size=n)),
            min_size=1,
            max_size=4,
        )
    )
)
def test_average_equals_the_plain_loop(rows: list[tuple[float, list[float]]]) -> None:
    scores = np.array([row for _, row in rows])
    spans = np.array([span for span, _ in rows])
    expected = [plain_average(row, span) for span, row in rows]
    np.testing.assert_allclose(smooth(scores, spans), expected, rtol=1e-13, atol=1e-13)
    # without a span the scores pass as they are
    np.testing.assert_array_equal(smooth(scores, np.full(len(rows), NAN)), scores)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.2, 1.0, NAN]),
    GRID,
)
def test_gate_equals_the_plain_rule(
    days: list[tuple[float, float]], limit: float, high: float
) -> None:
    score, btc = (np.array([column]) for column in zip(*days, strict=True))
    expected = [high if abs(btc_return) > limit and own > high else own for own, btc_return in days]
    found = gate(score, btc, np.array([limit]), np.array([high]))
    np.testing.assert_array_equal(found[0], expected)
