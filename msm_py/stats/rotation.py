"""Circular-shift test of an edge, sound even with few spells: ``p_shift`` and ``p_max_t``.

The regimes are rotated against Y. Each keeps its own history, so what is left of the edge is
chance; the statistic is the edge over its own standard error in that rotation (unstudentised, the
test rejects far too often when regimes differ in volatility).

All n rotations together cost less than a few dozen one by one. The numerator of se^2 is a sum over
pairs of days less than L apart, and the regimes enter it by the few days on which they change:
each pair of changes adds one row of a table that all runs with the same Y share, shifted by the
rotation; what a regime adds by all its days is a correlation, one Fourier transform away. So every
admissible offset is used, none is drawn, and the test has no seed.

Transforms are NumPy's, which does one line at a time, and sums go row by row: a run's bits do not
depend on the batch.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from msm_py._typing import Bools, Floats
from msm_py.stats.sample import Sample, circular_sums

_ZERO_SQUARE = 1e-12
"""A squared se below this share of the largest over rotations is rounding noise, hence zero."""

_TIE = 1.0 - 1e-9
"""Statistics equal up to the rounding of a Fourier transform are ties."""


@dataclass(frozen=True, slots=True)
class ShiftResult:
    """What the shift test says of every edge.

    Attributes
    ----------
    p_shift
        Two-sided p, shape (runs, n_regimes + 1), NaN where not wanted.
    p_max_t
        p against the largest abs(t) over the testable regimes; NaN for others and the spread.
    """

    p_shift: Floats
    p_max_t: Floats


def _shortest(horizon_days: int) -> int:
    return max(10, horizon_days)


def n_rotations(*, n: int, horizon_days: int) -> int:
    """Return how many rotations of n pairs the test counts, 0 when there is none.

    Examples
    --------
    >>> n_rotations(n=90, horizon_days=5), n_rotations(n=30, horizon_days=20)
    (71, 0)
    """
    return max(n - 2 * _shortest(horizon_days) + 1, 0)


def shift_test(
    sample: Sample, se: Floats, wanted: Bools, *, block_days: int, horizon_days: int
) -> ShiftResult:
    """Rotate regimes against Y by every offset in [m, n - m], m = max(10, h).

    p = (1 + #{|t_k| >= |t_0|}) / (1 + number of offsets), t = edge / se; a rotation with se = 0
    counts as an infinite t.

    Parameters
    ----------
    sample
        The runs.
    se
        Standard errors of the edges as observed, shape (runs, n_regimes + 1).
    wanted
        Which edges to test; those that are not defined or whose se is zero must not be.
    block_days
        L of the standard error.
    horizon_days
        h.

    Returns
    -------
    The two p-values.
    """
    shape = sample.estimate.shape
    p_shift, p_max_t = np.full(shape, np.nan), np.full(shape, np.nan)
    n_offsets = n_rotations(n=sample.n, horizon_days=horizon_days)
    if not n_offsets:
        return ShiftResult(p_shift, p_max_t)
    shortest = _shortest(horizon_days)
    offsets = slice(shortest, shortest + n_offsets)
    least = _TIE * np.abs(sample.estimate) / np.where(wanted, se, np.nan)
    among = np.column_stack([sample.testable, np.zeros(len(wanted), dtype=np.bool_)])
    of_y: dict[bytes, list[int]] = defaultdict(list)
    for run in np.flatnonzero(wanted.any(axis=-1)).tolist():
        of_y[sample.y[run].tobytes()].append(run)
    for y, rows in of_y.items():
        t = np.abs(rotated_t(sample.rows(np.array(rows)), _target(y, block_days))[..., offsets])
        highest = np.where(among[rows, :, None], t, 0.0).max(axis=1, keepdims=True)
        for p, values in ((p_shift, t), (p_max_t, highest)):
            n_extreme = (values >= least[rows, :, None]).sum(axis=-1)
            p[rows] = (1.0 + n_extreme) / (1.0 + n_offsets)
    p_shift[~wanted] = np.nan
    p_max_t[~(wanted & among)] = np.nan
    return ShiftResult(p_shift, p_max_t)


@lru_cache(maxsize=8)
def _target(y: bytes, block_days: int) -> Target:
    """Return what runs share whose centred Y has these bytes."""
    return Target(np.frombuffer(y), block_days)


class Target:
    """What all runs with one Y share: how pairs of days add up around a day, and transforms.

    Pairs of days less than L apart have the weight w = L - their distance, around the circle.

    Parameters
    ----------
    y
        Centred Y, shape (n,).
    block_days
        L, at most n / 2.
    """

    def __init__(self, y: Floats, block_days: int) -> None:
        n = len(y)
        self.y = y
        self.block_days = block_days
        # 16 times small primes: fast, and long enough that correlations do not overlap
        self.length = 16 * next_fast_len(-(-(2 * n - 1) // 16), real=True)
        weighted = np.roll(_smoothed(y, block_days), block_days - 1)
        self.pairs = y * weighted
        """Sum over all v of w Y(u) Y(v), for every day u, shape (n,)."""
        self._of_y = np.fft.rfft(y, self.length).conj()
        self._of_pairs = np.fft.rfft(self.pairs, self.length).conj()

    @cached_property
    def across(self) -> Floats:
        """Sum of w Y(u) Y(v) over u < p and v >= p + c: a row per gap c < L, shape (L, 2n).

        Twice around the circle and backwards: from -p on, n columns are those of day p - k for all
        rotations k. From c = 1 on doubled, as two changes are a pair either way round.
        """
        n, days = len(self.y), self.block_days
        around = np.concatenate([self.y, self.y])
        across = np.empty((days, n))
        total, plain, weighted = np.zeros((3, n))
        for gap in range(days - 1, -1, -1):
            # weighted: sum over u < p of w Y(u) for v = p + gap, plain: of Y(u) that it has
            across[gap] = total = total + around[gap : gap + n] * weighted
            plain = plain + around[n - days + gap :][:n]
            weighted = weighted + plain
        across[1:] *= 2.0
        backwards = np.roll(across[:, ::-1], 1, axis=-1)
        return np.concatenate([backwards, backwards], axis=-1)

    def correlations(self, spectra: NDArray[np.complex128], *, pairs: bool = False) -> Floats:
        """Return correlations of series with every rotation of Y, or of `pairs`.

        Parameters
        ----------
        spectra
            Their transforms (`spectra`), shape (..., .).
        pairs
            Whether it is `pairs` that they are held against.
        """
        n = len(self.y)
        whole = np.fft.irfft(spectra * (self._of_pairs if pairs else self._of_y), self.length)
        around: Floats = whole[..., :n].copy()
        around[..., 1:] += whole[..., self.length - n + 1 :]
        return around

    def spectra(self, series: Floats) -> NDArray[np.complex128]:
        """Return the transforms of series along the last axis, for `correlations`."""
        return np.asarray(np.fft.rfft(series, self.length))


def _smoothed(x: Floats, days: int) -> Floats:
    return circular_sums(circular_sums(x, days), days)


def _apart(sample: Sample, target: Target) -> Floats:
    """Return, for every rotation, what pairs of days less than L apart in different regimes add up.

    The sum of w Y(u) Y(v) over pairs with u in the regime and v not in it; in the last row minus
    that over pairs with u in the spread's best regime and v in its worst: shape (runs, n_regimes +
    1, n). Either is a sum over pairs of changes, see `rotated_t`.
    """
    from msm_py.stats.sums import Terms, sums_of_slices

    runs, n_regimes, n = sample.member.shape
    change = sample.member - np.roll(sample.member, 1, axis=-1)  # 1 where it begins, -1 where not
    b, w = (sample.pick(change, r)[:, None] for r in (sample.best, sample.worst))
    # of two regimes either may change first
    first, then = (np.concatenate([change, *of_spread], axis=1) for of_spread in ((b, w), (w, b)))
    run, series, day, gap, product = _pairs(first, then, target.block_days)
    product[series >= n_regimes] *= 0.5  # `across` is doubled
    row = run * (n_regimes + 1) + np.minimum(series, n_regimes)
    number = np.bincount(row, minlength=runs * (n_regimes + 1))
    terms = Terms(
        begin=gap * (2 * n) + (n - day) % n,
        factor=product,
        offset=np.concatenate([[0], np.cumsum(number)]),
    )
    return sums_of_slices(target.across, terms, n).reshape(runs, n_regimes + 1, n)


def _pairs(first: Floats, then: Floats, block_days: int) -> tuple[Any, ...]:
    """Return pairs of a change and one less than L days later, in order, around the circle.

    Parameters
    ----------
    first, then
        1 or -1 on days of changes, else 0, shape (runs, series, n).
    block_days
        L.

    Returns
    -------
    Run, series, day of the first change, days to the other and product of the two: a pair each.
    """
    n_series, n = first.shape[1:]
    run, series, day = np.nonzero(first)
    around = np.concatenate([then, then[..., : block_days - 1]], axis=-1)
    width = n + block_days - 1
    later = np.flatnonzero(around)
    at = (run * n_series + series) * width + day
    begin, end = np.searchsorted(later, [at, at + block_days])
    number = end - begin
    ours = np.repeat(np.arange(len(at)), number)
    other = later[np.arange(len(ours)) - np.repeat(np.cumsum(number) - end, number)]
    product = first[run, series, day][ours] * around.reshape(-1)[other]
    return run[ours], series[ours], day[ours], other - at[ours], product


def rotated_t(sample: Sample, target: Target) -> Floats:
    r"""Return edge / se for every rotation: regime of day (t + k) mod n with Y of day t.

    With centred Y, I_s and a_s the membership and inverse share of the edge's regimes, V its
    exposure (`Sample.exposure`) and m_s(k) the mean of Y over the rotated regime, the influence
    series is V(t + k) Y(t) - sum over s of +-a_s m_s(k) I_s(t + k). The sum of its squared circular
    L-day sums has three parts:

    - of V Y: the sum of w Y(u) Y(v) V(u + k) V(v + k) over pairs of days, V being a_r I_r - 1, or
      a_b I_b - a_w I_w for the spread;
    - of V Y with I_s: the correlation of Y with V times I_s smoothed twice over L days;
    - of I_s with I_s': constants.

    The sum over pairs of days in r is that over its days and all others, which is a correlation,
    less that over u in r and v not in r. With I(v) - I(u) the sum of the changes in between, the
    latter, half the sum over (I(v) - I(u))^2, is a sum over pairs of changes (`_apart`); and that
    over u in b and v in w, minus half the sum over (I_b(v) - I_b(u)) (I_w(v) - I_w(u)), too.

    Parameters
    ----------
    sample
        Runs with the target's Y.
    target
        Its Y and L.

    Returns
    -------
    Shape (runs, n_regimes + 1, n), the spread last; infinite where se is zero, and of no meaning
    for an edge that is not defined.
    """
    n, pick, best, worst = sample.n, sample.pick, sample.best, sample.worst
    member, weight = sample.member, sample.inverse_share[:, :, None]
    apart = _apart(sample, target)
    spectra = target.spectra(member)
    mean = target.correlations(spectra) / np.maximum(sample.count, 1.0)[:, :, None]
    of_days = target.correlations(spectra, pairs=True)
    window = circular_sums(member, target.block_days)
    smooth = np.roll(circular_sums(window, target.block_days), target.block_days - 1, axis=-1)
    of_regime, of_spread = sample.exposure[:, :-1], sample.exposure[:, -1]
    product = target.correlations(target.spectra(of_regime * smooth))
    product_b = target.correlations(target.spectra(of_spread * pick(smooth, best)))
    product_w = target.correlations(target.spectra(of_spread * pick(smooth, worst)))

    inside = weight * (of_days - apart[:, :-1])
    square = np.empty(apart.shape)
    square[:, :-1] = weight * (inside - 2.0 * of_days) + target.pairs.sum()
    a_b, a_w = pick(weight, best), pick(weight, worst)
    square[:, -1] = a_b * pick(inside, best) + a_w * pick(inside, worst)
    square[:, -1] += 2.0 * a_b * a_w * apart[:, -1]
    zero = _ZERO_SQUARE * square.max(axis=-1, keepdims=True)

    scaled = weight * mean
    overlap = (window * window).sum(axis=-1)[:, :, None]
    square[:, :-1] += scaled * (scaled * overlap - 2.0 * product)
    b, w = pick(scaled, best), pick(scaled, worst)
    square[:, -1] += b * (b * pick(overlap, best) - 2.0 * product_b)
    square[:, -1] += w * (w * pick(overlap, worst) + 2.0 * product_w)
    both = (pick(window, best) * pick(window, worst)).sum(axis=-1)
    square[:, -1] -= 2.0 * b * w * both[:, None]
    edge = np.concatenate([mean, (pick(mean, best) - pick(mean, worst))[:, None]], axis=1)
    is_zero = square <= zero
    square[is_zero] = 1.0
    t: Floats = edge / (np.sqrt(square / target.block_days) / n)
    t[is_zero] = np.inf
    return t
