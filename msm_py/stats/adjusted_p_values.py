"""p-values adjusted for having asked many questions."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msm_py.errors import MsmError


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for the false discovery rate ([1]_).

    Of the edges with an adjusted p of at most q, a share of q is expected to be false. Sound for
    independent and for positively dependent tests, as variants of one idea are.

    Parameters
    ----------
    p
        p-values, shape (tests,). A missing one (NaN) was never a test: it stays NaN and does not
        count.

    Returns
    -------
    min over tests j with p_j >= p_i of p_j m / rank_j, at most 1; shape (tests,).

    Raises
    ------
    MsmError
        If `p` is not a vector of numbers in [0, 1].

    References
    ----------
    .. [1] Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate. Journal of the
       Royal Statistical Society B 57(1), 289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, np.nan, 0.03])
    array([0.03, 0.04,  nan, 0.04])
    """
    p, order = _ordered(p)
    m = len(order)
    scaled = p[order] * m / np.arange(1, m + 1)
    return _restored(p, order, np.minimum.accumulate(scaled[::-1])[::-1])


def beside_others(
    p: NDArray[np.float64],
    owner: NDArray[np.int64],
    group: NDArray[np.int64],
    others: NDArray[np.float64],
    others_group: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return p-values adjusted by Benjamini & Hochberg, those of each owner on their own.

    Each owner stands beside the same others but for those of its group, as `benjamini_hochberg`
    would see them. The others are put in order once, so that an owner costs a pass over them.

    Parameters
    ----------
    p, owner, group
        p-values without NaN, whose they are, and the owner's group, shape (own,); those of an owner
        lie together.
    others, others_group
        The p-values beside which they stand, and their groups, shape (others,).

    Returns
    -------
    Adjusted p-values, shape (own,).

    Examples
    --------
    >>> own, others = np.array([0.01, 0.02]), np.array([0.03, 0.5])
    >>> beside_others(own, np.array([0, 1]), np.array([0, 1]), others, np.array([7, 1]))
    array([0.03, 0.03])
    """
    adjusted = np.empty(len(p))
    order = np.argsort(others, kind="stable")
    others, others_group = others[order], others_group[order]
    known: dict[tuple[bytes, int], NDArray[np.float64]] = {}  # runs made again find the same
    borders = [0, *(np.flatnonzero(np.diff(owner)) + 1), len(p)] if len(p) else []
    for start, end in itertools.pairwise(borders):
        same = (p[start:end].tobytes(), int(group[start]))
        if same in known:
            adjusted[start:end] = known[same]
            continue
        own_order = np.argsort(p[start:end])
        own = p[start:end][own_order]
        beside = others[others_group != group[start]]
        m = len(own) + len(beside)
        # of equal ones the last has the rank that counts, the smallest ratio
        rank = np.arange(1, len(beside) + 1) + np.searchsorted(own, beside, side="right")
        least = np.minimum.accumulate((beside * m / rank)[::-1])[::-1]
        own_rank = np.arange(1, len(own) + 1) + np.searchsorted(beside, own, side="right")
        own_least = np.minimum.accumulate((own * m / own_rank)[::-1])[::-1]
        above = np.append(least, np.inf)[np.searchsorted(beside, own, side="left")]
        adjusted[start + own_order] = np.minimum(np.minimum(own_least, above), 1.0)
        known[same] = adjusted[start:end]
    return adjusted


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for the family-wise error rate ([1]_), whatever the dependence.

    The chance of even one false edge among those with an adjusted p of at most a is at most a.

    Parameters
    ----------
    p
        p-values, shape (tests,). A missing one (NaN) was never a test: it stays NaN and does not
        count.

    Returns
    -------
    max over tests j with p_j <= p_i of p_j (m + 1 - rank_j), at most 1; shape (tests,).

    Raises
    ------
    MsmError
        If `p` is not a vector of numbers in [0, 1].

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian
       Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, np.nan, 0.03])
    array([0.03, 0.06,  nan, 0.06])
    """
    p, order = _ordered(p)
    m = len(order)
    return _restored(p, order, np.maximum.accumulate(p[order] * np.arange(m, 0, -1)))


def _ordered(p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the p-values and the positions of those that are there, from the smallest on."""
    p = np.asarray(p, dtype=np.float64)
    wrong = (p < 0) | (p > 1)
    if p.ndim != 1 or wrong.any():
        raise MsmError(
            "p-values must be a vector of numbers from 0 to 1, or NaN where there is none",
            received=f"shape {p.shape}" if p.ndim != 1 else float(p[wrong][0]),
        )
    order = np.argsort(p, kind="stable")  # NaN sorts last
    return p, order[: np.count_nonzero(~np.isnan(p))]


def _restored(
    p: NDArray[np.float64], order: NDArray[np.int64], adjusted: NDArray[np.float64]
) -> NDArray[np.float64]:
    result = np.full(len(p), np.nan)
    result[order] = np.minimum(adjusted, 1.0)
    return result
