"""Is any of many trials better than a benchmark, and which? Hansen's SPA, Romano and Wolf's StepM.

Sign: both take returns, more is better. arch, the test oracle, takes losses: its
``SPA(-benchmark, -returns)`` is the test here with ``standardized=False``, and with True it is
arch's on excess returns divided by their standard deviation.

Why not arch itself: its ``studentize`` divides by nothing (version 8.0; it only moves the bound of
the consistent p), so that the most volatile trial decides, and its StepM fails when a later step
leaves no trial. Why not Hansen's own divisor, the long-run standard error: of 45 blocks it is noisy
enough for the luckiest of a thousand trials to be one whose error is underestimated. In a
simulation of 1,000 independent noise trials over 900 days, blocks of 20 days, the test at 5%
rejected about 16% of the time with it and 1% with the standard deviation, and their power on one
good trial among 200 was the same. A divisor only weighs trials against each other, so any is valid
for many days: the precise one is best.

All trials share their blocks (that keeps their dependence), and a replicate of every mean is a
sum of differences of prefix sums, as in the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from msm_py._typing import Bools, Floats
from msm_py.errors import MsmError
from msm_py.stats.blocks import BlockPlan, Kind

_ZERO_RANGE = 1e-13
"""A trial whose distance from the benchmark varies by less than this share of it is a copy."""


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """Hansen's test that no trial is better than the benchmark.

    Attributes
    ----------
    p_lower, p_consistent, p_upper
        Shares of replicates whose statistic exceeds the observed one. They differ in the trials
        that do worse than the benchmark: not one of them (lower, too bold), those that are not
        hopelessly worse (consistent, the one to report) or all (upper, White's reality check, which
        a crowd of bad trials makes blind) count as if they were as good as it. 0 means below
        1 / n_boot. NaN if no trial varies.
    best
        The trial with the highest statistic, -1 if no trial varies.
    statistic
        Its mean / standard deviation per day over the benchmark (with a benchmark of 0 its Sharpe
        ratio), or its mean if not standardized; not cut off at 0.
    """

    p_lower: float
    p_consistent: float
    p_upper: float
    best: int
    statistic: float


def hansen_spa(
    returns: ArrayLike,
    benchmark: ArrayLike = 0.0,
    *,
    block_days: int,
    seed: int,
    n_boot: int = 999,
    kind: Kind = "circular",
    standardized: bool = True,
) -> SuperiorAbility:
    """Test that not even the best trial beats a benchmark: superior predictive ability ([1]_).

    With d the returns over the benchmark, m their mean and s their standard deviation: the
    statistic is max over trials of m / s, replicates are max of (m* - g(m)) / s with g(m) =
    max(m, 0) (lower), m if m >= -omega sqrt(2 ln ln days / days) else 0 (consistent), and m
    (upper). omega^2 is the long-run variance of d by the stationary bootstrap (Politis & Romano
    1994) with mean block `block_days`, for every kind, as in arch.

    Parameters
    ----------
    returns
        Net returns per day as decimal fractions, more is better, shape (days, trials), on days
        common to all trials.
    benchmark
        Returns to beat, a number or shape (days,); 0 is staying out.
    block_days
        Length of a block (the mean, for ``stationary``), about as long as what persists in d.
    seed
        Trials share the blocks that `msm_py.stats.blocks.replicate_indices` gives for it.
    n_boot
        Replicates.
    kind
        ``circular``, ``moving`` or ``stationary`` blocks.
    standardized
        False compares means (s = 1), which lets the most volatile trial decide.

    Returns
    -------
    The p-values. Trials that do not vary against the benchmark (never invested) are left out.

    Raises
    ------
    MsmError
        With less than three days, missing returns, a benchmark of other days, or block_days
        or n_boot out of range.

    References
    ----------
    .. [1] Hansen, P. R. (2005). A test for superior predictive ability. Journal of Business &
       Economic Statistics 23(4), 365-380.

    Examples
    --------
    >>> noise = np.random.default_rng(1).standard_normal((500, 50))
    >>> edge = np.eye(50)[7]
    >>> hansen_spa(noise, block_days=10, seed=42).p_consistent > 0.1
    True
    >>> found = hansen_spa(noise + 0.25 * edge, block_days=10, seed=42)
    >>> found.best, found.p_consistent < 0.01
    (7, True)
    """
    joint = _Joint.of(returns, benchmark, block_days, kind, n_boot, seed, standardized)
    if not joint.varies.any():
        return SuperiorAbility(np.nan, np.nan, np.nan, -1, np.nan)
    best = int(np.argmax(joint.mean))
    statistic = joint.mean[best]
    # Added to replicates that are centred on every trial's own mean.
    shifts = (np.minimum(joint.mean, 0.0), joint.consistent_shift, np.zeros_like(joint.mean))
    lower, consistent, upper = (
        float(((joint.deviation + shift).max(axis=1) > statistic).mean()) for shift in shifts
    )
    return SuperiorAbility(
        lower, consistent, upper, int(np.flatnonzero(joint.varies)[best]), float(statistic)
    )


def romano_wolf_stepm(
    returns: ArrayLike,
    benchmark: ArrayLike = 0.0,
    *,
    block_days: int,
    seed: int,
    size: float = 0.05,
    n_boot: int = 999,
    kind: Kind = "circular",
    standardized: bool = True,
) -> Bools:
    """Return which trials beat a benchmark, with one family-wise error rate for all ([1]_).

    Step down: trials above the 1 - size quantile of the replicated maximum are superior; the rest
    is tested again without them until none is added. The chance that even one of them is not truly
    better is at most `size`, for many days. Replicates are Hansen's consistent ones
    (`hansen_spa`), as in arch; the paper's own, which centre every trial, find no more.

    Parameters
    ----------
    returns, benchmark, block_days, seed, n_boot, kind, standardized
        As in `hansen_spa`: returns, more is better.
    size
        Family-wise error rate in (0, 1).

    Returns
    -------
    True where the trial is superior, shape (trials,). Trials that do not vary never are.

    Raises
    ------
    MsmError
        As `hansen_spa`, and for a size outside (0, 1).

    References
    ----------
    .. [1] Romano, J. P. & Wolf, M. (2005). Stepwise multiple testing as formalized data snooping.
       Econometrica 73(4), 1237-1282.

    Examples
    --------
    >>> noise = np.random.default_rng(1).standard_normal((500, 50))
    >>> edge = np.eye(50)[7] + np.eye(50)[9]
    >>> np.flatnonzero(romano_wolf_stepm(noise + 0.25 * edge, block_days=10, seed=42))
    array([7, 9])
    """
    if not 0.0 < size < 1.0:
        raise MsmError("size must lie between 0 and 1", received=size, remedy="use 0.05")
    joint = _Joint.of(returns, benchmark, block_days, kind, n_boot, seed, standardized)
    replicates = joint.deviation + joint.consistent_shift
    left = np.ones(len(joint.mean), dtype=np.bool_)
    while left.any():
        critical = np.quantile(replicates[:, left].max(axis=1), 1.0 - size)
        better = left & (joint.mean > critical)
        if not better.any():
            break
        left &= ~better
    superior = np.zeros(len(joint.varies), dtype=np.bool_)
    superior[joint.varies] = ~left
    return superior


@dataclass(frozen=True, slots=True)
class _Joint:
    """Means over the benchmark and their replicates, in standard deviations if standardized.

    Attributes
    ----------
    varies
        Which trials vary against the benchmark, shape (trials,); the others are left out below.
    mean
        Mean of d, shape (varying trials,).
    deviation
        Replicated mean minus mean, shape (n_boot, varying trials).
    consistent_shift
        The mean of trials below Hansen's bound, else 0, shape (varying trials,).
    """

    varies: Bools
    mean: Floats
    deviation: Floats
    consistent_shift: Floats

    @classmethod
    def of(
        cls,
        returns: ArrayLike,
        benchmark: ArrayLike,
        block_days: int,
        kind: Kind,
        n_boot: int,
        seed: int,
        standardized: bool,
    ) -> _Joint:
        excess = _excess(returns, benchmark)
        n = len(excess)
        for name, value, most in (("block_days", block_days, n), ("n_boot", n_boot, np.inf)):
            if not 1 <= value <= most:
                raise MsmError(
                    f"{name} must be at least 1" + (f" and at most {n}, the days" * (most == n)),
                    received=value,
                )
        noise = _ZERO_RANGE * np.abs(np.asarray(returns, dtype=np.float64)).max(axis=0)
        varies = np.ptp(excess, axis=0) > noise
        excess = excess[:, varies]
        mean = excess.mean(axis=0)
        centred = excess - mean
        prefix = np.zeros((2 * n + 1, len(mean)))  # around the circle
        np.cumsum(np.concatenate([centred, centred]), axis=0, out=prefix[1:])
        plan = BlockPlan(n=n, block_days=block_days, kind=kind, n_boot=n_boot, seed=seed)
        deviation = plan.add_days(0, prefix)[:n_boot]
        deviation /= n
        bound = -_standard_error(centred, block_days) * np.sqrt(2.0 * np.log(np.log(n)))
        hopeless = mean < bound
        if standardized:
            std = np.sqrt((centred * centred).sum(axis=0) / (n - 1))
            mean = mean / std
            deviation /= std
        return cls(varies, mean, deviation, np.where(hopeless, mean, 0.0))


def _excess(returns: ArrayLike, benchmark: ArrayLike) -> Floats:
    returns = np.asarray(returns, dtype=np.float64)
    benchmark = np.asarray(benchmark, dtype=np.float64)
    if returns.ndim != 2 or len(returns) < 3 or not returns.shape[1]:
        raise MsmError(
            "returns must have the shape (days, trials), with three days or more",
            received=f"shape {returns.shape}",
        )
    if benchmark.shape not in {(), (len(returns),)}:
        raise MsmError(
            "the benchmark must be a number or have the days of the returns",
            received=f"shape {benchmark.shape} for {len(returns)} days",
        )
    excess: Floats = returns - (benchmark[:, None] if benchmark.ndim else benchmark)
    if not np.isfinite(excess).all():
        raise MsmError(
            "returns are missing or infinite",
            received=f"{np.count_nonzero(~np.isfinite(excess))} such values",
            remedy="keep the days that all trials and the benchmark have",
        )
    return excess


def _standard_error(centred: Floats, block_days: int) -> Floats:
    """Return omega / sqrt(days), the standard deviation of means of a stationary bootstrap.

    omega^2 = sum over lags i of k(i) C(i) / n, C the circular autocovariance times n, k(i) =
    (1 - i / n) q^i + (i / n) q^(n - i), q = 1 - 1 / block_days. One Fourier transform per trial.
    """
    n = len(centred)
    lag = np.arange(n)
    stay = 1.0 - 1.0 / block_days
    kernel = (1.0 - lag / n) * stay**lag + lag / n * stay ** (n - lag)
    spectrum = np.fft.rfft(np.ascontiguousarray(centred.T), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    covariance = np.fft.irfft(power, n, axis=-1)
    return np.asarray(np.sqrt((covariance * kernel).sum(axis=-1)) / n)
