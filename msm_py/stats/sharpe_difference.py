"""How sure one may be of a Sharpe ratio, and of the difference of two (Ledoit & Wolf 2008).

A Sharpe ratio is a function of two means, of r and of r^2, so a replicate of a circular block
bootstrap needs no more than the sums of both over its blocks: it costs its blocks, not its days.
Each series is computed by itself and in the same way whoever is with it, so a run has the same
bits alone and among a thousand others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from msm_py._typing import Bools, Floats
from msm_py.stats.blocks import FEWEST_BLOCKS, BlockPlan
from msm_py.stats.bootstrap import critical_value
from msm_py.stats.sample import circular_sums
from msm_py.stats.sharpe import ANNUALIZATION_DAYS, resolved_std

BLOCK_DAYS: Final = 20
_CONSTANT: Final = 1e-9
"""A replicate whose variance is below this share of the sample's holds one return only."""
_ZERO_SE: Final = 1e-12
"""A standard error below this is rounding: the two series are one, up to their scale."""


def can_test(n: int) -> bool:
    """Return whether a number of days is enough for `sharpe_test`."""
    return n >= FEWEST_BLOCKS * BLOCK_DAYS


def block_plan(*, n: int, n_boot: int, seed: int) -> BlockPlan:
    """Return the blocks of ``n`` days; series of equally many days share them."""
    return BlockPlan(n=n, block_days=BLOCK_DAYS, kind="circular", n_boot=n_boot, seed=seed)


@dataclass(frozen=True, slots=True)
class _Round:
    """A round of replicates of one series.

    Attributes
    ----------
    ratio
        Sharpe ratios, shape (replicates,).
    block
        Sums of the influence series over blocks, shape (replicates, blocks).
    valid
        False where the replicate's return never changes, so that it has no ratio.
    """

    ratio: Floats
    block: Floats
    valid: Bools


class ResampledSharpe:
    """The Sharpe ratio of daily returns, per day, and its replicates.

    With z the returns less their mean over their standard deviation (of the population, as all
    deviations here), the influence series of the ratio S is psi = z - S / 2 (z^2 - 1).

    Parameters
    ----------
    returns
        Daily returns, shape (n,), no NaN.
    plan
        The blocks. Ratios are compared on the same days only, and so with the same plan.
    """

    def __init__(self, returns: Floats, plan: BlockPlan) -> None:
        self.plan = plan
        deviation = resolved_std(returns[None], ddof=0)[0]
        mean = returns.mean()
        self._z = (returns - mean) / deviation
        self.ratio = float(mean / deviation)
        self._rounds: dict[int, _Round] = {}

    @property
    def is_defined(self) -> bool:
        """Whether there is a ratio: there is none when the return never changes."""
        return bool(np.isfinite(self.ratio))

    @property
    def influence(self) -> Floats:
        """The influence series psi, shape (n,)."""
        return np.asarray(self._z - self.ratio / 2.0 * (self._z * self._z - 1.0))

    @cached_property
    def _block_sums(self) -> Floats:
        """Sums of z and z^2 over the full blocks from each day on, then over the last, cut ones."""
        daily = np.stack([self._z, self._z * self._z])
        lengths = (self.plan.block_days, self.plan.last_days)
        return np.concatenate([circular_sums(daily, days) for days in lengths], axis=1)

    def round(self, number: int) -> _Round:
        """Return a round of replicates."""
        if number not in self._rounds:
            self._rounds[number] = self._replicates(number)
        return self._rounds[number]

    def _replicates(self, number: int) -> _Round:
        plan, n = self.plan, self.plan.n
        drawn = plan.drawn_blocks(number)
        z, square = (sums.take(drawn) for sums in self._block_sums)
        mean = z.sum(axis=1) / n
        variance = square.sum(axis=1) / n - mean * mean
        valid = variance > _CONSTANT
        variance = np.where(valid, variance, 1.0)
        deviation = np.sqrt(variance)
        ratio = (self.ratio + mean) / deviation
        # the sum over a block of psi with the replicate's own mean, deviation and ratio
        of_z = 1.0 / deviation + ratio * mean / variance
        of_square = -0.5 * ratio / variance
        of_day = -mean / deviation - 0.5 * ratio * (mean * mean / variance - 1.0)
        block = np.multiply(z, of_z[:, None], out=z)
        block += np.multiply(square, of_square[:, None], out=square)
        block += (of_day * plan.block_days)[:, None]
        block[:, -1] -= of_day * (plan.block_days - plan.last_days)
        return _Round(ratio, block, valid)


@dataclass(frozen=True, slots=True)
class SharpeTest:
    """What the bootstrap says of a Sharpe ratio or of a difference of two, annualised.

    Attributes
    ----------
    estimate
        The ratio or the difference, as `msm_py.stats.sharpe.net_sharpe` has it.
    se
        Its standard error.
    ci_low, ci_high
        95% confidence interval, NaN where it is infinite or there is none.
    p
        Two-sided p of the null that it is 0; 1 for two series that are one up to their scale.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    p: float


NOT_TESTED: Final = SharpeTest(np.nan, np.nan, np.nan, np.nan, np.nan)


def sharpe_test(first: ResampledSharpe, second: ResampledSharpe | None = None) -> SharpeTest:
    """Test whether a Sharpe ratio is 0, or two are equal ([1]_, section 3.2.2).

    T the ratio or the difference, psi its influence series, n days in blocks of L: se^2 = sum over
    all n circular sums S_j of psi over L days of S_j^2, over n^2 L. A replicate draws blocks around
    a circle, the same of both series; se*^2 = sum over its blocks of (block sum of psi*)^2, over
    n^2, psi* with its own moments (Götze & Künsch 1996). p = (1 + #{|T* - T| / se* >= |T| / se}) /
    (1 + B) and CI = T +- q se, q the ceil(0.95 (B + 1))-th smallest |T* - T| / se*. The paper takes
    a kernel estimate for se; this is the estimate that edges have, and the blocks' own.

    Parameters
    ----------
    first, second
        The ratios, on the same days; without a second one the first is tested against 0.

    Returns
    -------
    NaN throughout where a ratio is not defined or there are less than `FEWEST_BLOCKS` blocks.
    A replicate without a ratio is drawn again, as far as the plan has more of them.

    References
    ----------
    .. [1] Ledoit, O. & Wolf, M. (2008). Robust performance hypothesis testing with the Sharpe
       ratio. Journal of Empirical Finance 15(5), 850-859.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> market = 0.01 * rng.standard_normal(400)
    >>> plan = block_plan(n=400, n_boot=999, seed=42)
    >>> a, b = (ResampledSharpe(x, plan) for x in (market + 0.002, 3 * market))
    >>> sharpe_test(a, b).p <= 0.01, sharpe_test(b, b).p
    (True, 1.0)
    """
    plan = first.plan
    both = (first,) if second is None else (first, second)
    if not can_test(plan.n) or not all(x.is_defined for x in both):
        return NOT_TESTED
    estimate = first.ratio - (0.0 if second is None else second.ratio)
    psi = first.influence - (0.0 if second is None else second.influence)
    sums = circular_sums(psi, plan.block_days)
    se = float(np.sqrt((sums * sums).sum() / plan.block_days) / plan.n)
    annual = np.sqrt(ANNUALIZATION_DAYS * (plan.n - 1) / plan.n)  # the deviation with n - 1
    if se <= _ZERO_SE:
        return SharpeTest(estimate * annual, 0.0, np.nan, np.nan, 1.0)
    distance = _distances(first, second)
    n_valid = len(distance)
    if not n_valid:
        return NOT_TESTED
    p = (1 + np.count_nonzero(distance >= abs(estimate) / se)) / (1 + n_valid)
    half = float(critical_value(distance, np.asarray(n_valid))) * se
    half = half if np.isfinite(half) else np.nan
    return SharpeTest(
        estimate=annual * estimate,
        se=annual * se,
        ci_low=annual * (estimate - half),
        ci_high=annual * (estimate + half),
        p=float(p),
    )


def _distances(first: ResampledSharpe, second: ResampledSharpe | None) -> Floats:
    """Return |T* - T| / se* of the first ``n_boot`` replicates that have a ratio."""
    plan = first.plan
    found = np.empty(0)
    for number in range(plan.n_rounds):
        if len(found) >= plan.n_boot:
            break
        own = first.round(number)
        deviation, block, valid = own.ratio - first.ratio, own.block, own.valid
        if second is not None:
            other = second.round(number)
            deviation = deviation - (other.ratio - second.ratio)
            block, valid = block - other.block, valid & other.valid
        se = np.sqrt((block * block).sum(axis=1)) / plan.n
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(se > 0, np.abs(deviation) / se, np.inf)
        found = np.concatenate([found, distance[valid]])
    return found[: plan.n_boot]
