"""Edges of regimes, how sure one may be of them, and from how many spells and blocks.

An edge is the mean forward return in a regime minus the overall mean: the null that matters is that
they are equal (a drift in Y is no edge). Y is alts minus BTC and the trade is long majors, short
alts, so an edge is good for the trade when it is *negative*; `Edges.trade_edge` has the sign
turned.

Each run is computed by functions that never mix runs (elementwise, or along a run's own axis), in
small groups that keep to the cache: a run's numbers have the same bits alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msm_py._typing import Bools, Floats, Ints
from msm_py.stats.blocks import FEWEST_BLOCKS, BlockPlan
from msm_py.stats.bootstrap import BootstrapSettings, bootstrap_test, refined_number
from msm_py.stats.ewc import ewc_p_values
from msm_py.stats.rotation import n_rotations, shift_test
from msm_py.stats.sample import Sample

EVIDENCE = ("none", "shift only", "low", "normal")
"""Evidence grades of an edge, from least to most."""
SPELLS_FROM = (3, 5, 10)
"""Spells from which on evidence is ``shift only``, ``low`` and ``normal``."""
TESTABLE_SPELLS = SPELLS_FROM[1]
"""From so many spells on a regime may be the best or the worst, and counts in the max-t test."""
BLOCKS_FROM = (FEWEST_BLOCKS, 10)
"""Blocks of pairs (n / L) from which on evidence may be above ``none``, and above ``low``."""
_GROUP = 4
"""Runs computed together: few enough to stay in the processor's cache, which is fastest."""


@dataclass(frozen=True, slots=True)
class Edges:
    """One row per run and edge; every array has shape (runs, n_regimes + 3).

    Columns are the regimes from most ALTS to most MAJORS (present or not), then edge_best and
    edge_worst (the most MAJORS and the most ALTS regime with at least `TESTABLE_SPELLS` spells) and
    spread (best minus worst); `edge_names` names them.

    With exactly two regimes, both of so many spells, their edges and the spread are one hypothesis:
    the p of any of them is the spread's (p_max_t its p_shift, as there is nothing to pick from),
    n_boot and n_redrawn with it. Estimates, se and intervals stay each one's own.

    Attributes
    ----------
    estimate
        Edge, a decimal fraction over the horizon; NaN for an absent regime, for edge_best and
        edge_worst without a regime of enough spells, and for the spread without two.
    regime, against
        The regime that it is the edge of, and that which the spread is measured against (an edge is
        against all days); -1 where there is none.
    se
        Standard error from circular sums over `block_days` (of either method); 0 when the influence
        series is constant or one block holds all pairs, and then every p is missing.
    ci_low, ci_high
        95% confidence interval; NaN if it is infinite or the evidence is below ``low``.
    p_edge
        The larger of p_value and p_shift, NaN where either is: the p to go by.
    p_value
        Two-sided bootstrap p; NaN if the evidence is below ``low``.
    p_shift
        Circular-shift p; NaN if the evidence is ``none``.
    p_ewc
        p of equal-weighted cosines; NaN if the evidence is below ``low``.
    p_max_t
        Circular-shift p against the largest abs(t) of all regimes of enough spells; NaN for others,
        for the spread and where p_shift is.
    n_spells
        Separate stays in the regime; of the spread the fewer of its two regimes, 0 if undefined.
    evidence
        One of `EVIDENCE`.
    n_boot
        Valid replicates behind p_value, 0 if there are none. More than asked for where a p at its
        floor was refined; the CI is from the first of them.
    block_days
        Block length.
    n_redrawn
        Replicates drawn again because a regime was absent from them.
    """

    estimate: Floats
    regime: Ints
    against: Ints
    se: Floats
    ci_low: Floats
    ci_high: Floats
    p_edge: Floats
    p_value: Floats
    p_shift: Floats
    p_ewc: Floats
    p_max_t: Floats
    n_spells: Ints
    evidence: NDArray[np.str_]
    n_boot: Ints
    block_days: Ints
    n_redrawn: Ints

    @property
    def trade_edge(self) -> Floats:
        """Minus the estimate: positive is good for the trade."""
        return 0.0 - self.estimate


def edge_names(regimes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of `Edges`.

    Examples
    --------
    >>> edge_names(["ALTS", "MAJORS"])
    ('ALTS', 'MAJORS', 'edge_best', 'edge_worst', 'spread')
    """
    return (*regimes, "edge_best", "edge_worst", "spread")


def count_spells(regime: ArrayLike, spell: ArrayLike, n_regimes: int) -> Ints:
    """Return the number of distinct spell ids of every regime, shape (runs, n_regimes).

    Parameters
    ----------
    regime, spell
        Integers, shape (runs, n). Days that were dropped inside a spell do not split it.
    n_regimes
        Number of regimes.

    Examples
    --------
    >>> count_spells([[0, 0, 1, 0, 0]], [[1, 1, 2, 3, 3]], 3)
    array([[2, 1, 0]])
    """
    state, stay = np.asarray(regime, dtype=np.int64), np.asarray(spell, dtype=np.int64)
    if state.size == 0:
        return np.zeros((len(state), n_regimes), dtype=np.int64)
    stay = stay - stay.min()
    span = int(stay.max()) + 1
    ordered = np.sort(state * span + stay, axis=-1)
    new = np.ones(ordered.shape, dtype=np.bool_)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return np.stack([(new & (ordered // span == r)).sum(axis=-1) for r in range(n_regimes)], axis=1)


def edges(
    y: ArrayLike,
    regime: ArrayLike,
    spell: ArrayLike,
    *,
    horizon_days: int,
    n_regimes: int,
    bootstrap: BootstrapSettings,
) -> Edges:
    """Estimate and test the edges of some runs with equally many pairs.

    Everything is hindsight: Y of day t is known at the close of t + h, and all pairs are used. It
    judges a run, it never feeds a decision.

    Parameters
    ----------
    y
        Forward returns Y_h, decimal fractions, shape (runs, n). Pairs with a missing Y must have
        been dropped; the pairs are taken as consecutive.
    regime
        Regime of each day, 0 (most ALTS) to n_regimes - 1 (most MAJORS), shape (runs, n).
    spell
        Id of the stay that the day belongs to, shape (runs, n).
    horizon_days
        h.
    n_regimes
        Number of regimes there could be.
    bootstrap
        How to test.

    Returns
    -------
    One row per run and edge. With the bootstrap off its p_value and CI are missing, and p_edge with
    them; the cross-checks are there. With fewer than eight blocks of pairs there is no p of any
    kind.

    Raises
    ------
    ValueError
        When shapes differ, Y is not finite or a regime is out of range.

    References
    ----------
    .. [1] Politis, D. N. & Romano, J. P. (1992). A circular block-resampling procedure for
       stationary data.
    .. [2] Götze, F. & Künsch, H. R. (1996). Second-order correctness of the blockwise bootstrap for
       stationary observations. Annals of Statistics 24(5).

    Examples
    --------
    Two regimes in stays of ten days, in one of which Y is lower by 4%:

    >>> day = np.arange(400)
    >>> regime = (day // 10 % 2)[None]
    >>> y = np.random.default_rng(1).normal(0.0, 0.02, (1, 400)) - 0.04 * regime
    >>> e = edges(y, regime, day[None] // 10, horizon_days=1, n_regimes=2,
    ...           bootstrap=BootstrapSettings())
    >>> names = edge_names(["ALTS", "MAJORS"])
    >>> dict(zip(names, e.trade_edge[0].round(2).tolist()))
    {'ALTS': -0.02, 'MAJORS': 0.02, 'edge_best': 0.02, 'edge_worst': -0.02, 'spread': 0.04}
    >>> e.p_value[0].tolist(), str(e.evidence[0, 0])
    ([0.001, 0.001, 0.001, 0.001, 0.001], 'normal')
    """
    y = np.ascontiguousarray(y, dtype=np.float64)
    regime = np.ascontiguousarray(regime, dtype=np.int64)
    spell = np.ascontiguousarray(spell, dtype=np.int64)
    _check(y, regime, spell, n_regimes)
    runs, n = int(y.shape[0]), int(y.shape[1])
    if y.size == 0:
        return _no_pairs(runs, n_regimes)
    block_days = bootstrap.block_days(horizon_days=horizon_days, n=n)
    plan = BlockPlan(
        n=n,
        block_days=block_days,
        kind=bootstrap.kind,
        n_boot=bootstrap.n_boot,
        seed=bootstrap.seed,
    )

    def of_group(rows: slice) -> Edges:
        return _edges_of_group(
            y[rows],
            regime[rows],
            count_spells(regime[rows], spell[rows], n_regimes),
            plan,
            block_days,
            horizon_days,
            studentized=bootstrap.method == "studentized",
            enabled=bootstrap.enabled,
        )

    # one after the other: groups share the plan, which draws replicates as they are asked for
    groups = [of_group(slice(first, first + _GROUP)) for first in range(0, runs, _GROUP)]
    return Edges(
        **{
            field.name: np.concatenate([getattr(group, field.name) for group in groups])
            for field in fields(Edges)
        }
    )


def _check(y: Floats, regime: Ints, spell: Ints, n_regimes: int) -> None:
    if y.ndim != 2 or y.shape != regime.shape or y.shape != spell.shape:
        raise ValueError(
            f"y, regime and spell must be of one shape (runs, n), "
            f"not {y.shape}, {regime.shape} and {spell.shape}"
        )
    if not np.isfinite(y).all():
        raise ValueError("y has missing or infinite values: drop those pairs first")
    if regime.size and not 0 <= regime.min() <= regime.max() < n_regimes:
        raise ValueError(
            f"regimes must lie in 0..{n_regimes - 1}, not {regime.min()}..{regime.max()}"
        )


def _no_pairs(runs: int, n_regimes: int) -> Edges:
    """Return the edges of runs without a single pair."""
    shape = (runs, n_regimes + 3)
    evidence = np.full(shape, EVIDENCE[0], dtype=np.asarray(EVIDENCE).dtype)
    blank: dict[str, Any] = {"evidence": evidence}
    for name in ("n_spells", "n_boot", "block_days", "n_redrawn"):
        blank[name] = np.zeros(shape, dtype=np.int64)
    blank["regime"] = np.tile([*range(n_regimes), -1, -1, -1], (runs, 1))
    blank["against"] = np.full(shape, -1)
    floats = {f.name: np.full(shape, np.nan) for f in fields(Edges) if f.name not in blank}
    return Edges(**blank, **floats)


def grades(n_spells: Ints, *, blocks: float) -> Ints:
    """Return evidence grades, as places in `EVIDENCE`.

    Parameters
    ----------
    n_spells
        Spells of the edges, any shape.
    blocks
        Number of pairs over block length.

    Examples
    --------
    >>> n_spells = np.array([2, 3, 5, 10])
    >>> [grades(n_spells, blocks=blocks).tolist() for blocks in (7.9, 8, 10)]
    [[0, 0, 0, 0], [0, 1, 2, 2], [0, 1, 2, 3]]
    """
    by_spells = np.searchsorted(SPELLS_FROM, n_spells, side="right")
    most = (0, EVIDENCE.index("low"), EVIDENCE.index("normal"))
    return np.minimum(by_spells, most[np.searchsorted(BLOCKS_FROM, blocks, side="right")])


def fewest_days(*, horizon_days: int, block_days: int, lag_days: int = 0) -> int:
    """Return how long a window a horizon needs, so that any edge has a p.

    Its pairs are the days whose forward return ends inside the window, and `BLOCKS_FROM` says how
    many blocks of them there must be.

    Parameters
    ----------
    horizon_days, block_days
        h and L, days.
    lag_days
        ``execution_lag_days``.

    Examples
    --------
    >>> fewest_days(horizon_days=60, block_days=180)
    1500
    """
    return BLOCKS_FROM[0] * block_days + horizon_days + lag_days


def smallest_p_edge(*, n_boot: int, n_pairs: int, horizon_days: int) -> float:
    """Return the smallest p_edge that there can be, for a family of tests to be held against.

    p_value is at least 1 / (1 + B), with as many replicates as a refinement uses; p_shift at least
    1 / (1 + number of rotations).

    Parameters
    ----------
    n_boot
        Replicates asked for.
    n_pairs
        Days with a forward return.
    horizon_days
        h.

    Examples
    --------
    >>> round(smallest_p_edge(n_boot=999, n_pairs=914, horizon_days=1), 5)
    0.00112
    """
    return max(
        1.0 / (1 + refined_number(n_boot)),
        1.0 / (1 + n_rotations(n=n_pairs, horizon_days=horizon_days)),
    )


def too_few_for(n_tests: int, smallest_p: float, *, level: float = 0.05) -> bool:
    """Return whether no single test of a family can stand after Holm, however large its edge.

    Benjamini and Hochberg's procedure may find edges all the same, if many have so small a p.

    Parameters
    ----------
    n_tests
        Tests in the family.
    smallest_p
        The smallest p that one of them can have (`smallest_p_edge`).
    level
        Of the family.

    Examples
    --------
    864 tests whose p cannot fall below 1/1000 or 1/100,000:

    >>> too_few_for(864, 1 / 1_000), too_few_for(864, 1 / 100_000)
    (True, False)
    """
    return n_tests * smallest_p > level


def _edges_of_group(
    y: Floats,
    regime: Ints,
    regime_spells: Ints,
    plan: BlockPlan,
    block_days: int,
    horizon_days: int,
    *,
    studentized: bool,
    enabled: bool,
) -> Edges:
    """Return the edges of a few runs; without the bootstrap its p-value and CI are missing."""
    runs, n_regimes = regime_spells.shape
    sample = Sample.of(y, regime, n_regimes, testable=regime_spells >= TESTABLE_SPELLS)
    spread_spells = np.minimum(
        sample.pick(regime_spells, sample.best), sample.pick(regime_spells, sample.worst)
    )
    spread_spells[sample.best == sample.worst] = 0
    n_spells = np.column_stack([regime_spells, spread_spells])
    grade = grades(n_spells, blocks=sample.n / block_days)

    shape = sample.estimate.shape
    se = sample.standard_error(block_days)
    testable: Bools = se > 0
    shifted = shift_test(
        sample,
        se,
        testable & (grade >= EVIDENCE.index("shift only")),
        block_days=block_days,
        horizon_days=horizon_days,
    )
    p_shift, p_max_t = shifted.p_shift, shifted.p_max_t
    trusted = testable & (grade >= EVIDENCE.index("low"))
    p_ewc = ewc_p_values(sample, horizon_days, trusted)
    ci_low, ci_high, p_value = (np.full(shape, np.nan) for _ in range(3))
    n_boot, n_redrawn = (np.zeros(shape, dtype=np.int64) for _ in range(2))
    if enabled:
        drawn = bootstrap_test(sample, se, trusted, plan, studentized=studentized, other_p=p_shift)
        ci_low, ci_high, p_value = drawn.ci_low, drawn.ci_high, drawn.p_value
        n_boot, n_redrawn = drawn.n_boot, drawn.n_redrawn

    one_hypothesis = (sample.count > 0).sum(axis=-1) == 2
    one_hypothesis &= sample.best != sample.worst
    pair = one_hypothesis[:, None] & (sample.count > 0)
    for values in (p_value, p_shift, p_ewc, n_boot, n_redrawn):
        values[:, :-1] = np.where(pair, values[:, -1:], values[:, :-1])
    p_max_t[:, :-1] = np.where(pair, p_shift[:, -1:], p_max_t[:, :-1])

    # columns of the result: the regimes, the best and the worst of them, the spread
    numbers = np.tile(np.arange(n_regimes), (runs, 1))
    best, worst, spread = _extremes(sample)
    nothing = n_regimes + 1
    column = np.column_stack(
        [
            numbers,
            np.where(best < 0, nothing, best),
            np.where(worst < 0, nothing, worst),
            np.full(runs, n_regimes),
        ]
    )

    def spread_out(values: NDArray[Any], missing: float | str = np.nan) -> NDArray[Any]:
        widened = np.column_stack([values, np.full(runs, missing)])
        return np.take_along_axis(widened, column, axis=1)

    return Edges(
        estimate=spread_out(sample.estimate),
        regime=np.column_stack([numbers, best, worst, np.where(spread, best, -1)]),
        against=np.column_stack([np.full((runs, n_regimes + 2), -1), np.where(spread, worst, -1)]),
        se=spread_out(se),
        ci_low=spread_out(ci_low),
        ci_high=spread_out(ci_high),
        p_edge=spread_out(np.maximum(p_value, p_shift)),
        p_value=spread_out(p_value),
        p_shift=spread_out(p_shift),
        p_ewc=spread_out(p_ewc),
        p_max_t=spread_out(p_max_t),
        n_spells=spread_out(n_spells, 0),
        evidence=spread_out(np.asarray(EVIDENCE)[grade], EVIDENCE[0]),
        n_boot=spread_out(n_boot, 0),
        block_days=np.full(column.shape, block_days),
        n_redrawn=spread_out(n_redrawn, 0),
    )


def _extremes(sample: Sample) -> tuple[Ints, Ints, Bools]:
    """Return best and worst regime, -1 where there is none, and whether there is a spread."""
    known = sample.testable.any(axis=-1)
    best, worst = (np.where(known, regime, -1) for regime in (sample.best, sample.worst))
    return best, worst, best != worst
