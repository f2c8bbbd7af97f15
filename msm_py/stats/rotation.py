"""Circular-shift test of an edge, sound even with few spells: ``p_shift`` and ``p_max_t``.

The regimes are rotated against Y. Each keeps its own history, so what is left of the edge is
chance; the statistic is the edge over its own standard error in that rotation (unstudentised, the
test rejects far too often when regimes differ in volatility).

All n rotations together cost less than a few dozen one by one. The numerator of se^2 is a sum over
lags below L of products of two series, and as a function of the rotation each is a circular
cross-correlation: one Fourier transform per lag and edge, accumulated before the single way back.
So every admissible offset is used, none is drawn, and the test has no seed.

Transforms are NumPy's, which does one line at a time, and each run is transformed on its own: its
bits do not depend on the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
    target = None
    for run in np.flatnonzero(wanted.any(axis=-1)):
        if target is None or not np.array_equal(target.y, sample.y[run]):
            target = Target(sample.y[run], block_days)
        tested = wanted[run]
        edges = np.flatnonzero(np.append(sample.count[run] > 0, tested[-1]))
        t = np.abs(rotated_t(sample, run, edges, target)[:, offsets])
        among = np.append(sample.testable[run], False)
        highest = t[among[edges]].max(axis=0, initial=0.0)
        for edge, values in zip(edges, t, strict=True):
            if tested[edge]:
                least = _TIE * np.abs(sample.estimate[run, edge]) / se[run, edge]
                p_shift[run, edge] = (1.0 + np.count_nonzero(values >= least)) / (1.0 + n_offsets)
                if among[edge]:
                    n_extreme = np.count_nonzero(highest >= least)
                    p_max_t[run, edge] = (1.0 + n_extreme) / (1.0 + n_offsets)
    return ShiftResult(p_shift, p_max_t)


class Target:
    """Transforms of one Y, which many runs of a batch share.

    Parameters
    ----------
    y
        Centred Y, shape (n,).
    block_days
        L.
    """

    def __init__(self, y: Floats, block_days: int) -> None:
        self.y = y
        self.block_days = block_days
        # 16 times small primes: fast, and long enough that correlations do not overlap
        self.length = 16 * next_fast_len(-(-(2 * len(y) - 1) // 16), real=True)
        lag_weight = 2.0 * (block_days - np.arange(block_days, dtype=np.float64))
        lag_weight[0] = block_days
        self._padded = np.zeros((block_days, self.length))
        self._lagged = self._lag_spectra(y).conj() * lag_weight[:, None]
        self._plain = np.fft.rfft(y, self.length).conj()

    def _lag_spectra(self, x: Floats) -> NDArray[np.complex128]:
        """Return the transforms of x(t) x(t + d), around the circle, for every lag d < L."""
        n = len(x)
        later = sliding_window_view(np.concatenate([x, x[: self.block_days - 1]]), n)
        np.multiply(later, x, out=self._padded[:, :n])
        return np.fft.rfft(self._padded)

    def correlations(self, pairwise: Floats, plain: Floats) -> Floats:
        """Return correlations with every rotation, shape (number of series, n).

        Parameters
        ----------
        pairwise
            Series V, shape (., n), for the sum over lags d of (L - abs(d)) times the correlation of
            V(t) V(t + d) with Y(t) Y(t + d).
        plain
            Series whose correlation with Y comes behind those, shape (., n).
        """
        n = len(self.y)
        spectrum = np.concatenate(
            [
                [(self._lag_spectra(v) * self._lagged).sum(axis=0) for v in pairwise],
                np.fft.rfft(plain, self.length) * self._plain,
            ]
        )
        whole: Floats = np.fft.irfft(spectrum, self.length)
        whole[:, 1:n] += whole[:, self.length - n + 1 :]
        return whole[:, :n]


def rotated_t(
    sample: Sample, run: int | np.intp, edges: NDArray[np.intp], target: Target
) -> Floats:
    r"""Return edge / se of one run for every rotation: regime of day (t + k) mod n with Y of day t.

    With centred Y, V the exposure of the edge (`Sample.exposure`), I_s and a_s the membership and
    inverse share of its regimes, and m_s(k) the mean of Y over the rotated regime, the influence
    series is V(t + k) Y(t) - sum over s of +-a_s m_s(k) I_s(t + k). The sum of its squared circular
    L-day sums has three parts, each at most one correlation away:

    - of V Y: sum over lags d of (L - abs(d)) times the correlation of Y(t) Y(t + d) with
      V(t) V(t + d);
    - of V Y with I_s: the correlation of Y with V times I_s smoothed twice over L days;
    - of I_s with I_s': constants.

    Parameters
    ----------
    sample
        The runs.
    run
        Which run.
    edges
        Indices of present regimes and, for the spread, n_regimes.
    target
        Its Y and L.

    Returns
    -------
    Shape (len(edges), n); infinite where se is zero.
    """
    block_days = target.block_days
    n_regimes, n = sample.member.shape[1:]
    spread = bool(edges[-1] == n_regimes)
    regimes = edges[:-1] if spread else edges
    position = {int(r): i for i, r in enumerate(regimes)}
    member, weight = sample.member[run, regimes], sample.inverse_share[run, regimes]
    exposure = sample.exposure[run, edges]
    # (edge, regime, sign) of every regime mean that an edge's influence series contains
    terms = [(i, i, 1.0) for i in range(len(regimes))]
    if spread:
        terms.append((len(regimes), position[int(sample.best[run])], 1.0))
        terms.append((len(regimes), position[int(sample.worst[run])], -1.0))

    window = circular_sums(member, block_days)
    smooth = np.roll(circular_sums(window, block_days), block_days - 1, axis=-1)
    plain = np.concatenate([member, [exposure[e] * smooth[s] for e, s, _ in terms]])
    correlation = target.correlations(exposure, plain)

    n_edges, n_present = len(edges), len(regimes)
    square, rest = correlation[:n_edges], correlation[n_edges + n_present :]
    mean = correlation[n_edges : n_edges + n_present] / member.sum(axis=-1, keepdims=True)
    edge = np.zeros((n_edges, n))
    edge[:n_present] = mean
    scaled = weight[:, None] * mean
    largest = square.max(axis=-1, keepdims=True)
    for (e, s, sign), product in zip(terms, rest, strict=True):
        square[e] += scaled[s] * (scaled[s] * (window[s] * window[s]).sum() - 2.0 * sign * product)
    if spread:
        b, w = terms[-2][1], terms[-1][1]
        square[-1] -= 2.0 * scaled[b] * scaled[w] * (window[b] * window[w]).sum()
        edge[-1] = mean[b] - mean[w]
    zero = square <= _ZERO_SQUARE * largest
    square[zero] = 1.0
    t: Floats = edge / (np.sqrt(square / block_days) / n)
    t[zero] = np.inf
    return t
