"""Sums of many slices of one table: where the tests of edges spend most of their time.

A process begins in NumPy and goes on compiled once that has taken as long as Numba takes to start,
half a second and 140 MB: a single run does without. Both add in the same order, so bits do not
depend on which it was. Compiled code is kept beside the function, or in the user's cache where that
cannot be written to.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from msm_py._typing import Floats

_PAYS: Final = 3e8
"""Work in NumPy, in numbers added, that takes as long as starting Numba does."""
_A_SUM: Final = 5_000
"""What a sum costs besides, in numbers added."""
_AT_ONCE: Final = 2**17
"""Numbers that NumPy takes at a time, a MB of them."""
_spent = 0.0  # work in NumPy so far


@dataclass(frozen=True, slots=True)
class Terms:
    """What is added up: sum i has the terms [offset[i], offset[i + 1]), in this order.

    Attributes
    ----------
    begin
        Where the slice of each term begins in the table, flattened.
    factor
        What it is multiplied by. Whole and small: the product is exact, so that bits do not depend
        on whether a processor multiplies and adds in one step.
    offset
        Shape (sums + 1,).
    """

    begin: NDArray[np.int64]
    factor: Floats
    offset: NDArray[np.int64]


def sums_of_slices(table: Floats, terms: Terms, length: int) -> Floats:
    """Return sums of slices of a table, each added up term after term.

    Parameters
    ----------
    table
        Contiguous; slices may overlap, and go over the ends of its rows.
    terms
        The slices.
    length
        Of a slice.

    Returns
    -------
    Shape (sums, length): a row's bits do not depend on the other rows.

    Examples
    --------
    >>> terms = Terms(np.array([0, 2, 1]), np.array([1.0, -1.0, 2.0]), np.array([0, 2, 3]))
    >>> sums_of_slices(np.arange(5.0), terms, 3)
    array([[-2., -2., -2.],
           [ 2.,  4.,  6.]])
    """
    global _spent
    sums = np.zeros((len(terms.offset) - 1, length))
    if len(terms.begin) and not 0 <= terms.begin.min() <= terms.begin.max() <= table.size - length:
        raise ValueError("a slice lies outside the table")
    work = len(terms.begin) * length + len(sums) * _A_SUM
    add = plain if _spent + work <= _PAYS else compiled()
    add(table.reshape(-1), terms.begin, terms.factor, terms.offset, sums)
    _spent += work
    return sums


Add = Callable[[Floats, NDArray[np.int64], Floats, NDArray[np.int64], Floats], None]


def plain(
    table: Floats, begin: NDArray[np.int64], factor: Floats, offset: NDArray[np.int64], sums: Floats
) -> None:
    """Add slices of a flat table to sums of zero, in NumPy; names as `Terms` has them."""
    slices = sliding_window_view(table, sums.shape[1])
    some = max(1, _AT_ONCE // max(1, sums.shape[1]))
    for row, (first, end) in enumerate(pairwise(offset.tolist())):
        for here in range(first, end, some):
            terms = slice(here, min(here + some, end))
            part = slices[begin[terms]]
            part *= factor[terms, None]
            part[0] += sums[row]
            # one after the other, which a plain sum does not promise
            sums[row] = np.add.accumulate(part, out=part)[-1]


@cache
def compiled() -> Add:
    """Return `plain`, compiled."""
    import numba

    add = cast("Add", numba.njit(nogil=True)(_loop))
    with suppress(Exception):  # nowhere to keep it, or what is kept is damaged: compiled anew
        kept = cast("Add", numba.njit(cache=True, nogil=True)(_loop))
        kept(
            np.zeros(1), np.zeros(1, dtype=np.int64), np.ones(1), np.array([0, 1]), np.ones((1, 1))
        )
        return kept
    return add


def _loop(
    table: Floats, begin: NDArray[np.int64], factor: Floats, offset: NDArray[np.int64], sums: Floats
) -> None:
    n = sums.shape[1]
    for row in range(len(sums)):
        to, i, end = sums[row], offset[row], offset[row + 1]
        while i + 4 <= end:  # four by four, which reads and writes the sum a fourth as often
            a, b = table[begin[i] : begin[i] + n], table[begin[i + 1] : begin[i + 1] + n]
            c, d = table[begin[i + 2] : begin[i + 2] + n], table[begin[i + 3] : begin[i + 3] + n]
            f, g, h, j = factor[i], factor[i + 1], factor[i + 2], factor[i + 3]
            for k in range(n):
                to[k] = to[k] + f * a[k] + g * b[k] + h * c[k] + j * d[k]
            i += 4
        while i < end:
            a, f = table[begin[i] : begin[i] + n], factor[i]
            for k in range(n):
                to[k] += f * a[k]
            i += 1
