"""How good a Sharpe ratio has to be when it is the best of many: the deflated Sharpe ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from msm_py.statistics import probabilistic_sharpe_ratio


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
