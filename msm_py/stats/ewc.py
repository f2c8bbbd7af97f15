"""Equal-weighted cosines and Student's t: the cross-check ``p_ewc``.

References
----------
.. [1] Lazarus, E., Lewis, D. J., Stock, J. H. & Watson, M. W. (2018). HAR inference:
   recommendations for practice. Journal of Business & Economic Statistics 36(4).
.. [2] Müller, U. K. (2004). A theory of robust long-run variance estimation. Journal of
   Econometrics 141(2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from msm_py._typing import Bools, Floats
from msm_py.stats.sample import Sample
from msm_py.stats.sharpe import student_p_value


def n_cosines(n: int, horizon_days: int) -> int:
    """Return B = max(2, floor(min(0.4 n^(2/3), n / (2h)))), the number of cosines.

    The first is the rule of [1]_; the second keeps to cycles of 4h days and more, below which
    overlapping forward returns have no variance left.

    Examples
    --------
    >>> n_cosines(915, 1), n_cosines(915, 20), n_cosines(30, 20)
    (37, 22, 2)
    """
    return max(2, math.floor(min(0.4 * math.pow(n, 2 / 3), n / (2 * horizon_days))))


def cosine_variance(x: ArrayLike, number: int) -> Floats:
    r"""Return the long-run variance of a series from its first type-II cosine transforms.

    .. math:: \frac{1}{B} \sum_{j=1}^{B} \Lambda_j^2, \quad
              \Lambda_j = \sqrt{2/n} \sum_{t=1}^{n} x_t \cos(\pi j (t - 1/2) / n)

    A constant added to the series changes nothing: the cosines sum to zero.

    Parameters
    ----------
    x
        Series along the last axis, shape (..., n), no NaN.
    number
        B, below n.

    Returns
    -------
    Long-run variance, shape (...); divided by n it is the variance of the mean, and the mean over
    its root has Student's t with B degrees of freedom in large samples.

    Examples
    --------
    >>> float(cosine_variance([1.0, -1.0, 2.0], 2).round(8))  # (1/2 + 25/6) / 2
    2.33333333
    """
    x = np.asarray(x, dtype=np.float64)
    n = x.shape[-1]
    # the cosine transform is the Fourier transform of the series and its mirror image; NumPy's
    # does one line at a time, so bits do not depend on the batch
    mirrored = np.fft.rfft(np.concatenate([x, x[..., ::-1]], axis=-1))[..., 1 : number + 1]
    turned = mirrored * np.exp(-0.5j * np.pi / n * np.arange(1, number + 1))
    weight = turned.real * (0.5 * math.sqrt(2.0 / n))
    return np.asarray((weight * weight).sum(axis=-1) / number)


def ewc_p_values(sample: Sample, horizon_days: int, wanted: Bools) -> Floats:
    """Return ``p_ewc`` of every edge: cosines of the influence series with the null imposed.

    The null puts the overall mean in place of the regimes' means, so the series is centred Y
    times 1_r / p_r - 1 (for the spread 1_b / p_b - 1_w / p_w).

    Parameters
    ----------
    sample
        The runs.
    horizon_days
        h.
    wanted
        Which edges to test, shape (runs, n_regimes + 1).

    Returns
    -------
    p-values, shape (runs, n_regimes + 1), NaN where not wanted or where the variance is zero.
    """
    number = n_cosines(sample.n, horizon_days)
    if number >= sample.n:
        return np.full(wanted.shape, np.nan)
    psi = sample.exposure * sample.y[:, None, :]
    se = np.sqrt(cosine_variance(psi - psi.mean(axis=-1, keepdims=True), number) / sample.n)
    ok = wanted & (se > sample.noise)
    t = sample.estimate / np.where(ok, se, np.nan)
    return np.where(ok, student_p_value(t, number), np.nan)
