"""Pairs of forward returns and states, and their circular sums."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msm_py._typing import Bools, Floats, Ints

ZERO_SQUARE = 1e-13
"""A sum of squares below this share of its own terms is rounding noise, hence zero."""
_ZERO_SE = 1e-14
"""A standard error below this share of the largest |Y| is rounding noise, hence zero."""


def circular_sums(x: Floats, days: int) -> Floats:
    """Return the sums over `days` days from each day on, around the circle, along the last axis.

    Examples
    --------
    >>> circular_sums(np.array([1.0, 2.0, 4.0]), 2)
    array([3., 6., 5.])
    """
    zero = np.zeros((*x.shape[:-1], 1))
    prefix = np.cumsum(np.concatenate([zero, x, x[..., : days - 1]], axis=-1), axis=-1)
    return np.asarray(prefix[..., days:] - prefix[..., :-days])


@dataclass(frozen=True)
class Sample:
    """The pairs of some runs, centred so that nothing cancels later.

    Attributes
    ----------
    y
        Y minus its mean, shape (runs, n).
    member
        1 where the day is in the regime, else 0, shape (runs, n_regimes, n).
    residual
        Y minus the mean of its regime, shape (runs, n).
    count
        Days per regime, shape (runs, n_regimes).
    gap
        Mean of the regime minus overall mean, 0 where the regime is absent (and exactly 0 where
        it is the only one), shape (runs, n_regimes).
    testable
        Regimes that best, worst and the largest of all may be, shape (runs, n_regimes).
    best, worst
        The most MAJORS and the most ALTS of them, shape (runs,); equal where there is one, and
        both 0 where there is none.
    noise
        Standard errors up to this are rounding noise, shape (runs, 1).
    """

    y: Floats
    member: Floats
    residual: Floats
    count: Floats
    gap: Floats
    testable: Bools
    best: Ints
    worst: Ints
    noise: Floats

    @classmethod
    def of(
        cls, y: Floats, regime: Ints, n_regimes: int, *, testable: Bools | None = None
    ) -> Sample:
        """Prepare Y, shape (runs, n), and regimes 0 (most ALTS) to n_regimes - 1 (most MAJORS).

        Without `testable` every regime present is.
        """
        n = y.shape[1]
        constant = y.max(axis=-1) == y.min(axis=-1)
        centred = np.where(constant[:, None], 0.0, y - y.mean(axis=-1, keepdims=True))
        member = (regime[:, None, :] == np.arange(n_regimes)[:, None]).astype(np.float64)
        count = member.sum(axis=-1)
        gap = (member * centred[:, None, :]).sum(axis=-1) / np.maximum(count, 1.0)
        gap[count == n] = 0.0
        present = count > 0
        chosen = present if testable is None else present & testable
        some = chosen.any(axis=-1)
        return cls(
            y=centred,
            member=member,
            residual=centred - np.take_along_axis(gap, regime, axis=-1),
            count=count,
            gap=gap,
            testable=chosen,
            best=np.where(some, n_regimes - 1 - np.argmax(chosen[:, ::-1], axis=-1), 0),
            worst=np.argmax(chosen, axis=-1),
            # Y is a difference of growths around 1
            noise=_ZERO_SE * np.maximum(np.abs(y).max(axis=-1, keepdims=True), 1.0),
        )

    def rows(self, rows: Ints) -> Sample:
        """Return some of the runs."""
        return Sample(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def n(self) -> int:
        """Pairs per run."""
        return int(self.y.shape[1])

    @cached_property
    def inverse_share(self) -> Floats:
        """1 / p_r, 0 where the regime is absent, shape (runs, n_regimes)."""
        return np.where(self.count > 0, self.n / np.maximum(self.count, 1.0), 0.0)

    @cached_property
    def estimate(self) -> Floats:
        """Edges of the regimes, then the spread, NaN where undefined: (runs, n_regimes + 1)."""
        edge = np.where(self.count > 0, self.gap, np.nan)
        spread = self.pick(self.gap, self.best) - self.pick(self.gap, self.worst)
        return np.column_stack([edge, np.where(self.best != self.worst, spread, np.nan)])

    @cached_property
    def exposure(self) -> Floats:
        """What multiplies centred Y in an influence series, shape (runs, n_regimes + 1, n).

        1_r / p_r - 1 for a regime's edge, 1_b / p_b - 1_w / p_w for the spread.
        """
        scaled = self.member * self.inverse_share[:, :, None]
        spread = self.pick(scaled, self.best) - self.pick(scaled, self.worst)
        return np.concatenate([scaled - 1.0, spread[:, None, :]], axis=1)

    @cached_property
    def influence(self) -> Floats:
        """The influence series psi of every edge, shape (runs, n_regimes + 1, n)."""
        scaled = self.member * (self.inverse_share[:, :, None] * self.residual[:, None, :])
        spread = self.pick(scaled, self.best) - self.pick(scaled, self.worst)
        return np.concatenate([scaled - self.y[:, None, :], spread[:, None, :]], axis=1)

    @staticmethod
    def pick(values: NDArray[Any], state: Ints) -> NDArray[Any]:
        """Return each run's values of one state: (runs, n_regimes, ...) to (runs, ...)."""
        return values[np.arange(len(state)), state]

    def standard_error(self, block_days: int) -> Floats:
        """Return se of every edge, shape (runs, n_regimes + 1); NaN where the edge is.

        se^2 = sum over all n circular sums S_j of psi over L days of S_j^2, over n^2 L. What is
        zero up to rounding is exactly zero.
        """
        window = circular_sums(self.influence, block_days)
        se = np.sqrt((window * window).sum(axis=-1) / block_days) / self.n
        se = np.where(se <= self.noise, 0.0, se)
        return np.where(np.isnan(self.estimate), np.nan, se)
