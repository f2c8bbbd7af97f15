"""Sharpe ratios and how sure one may be of them: probabilistic, deflated, under flipped signs."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr

from msm_py._typing import Floats


def student_p_value(t: ArrayLike, degrees: ArrayLike) -> NDArray[np.float64]:
    """Return the two-sided p of Student t-statistics.

    With overlapping forward returns this test rejects a true null far too often; it is here for
    comparison with other tools only.

    Parameters
    ----------
    t
        t-statistics, any shape; NaN gives NaN.
    degrees
        Degrees of freedom; below 1 the p is NaN.

    Returns
    -------
    p-values of the broadcast shape.

    Examples
    --------
    >>> student_p_value([0.0, 2.228, np.nan], 10).round(3)
    array([1.  , 0.05,  nan])
    """
    degrees = np.asarray(degrees, dtype=np.float64)
    t = np.abs(np.asarray(t, dtype=np.float64))
    usable = degrees >= 1
    return np.where(usable, 2.0 * stdtr(np.where(usable, degrees, 1.0), -t), np.nan)


def resolved_std(returns: NDArray[np.float64], *, ddof: int) -> NDArray[np.float64]:
    """Return the standard deviation of daily returns by row, NaN where it is only rounding.

    Parameters
    ----------
    returns
        Shape (series, days), no NaN.
    ddof
        0 for the deviation of a population, 1 for that of a sample.

    Returns
    -------
    Shape (series,). NaN where it is at most 1e-10 of the largest absolute return: a return is a
    ratio minus 1 and resolves 2e-16, so returns of 1e-5 and more that never change end there.

    Examples
    --------
    >>> resolved_std(np.array([[0.01, -0.01], [0.01, 0.01 + 1e-16]]), ddof=0)
    array([0.01,  nan])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        std = returns.std(axis=1, ddof=ddof)
        return np.where(std > 1e-10 * np.abs(returns).max(axis=1), std, np.nan)


def probabilistic_sharpe_ratio(
    sharpe: ArrayLike,
    n: ArrayLike,
    skewness: ArrayLike,
    kurtosis: ArrayLike,
    *,
    benchmark: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return the probability that the true Sharpe ratio exceeds a benchmark ([1]_).

    Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)), per observation throughout:
    an annual Sharpe ratio of daily returns must be divided by sqrt(365) first.

    Parameters
    ----------
    sharpe
        Sharpe ratio per observation; NaN gives NaN.
    n
        Number of returns; below 2 the result is NaN.
    skewness
        g3 of the returns.
    kurtosis
        g4 of the returns, raw (normal = 3).
    benchmark
        SR*, per observation.

    Returns
    -------
    Probabilities of the broadcast shape; NaN where the variance in the root is not positive.

    References
    ----------
    .. [1] Bailey, D. H. & Lopez de Prado, M. (2012). The Sharpe ratio efficient frontier. Journal
       of Risk 15(2).

    Examples
    --------
    A monthly Sharpe ratio of 0.458 over 24 months of skewed, fat-tailed returns, as in the paper:

    >>> float(probabilistic_sharpe_ratio(0.458, 24, -2.448, 10.164).round(3))
    0.913
    """
    sharpe, n, skewness, kurtosis, benchmark = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (sharpe, n, skewness, kurtosis, benchmark))
    )
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    usable = (variance > 0) & (n >= 2)
    scale = np.sqrt(np.where(usable, n - 1.0, 0.0) / np.where(usable, variance, 1.0))
    return np.where(usable, ndtr((sharpe - benchmark) * scale), np.nan)


def expected_maximum_sharpe(variance: ArrayLike, n_trials: ArrayLike) -> NDArray[np.float64]:
    """Return the highest Sharpe ratio to be expected of trials that have no skill ([1]_).

    sqrt(V) ((1 - g) z(1 - 1 / N) + g z(1 - 1 / (N e))), z the normal quantile, g Euler's constant:
    the expected maximum of N independent normal draws around zero. Trials of one sweep are alike,
    hence dependent: counting each as one of N asks for more than need be, never for less.

    Parameters
    ----------
    variance
        V, the sample variance (ddof = 1) of the trials' Sharpe ratios. The result has its unit:
        the variance of ratios per day gives a ratio per day.
    n_trials
        N, all trials at the question, the failed and forgotten ones too. The result is 0 for one
        trial (whatever the variance) and never below; NaN for less than one.

    Returns
    -------
    Sharpe ratios of the broadcast shape; NaN where the variance is missing or negative.

    References
    ----------
    .. [1] Bailey, D. H. & Lopez de Prado, M. (2014). The deflated Sharpe ratio: correcting for
       selection bias, backtest overfitting, and non-normality. Journal of Portfolio Management
       40(5), 94-107.

    Examples
    --------
    >>> expected_maximum_sharpe(0.5, [1, 10, 100, 1000]).round(3)
    array([0.   , 1.113, 1.789, 2.302])
    """
    variance, n = np.broadcast_arrays(
        np.asarray(variance, dtype=np.float64), np.asarray(n_trials, dtype=np.float64)
    )
    usable = (variance >= 0) & (n > 1)
    n_used = np.where(usable, n, 2.0)
    maximum = (1.0 - np.euler_gamma) * ndtri(1.0 - 1.0 / n_used)
    maximum = maximum + np.euler_gamma * ndtri(1.0 - 1.0 / (n_used * np.e))
    # The approximation is for many trials: below two it falls under the 0 that one trial has.
    expected = np.sqrt(np.where(usable, variance, 0.0)) * np.maximum(maximum, 0.0)
    return np.where(usable, expected, np.where(n == 1, 0.0, np.nan))


def effective_trials(returns: Floats) -> float:
    """Return how many independent trials some trials are worth ([1]_, appendix 3).

    rho + (1 - rho) M, rho the mean correlation of M trials, taken for 0 where it is negative:
    1 when all are one and the same, M when they have nothing in common.

    Parameters
    ----------
    returns
        Daily returns, shape (trials, days), no NaN. A trial whose return never changes is related
        to nothing and counts as one.

    Returns
    -------
    A number from 1 to the number of trials; 0 without trials.

    References
    ----------
    .. [1] Bailey, D. H. & Lopez de Prado, M. (2014). The deflated Sharpe ratio: correcting for
       selection bias, backtest overfitting, and non-normality. Journal of Portfolio Management
       40(5), 94-107.

    Examples
    --------
    >>> x = np.array([1.0, -1.0, 1.0, -1.0])
    >>> y = np.array([1.0, 1.0, -1.0, -1.0])
    >>> effective_trials(np.stack([x, x, x])), effective_trials(np.stack([x, y]))
    (1.0, 2.0)
    """
    deviation = resolved_std(returns, ddof=0)
    varies = np.isfinite(deviation)
    m = int(varies.sum())
    constant = float(len(returns) - m)
    if m < 2:
        return constant + m
    own = returns[varies]
    z = (own - own.mean(axis=1, keepdims=True)) / deviation[varies, None]
    total = z.sum(axis=0)
    rho = ((total @ total) / z.shape[1] - m) / (m * (m - 1))
    rho = min(max(float(rho), 0.0), 1.0)
    return constant + rho + (1.0 - rho) * m


def deflated_sharpe_ratio(
    sharpe: ArrayLike,
    n_observations: ArrayLike,
    skewness: ArrayLike,
    kurtosis: ArrayLike,
    variance_of_trials: ArrayLike,
    n_trials: ArrayLike,
) -> NDArray[np.float64]:
    """Return the probability that a Sharpe ratio is more than the luck of many trials ([1]_).

    The probabilistic Sharpe ratio against `expected_maximum_sharpe`. Everything is per observation:
    an annual ratio of daily returns must be divided by sqrt(365) first, a variance of annual
    ratios by 365. Higher is better; 0.95 is the usual bar.

    Parameters
    ----------
    sharpe
        Sharpe ratio per observation; NaN gives NaN.
    n_observations
        Number of returns behind it; below 2 the result is NaN.
    skewness
        g3 of the returns.
    kurtosis
        g4 of the returns, raw (normal = 3).
    variance_of_trials
        Sample variance of the Sharpe ratios per observation of all trials.
    n_trials
        Number of trials; with 1 this is the probabilistic Sharpe ratio against 0.

    Returns
    -------
    Probabilities of the broadcast shape.

    References
    ----------
    .. [1] Bailey, D. H. & Lopez de Prado, M. (2014). The deflated Sharpe ratio: correcting for
       selection bias, backtest overfitting, and non-normality. Journal of Portfolio Management
       40(5), 94-107.

    Examples
    --------
    The paper's example: an annual Sharpe ratio of 2.5 over five years of 250 days, skewness -3,
    kurtosis 10, the best of 100 or of 46 trials whose annual ratios have variance 1/2:

    >>> deflated_sharpe_ratio(2.5 / 250**0.5, 1250, -3, 10, 0.5 / 250, [100, 46]).round(4)
    array([0.9004, 0.9505])
    """
    return probabilistic_sharpe_ratio(
        sharpe,
        n_observations,
        skewness,
        kurtosis,
        benchmark=expected_maximum_sharpe(variance_of_trials, n_trials),
    )


ANNUALIZATION_DAYS: Final = 365


def net_sharpe(r_net: Floats) -> Floats:
    """Return the annualised Sharpe ratio of daily net returns, NaN where it is undefined.

    Parameters
    ----------
    r_net
        Shape (candidates, days), no NaN.
    """
    std = resolved_std(r_net, ddof=1)
    return np.asarray(r_net.mean(axis=1) / std * np.sqrt(ANNUALIZATION_DAYS))


def sign_flips(own: float | None, other: float | None) -> bool | None:
    """Return whether two numbers differ in sign; None when one is missing, or 0, which has none.

    Examples
    --------
    >>> sign_flips(0.4, -0.1), sign_flips(-0.4, -0.1), sign_flips(0.4, 0.0), sign_flips(0.4, None)
    (True, False, None, None)
    """
    return (own > 0) != (other > 0) if own and other else None
