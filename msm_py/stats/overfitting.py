"""Does the best of many trials stay good? Combinatorially symmetric cross-validation.

The days are cut into S blocks, and every choice of S / 2 of them is once the sample in which the
best trial is picked, the other half the days on which it must prove itself. A Sharpe ratio of any
half is a function of two sums over its blocks (r and r^2), so 12,870 splits of a thousand trials
are sparse sums of sixteen rows each, not 12,870 passes over the days.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from msm_py._typing import Bools, Floats, Ints
from msm_py.errors import MsmError

_CHUNK = 1_000_000
"""Numbers per array in a chunk of splits: 8 MB, of which about ten are alive at once."""

_MOST_BLOCKS = 20
"""184,756 splits; each two blocks more are four times as many."""

_ZERO_VARIANCE = 1e-12
"""A sum of squared deviations below this share of the sum of squares is rounding noise."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What cross-validation says of picking the best trial.

    Attributes
    ----------
    pbo
        Probability of backtest overfitting: the share of splits in which the trial picked in the
        sample is at the median of all trials or below outside it (logit <= 0). About one half on
        noise, near zero if the best is truly better, near one if what shone always fades.
    logit
        ln(w / (1 - w)) per split, w = rank / (trials + 1) of the picked trial out of sample, the
        worst having rank 1 and ties their mean rank; shape (splits,).
    in_sample, out_of_sample
        Sharpe ratio per day of the picked trial in either half, shape (splits,).
    picked
        Which trial was picked, shape (splits,).
    degradation_slope
        Slope of the regression of `out_of_sample` on `in_sample`: negative if the better a
        backtest looks the worse it goes on. NaN if `in_sample` does not vary.
    probability_of_loss
        Share of splits in which the picked trial lost money out of sample (Sharpe ratio < 0).
    """

    pbo: float
    logit: Floats
    in_sample: Floats
    out_of_sample: Floats
    picked: Ints
    degradation_slope: float
    probability_of_loss: float


def probability_of_backtest_overfitting(returns: ArrayLike, *, n_blocks: int = 16) -> Overfitting:
    """Return the probability that the best backtest is below average from then on ([1]_).

    Every split is looked at in both directions and past and future are mixed on purpose: this is a
    statement on the procedure of picking, not a forecast. Halves keep the order of nothing but
    their own blocks, which a Sharpe ratio does not see.

    Parameters
    ----------
    returns
        Net returns per day as decimal fractions, more is better (no losses), shape (days, trials);
        the days must be common to all trials.
    n_blocks
        S, even; the paper takes 16 (12,870 splits), 10 gives 252. Block b has the days from
        floor(b days / S) to floor((b + 1) days / S): no day is dropped, and if S does not divide
        the days, blocks (and so halves) are unequal by a day each, the longer ones spread evenly.

    Returns
    -------
    The probability and what lies behind it. The metric is the Sharpe ratio mean / std of all days
    of a half, not annualised. A trial without variance in a half, such as one that is never
    invested, counts 0 there. Of trials that tie in the sample the first is picked (copies of one
    trial share their rank, so which is picked changes nothing).

    Raises
    ------
    MsmError
        With less than two trials, missing returns, an odd or impossible number of blocks, or fewer
        than two days per block.

    References
    ----------
    .. [1] Bailey, D. H., Borwein, J. M., Lopez de Prado, M. & Zhu, Q. J. (2017). The probability of
       backtest overfitting. Journal of Computational Finance 20(4), 39-69.

    Examples
    --------
    One trial in twenty truly earns a fifth of its volatility a day:

    >>> noise = np.random.default_rng(1).standard_normal((600, 20))
    >>> edge = np.eye(20)[0]
    >>> round(probability_of_backtest_overfitting(noise + 0.2 * edge, n_blocks=10).pbo, 3)
    0.012
    """
    returns = _checked(returns, n_blocks)
    n_days, n_trials = returns.shape
    bounds = np.arange(n_blocks + 1) * n_days // n_blocks
    sums = np.add.reduceat(np.hstack([returns, returns * returns]), bounds[:-1], axis=0)
    days = np.diff(bounds)

    # Choices in lexicographic order: the complement of choice i is the one as far from the end.
    choices = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    n_splits = len(choices)
    in_sample, out_of_sample, rank = (np.empty(n_splits) for _ in range(3))
    picked = np.empty(n_splits, dtype=np.int64)
    step = max(1, _CHUNK // n_trials)
    for start in range(0, n_splits // 2, step):
        split = np.arange(start, min(start + step, n_splits // 2))
        other = n_splits - 1 - split
        one, two = (_sharpe(sums, days, choices[half]) for half in (split, other))
        for half, inside, outside in ((split, one, two), (other, two, one)):
            best = inside.argmax(axis=1)
            at = (np.arange(len(half)), best)
            result = outside[at]
            picked[half], in_sample[half], out_of_sample[half] = best, inside[at], result
            below = (outside < result[:, None]).sum(axis=1)
            equal = (outside == result[:, None]).sum(axis=1)
            rank[half] = below + (equal + 1) / 2

    logit = np.log(rank / (n_trials + 1 - rank))
    deviation = in_sample - in_sample.mean()
    square = (deviation * deviation).sum()
    varies = in_sample.min() < in_sample.max()
    return Overfitting(
        pbo=float((logit <= 0).mean()),
        logit=logit,
        in_sample=in_sample,
        out_of_sample=out_of_sample,
        picked=picked,
        degradation_slope=(
            float((deviation * out_of_sample).sum() / square) if varies else float("nan")
        ),
        probability_of_loss=float((out_of_sample < 0).mean()),
    )


def _checked(returns: ArrayLike, n_blocks: int) -> Floats:
    returns = np.asarray(returns, dtype=np.float64)
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise MsmError(
            "overfitting is a question about at least two trials",
            received=f"shape {returns.shape}",
            remedy="give an array of shape (days, trials)",
        )
    if not np.isfinite(returns).all():
        raise MsmError(
            "returns are missing or infinite",
            received=f"{np.count_nonzero(~np.isfinite(returns))} such values",
            remedy="keep the days that all trials have",
        )
    most = min(_MOST_BLOCKS, len(returns) // 2)
    if n_blocks % 2 or not 2 <= n_blocks <= most:
        raise MsmError(
            f"n_blocks must be even, from 2 to {most} for {len(returns)} days",
            received=n_blocks,
            remedy="use 16, or 10 for short samples",
        )
    return returns


def _sharpe(sums: Floats, days: Ints, choices: Ints) -> Floats:
    """Return the Sharpe ratio per day of every trial in halves, shape (halves, trials).

    A sparse product adds the blocks of a half in their order: no BLAS, the same bits everywhere.
    """
    n_halves, n_chosen = choices.shape
    half = csr_array(
        (np.ones(choices.size), choices.ravel(), np.arange(n_halves + 1) * n_chosen),
        shape=(n_halves, len(sums)),
    )
    total, squares = np.hsplit(half @ sums, 2)
    n = days[choices].sum(axis=1)[:, None]
    square = squares - total * total / n
    varies: Bools = square > _ZERO_VARIANCE * squares
    std = np.sqrt(np.where(varies, square, 1.0) / (n - 1))
    return np.where(varies, total / n / std, 0.0)
