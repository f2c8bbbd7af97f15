"""Statistics of single series that SQL has no function for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtr


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
