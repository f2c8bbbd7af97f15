"""Block bootstrap of the pairs (forward return, regime), many runs at once.

A replicate is a list of blocks of consecutive days, and every statistic of section 8 of the
methodology is a function of a few sums over its blocks. Those are sums of rows of a table of block
features (block starts x features), differences of prefix sums. So a replicate costs its blocks, not
its days, and which rows it adds up is shared by all runs of equal length.

A replicate's blocks are added in the order they were drawn, one column at a time: a run has the
same bits whether it is computed alone or with a thousand others, and no BLAS is involved that could
depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from msm_py._typing import Bools, Floats, Ints
from msm_py.errors import MsmError
from msm_py.stats.blocks import BlockPlan, Kind
from msm_py.stats.sample import ZERO_SQUARE, Sample

Method = Literal["studentized", "percentile"]
_REFINED = 9_999
"""Replicates of a p at its floor, where it is what decides p_edge."""


def can_draw(method: Method, kind: Kind) -> bool:
    """Return whether a method has blocks of a kind: the studentised one has circular ones only."""
    return method == "percentile" or kind == "circular"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapSettings:
    """How edges are tested (``evaluation.bootstrap`` of an experiment).

    Parameters
    ----------
    enabled
        False: estimates and spells only.
    method
        ``studentized`` (default) or ``percentile``, the classic one of the reference system.
    kind
        How blocks are drawn by ``percentile``; ``studentized`` is circular by definition.
    block_size
        Days per block (the mean, for ``stationary``); None is ``auto``, max(20, 3h).
    n_boot
        Replicates; a p-value at its floor may get `refined_number` of them.
    seed
        Runs with equal numbers of pairs, block lengths and seeds share their blocks.

    Raises
    ------
    MsmError
        For a studentized bootstrap that is not circular, an unknown method or kind, or a
        ``n_boot`` or ``block_size`` below 1.

    Examples
    --------
    >>> BootstrapSettings().block_days(horizon_days=10, n=900)
    30
    """

    enabled: bool = True
    method: Method = "studentized"
    kind: Kind = "circular"
    block_size: int | None = None
    n_boot: int = 999
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        allowed = {
            "method": (self.method, get_args(Method)),
            "kind": (self.kind, get_args(Kind)),
        }
        for name, (value, choices) in allowed.items():
            if value not in choices:
                raise MsmError(
                    f"unknown bootstrap {name}",
                    where=f"evaluation.bootstrap.{name}",
                    received=value,
                    remedy=f"use one of {', '.join(choices)}",
                )
        if not can_draw(self.method, self.kind):
            raise MsmError(
                "the studentized bootstrap draws circular blocks only",
                where="evaluation.bootstrap.kind",
                received=self.kind,
                remedy="use kind: circular, or method: percentile",
            )
        for name, number in (("n_boot", self.n_boot), ("block_size", self.block_size)):
            if number is not None and number < 1:
                raise MsmError(
                    f"{name} must be at least 1",
                    where=f"evaluation.bootstrap.{name}",
                    received=number,
                    remedy="use 999 replicates, or block_size: auto",
                )

    def block_days(self, *, horizon_days: int, n: int | None = None) -> int:
        """Return the block length: max(20, 3h) or what was given, within [h, n]."""
        wanted = max(20, 3 * horizon_days) if self.block_size is None else self.block_size
        wanted = max(wanted, horizon_days)
        return wanted if n is None else min(wanted, n)


def refined_number(n_boot: int) -> int:
    """Return how many replicates a p at its floor of 1 / (n_boot + 1) is refined with.

    Examples
    --------
    >>> refined_number(999), refined_number(20_000)
    (9999, 20000)
    """
    return max(n_boot, _REFINED)


@dataclass(frozen=True, slots=True)
class Replicates:
    """Replicates of every edge, each array of shape (runs, n_regimes + 1, replicates).

    Attributes
    ----------
    deviation
        T* - T.
    se
        se*, 0 where it is zero up to rounding; None if it was not asked for.
    valid
        False where a regime that the edge needs is absent.
    """

    deviation: Floats
    se: Floats | None
    valid: Bools


def replicates(sample: Sample, plan: BlockPlan, number: int, *, studentized: bool) -> Replicates:
    """Return a round's replicates of every edge of every run.

    With v, u and c a block's sums of 1_r, of the residual in r and of centred Y, capitals for
    sums over the replicate's blocks, and d = U / V: T* - T = d - C / n for a regime, d_b - d_w for
    the spread. The block sum of psi* is (n / V) (u - d v) - (c - length C / n), so the sum of its
    squares is a quadratic form in the sums of u^2, uv, v^2, uc, vc and c^2 over the blocks.

    Parameters
    ----------
    sample
        The runs.
    plan
        The blocks, shared by the runs.
    number
        The round.
    studentized
        Whether se* is wanted (fixed-length blocks only).

    Returns
    -------
    The replicates in the order drawn.
    """
    runs, n_regimes, n = sample.member.shape
    width = runs * n_regimes
    # Prefix sums in time-major layout, columns v | u | c, continued around the circle.
    daily = np.concatenate(
        [
            sample.member.reshape(width, n),
            (sample.member * sample.residual[:, None, :]).reshape(width, n),
            sample.y,
        ]
    ).T
    n_linear = 2 * width + runs
    around = plan.block_days if studentized else n
    prefix = np.zeros((n + around + 1, n_linear))
    np.cumsum(np.concatenate([daily, daily[:around]]), axis=0, out=prefix[1:])

    if not studentized:
        total = np.ascontiguousarray(plan.add_days(number, prefix).T)
        deviation, valid = _deviation(sample, total)[:2]
        return Replicates(deviation, None, valid)

    feature = np.empty((2 * n, n_linear + 5 * width + 5 * runs))
    for row, days in ((0, plan.block_days), (n, plan.last_days)):
        rows = slice(row, row + n)
        np.subtract(prefix[days : days + n], prefix[:n], out=feature[rows, :n_linear])
    _add_products(feature, sample)
    total = np.ascontiguousarray(plan.add_blocks(number, feature).T)
    deviation, valid, mean, centre = _deviation(sample, total)

    def by_regime(group: int) -> Floats:
        first = n_linear + group * width
        return total[first : first + width].reshape(runs, n_regimes, -1)

    def by_run(group: int) -> Floats:
        first = n_linear + 5 * width + group * runs
        return total[first : first + runs]

    blocks = plan.round(number)
    last = np.ascontiguousarray(feature[n + blocks.start[blocks.offset[1:] - 1], :n_linear].T)
    v_last = last[:width].reshape(runs, n_regimes, -1)
    u_last = last[width : 2 * width].reshape(runs, n_regimes, -1)
    c_last = last[2 * width :]
    cut = plan.last_days - plan.block_days  # what the last block lacks, <= 0
    n_full = len(blocks.start) // (len(blocks.offset) - 1) - 1

    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = n / total[:width].reshape(runs, n_regimes, -1)
    inverse[~valid[:, :-1]] = 0.0
    uu, uv, vv, uc, vc = (by_regime(group) for group in range(5))
    own = uu - 2.0 * centre * uv + centre * centre * vv
    own *= inverse * inverse
    # The sum over blocks of (u - d v) times length: L (U - d V) = 0, so only the cut counts.
    cross = uc - centre * vc - (mean * cut)[:, None] * (u_last - centre * v_last)
    length_c = plan.block_days * mean * n + cut * c_last
    length_2 = n_full * plan.block_days**2 + plan.last_days**2
    cc = by_run(0)
    overall = cc - 2.0 * mean * length_c + mean * mean * length_2
    square = np.empty((runs, n_regimes + 1, own.shape[-1]))
    square[:, :-1] = own - 2.0 * inverse * cross + overall[:, None]
    size_of_u = inverse * inverse * uu
    scale = np.empty_like(square)
    scale[:, :-1] = size_of_u + cc[:, None]

    best, worst = sample.best, sample.worst
    centre_b, centre_w = sample.pick(centre, best), sample.pick(centre, worst)
    u_u, u_v, v_u, v_v = (by_run(group) for group in range(1, 5))
    mixed = u_u - centre_w * u_v - centre_b * v_u + centre_b * centre_w * v_v
    mixed *= sample.pick(inverse, best) * sample.pick(inverse, worst)
    square[:, -1] = sample.pick(own, best) + sample.pick(own, worst) - 2.0 * mixed
    scale[:, -1] = sample.pick(size_of_u, best) + sample.pick(size_of_u, worst)

    square[square <= ZERO_SQUARE * scale] = 0.0
    return Replicates(deviation, np.sqrt(square) / n, valid)


def _deviation(sample: Sample, total: Floats) -> tuple[Floats, Bools, Floats, Floats]:
    """Return T* - T, validity, C / n and U / V from totals (columns x replicates)."""
    runs, n_regimes, n = sample.member.shape
    width = runs * n_regimes
    count = total[:width].reshape(runs, n_regimes, -1)
    mean = total[2 * width : 2 * width + runs] / n
    centre = total[width : 2 * width].reshape(runs, n_regimes, -1) / np.maximum(count, 1.0)
    deviation = np.empty((runs, n_regimes + 1, total.shape[-1]))
    np.subtract(centre, mean[:, None], out=deviation[:, :-1])
    deviation[:, -1] = sample.pick(centre, sample.best) - sample.pick(centre, sample.worst)
    present: Bools = count > 0.5
    both = sample.pick(present, sample.best) & sample.pick(present, sample.worst)
    both &= (sample.best != sample.worst)[:, None]
    return deviation, np.concatenate([present, both[:, None]], axis=1), mean, centre


def _add_products(feature: Floats, sample: Sample) -> None:
    """Fill the products of block sums behind the linear columns v | u | c of `feature`.

    Five groups by run and regime (uu, uv, vv, uc, vc), then five by run (cc and, for the best and
    the worst state of the spread, u_b u_w, u_b v_w, v_b u_w, v_b v_w).
    """
    runs, n_regimes, _ = sample.member.shape
    width = runs * n_regimes
    v, u = feature[:, :width], feature[:, width : 2 * width]
    c = feature[:, 2 * width : 2 * width + runs]
    c_wide = np.repeat(c, n_regimes, axis=1)
    at = 2 * width + runs
    for left, right in ((u, u), (u, v), (v, v), (u, c_wide), (v, c_wide)):
        np.multiply(left, right, out=feature[:, at : at + width])
        at += width
    first = np.arange(runs) * n_regimes
    u_b, v_b = u[:, first + sample.best], v[:, first + sample.best]
    u_w, v_w = u[:, first + sample.worst], v[:, first + sample.worst]
    for left, right in ((c, c), (u_b, u_w), (u_b, v_w), (v_b, u_w), (v_b, v_w)):
        np.multiply(left, right, out=feature[:, at : at + runs])
        at += runs


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """What a bootstrap says of every edge; arrays of shape (runs, n_regimes + 1).

    Attributes
    ----------
    ci_low, ci_high
        95% confidence interval, NaN if it is infinite.
    p_value
        Two-sided p.
    n_boot
        Valid replicates used.
    n_redrawn
        Replicates drawn again because a regime was absent.
    """

    ci_low: Floats
    ci_high: Floats
    p_value: Floats
    n_boot: Ints
    n_redrawn: Ints


def bootstrap_test(
    sample: Sample,
    se: Floats,
    wanted: Bools,
    plan: BlockPlan,
    *,
    studentized: bool,
    other_p: Floats | None = None,
) -> BootstrapResult:
    """Test every wanted edge and give its confidence interval.

    studentized: p = (1 + #{|T* - T| / se* >= |T| / se}) / (1 + B), CI = T +- q se, with q the
    ceil(0.95 (B + 1))-th smallest of |T* - T| / se*; an infinite CI is missing. They are duals.
    se* = 0 counts as an infinite t*. Otherwise percentile: CI from 2.5% to 97.5% of T*, p =
    (1 + #{|T* - T| >= |T|}) / (1 + B). B is the number of valid replicates used: for each edge
    the first `plan.n_boot` valid ones of the shared stream. If a regime is so rare that nine
    times as many draws do not yield them, there are fewer.

    A p at its floor of 1 / (1 + `plan.n_boot`) says only that it is small. Where it is larger than
    `other_p` it is refined: it is the p of the first `refined_number` valid replicates of the same
    stream instead.

    Parameters
    ----------
    sample
        The runs.
    se
        Standard errors, shape (runs, n_regimes + 1).
    wanted
        Which edges to test: those that are not defined or whose se is zero must not be.
    plan
        The shared blocks.
    studentized
        Whether to studentize.
    other_p
        p-values of another test, shape (runs, n_regimes + 1), the larger of the two being what
        counts: below it a finer p is not worth its replicates. Without it none is refined.

    Returns
    -------
    NaN, and 0 replicates, for edges not wanted.
    """
    shape = sample.estimate.shape
    low, high, p = (np.full(shape, np.nan) for _ in range(3))
    used, redrawn = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for rows, drawn in _enough(sample, wanted, plan, studentized=studentized):
        estimate, error, ok = sample.estimate[rows], se[rows], wanted[rows]
        found = _Compared.of(drawn, estimate, error, plan.n_boot)
        with np.errstate(invalid="ignore"):
            if drawn.se is not None:
                within = np.where(found.use, found.distance, np.inf)
                half = critical_value(within, found.n_use) * error
                half[~np.isfinite(half)] = np.nan
                interval = estimate - half, estimate + half
            else:
                value = np.sort(np.where(found.use, drawn.deviation, np.inf), axis=-1)
                interval = (
                    estimate + _quantile(value, found.n_use, 0.025),
                    estimate + _quantile(value, found.n_use, 0.975),
                )
        ok = ok & (found.n_use > 0)
        low[rows], high[rows] = (np.where(ok, bound, np.nan) for bound in interval)
        p[rows] = np.where(ok, found.p_value, np.nan)
        used[rows] = np.where(ok, found.n_use, 0)
        redrawn[rows] = np.where(ok, found.n_drawn - found.n_use, 0)

    if other_p is not None and refined_number(plan.n_boot) > plan.n_boot:
        at_floor = (used == plan.n_boot) & (p <= 1.0 / (1 + plan.n_boot)) & (other_p < p)
        more = plan.longer(refined_number(plan.n_boot))
        for rows, drawn in _enough(sample, at_floor, more, studentized=studentized):
            found = _Compared.of(drawn, sample.estimate[rows], se[rows], more.n_boot)
            for whole, values in (
                (p, found.p_value),
                (used, found.n_use),
                (redrawn, found.n_drawn - found.n_use),
            ):
                whole[rows] = np.where(at_floor[rows], values, whole[rows])
    return BootstrapResult(low, high, p, used, redrawn)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Replicates held against the estimates; arrays of shape (runs, n_regimes + 1).

    `distance` and `use` (runs, n_regimes + 1, replicates): how far each is from the estimate, in
    standard errors if it has one, and whether it is among the valid ones asked for. `n_drawn`: how
    many were drawn for the `n_use` of them.
    """

    distance: Floats
    use: Bools
    n_use: Ints
    n_drawn: Ints
    p_value: Floats

    @classmethod
    def of(cls, drawn: Replicates, estimate: Floats, error: Floats, n_boot: int) -> _Compared:
        order = np.cumsum(drawn.valid, axis=-1, dtype=np.int32)
        use = drawn.valid & (order <= n_boot)
        n_use = np.minimum(order[..., -1], n_boot)
        distance, observed = np.abs(drawn.deviation), np.abs(estimate)
        with np.errstate(divide="ignore", invalid="ignore"):
            if drawn.se is not None:
                distance = np.where(drawn.se > 0, distance / drawn.se, np.inf)
                observed = observed / error
            extreme = (use & (distance >= observed[..., None])).sum(axis=-1)
        n_drawn = np.argmax(order == n_use[..., None], axis=-1) + 1  # where the last used one is
        return cls(distance, use, n_use, n_drawn, (1.0 + extreme) / (1.0 + n_use))


def _enough(
    sample: Sample, wanted: Bools, plan: BlockPlan, *, studentized: bool
) -> Iterator[tuple[Ints, Replicates]]:
    """Yield groups of runs with as many rounds as each needs to have n_boot valid replicates."""
    rows = np.flatnonzero(wanted.any(axis=-1))
    parts: list[Replicates] = []
    for number in range(plan.n_rounds):
        if not len(rows):
            return
        new = replicates(sample.rows(rows), plan, number, studentized=studentized)
        parts = [*parts, new]
        n_valid = sum(part.valid.sum(axis=-1) for part in parts)
        short = (wanted[rows] & (n_valid < plan.n_boot)).any(axis=-1)
        if number == plan.n_rounds - 1:
            short[:] = False
        if not short.all():
            yield rows[~short], _joined(parts, ~short)
        rows, parts = rows[short], [_joined([part], short) for part in parts]


def _joined(parts: list[Replicates], keep: Bools) -> Replicates:
    if len(parts) == 1 and keep.all():
        return parts[0]
    return Replicates(
        np.concatenate([part.deviation[keep] for part in parts], axis=-1),
        None
        if parts[0].se is None
        else np.concatenate([part.se[keep] for part in parts if part.se is not None], axis=-1),
        np.concatenate([part.valid[keep] for part in parts], axis=-1),
    )


def critical_value(distance: Floats, n: Ints) -> Floats:
    """Return the ceil(0.95 (n + 1))-th smallest along the last axis, infinite if that exceeds n.

    Whole-number arithmetic: 0.95 (n + 1) in floating point can lie just above a whole number.
    """
    rank = -(-19 * (n + 1) // 20)
    position = np.minimum(rank, distance.shape[-1]) - 1
    value = np.take_along_axis(np.sort(distance, axis=-1), position[..., None], axis=-1)[..., 0]
    return np.where(rank <= n, value, np.inf)


def _quantile(ordered: Floats, n: Ints, level: float) -> Floats:
    """Return the linear quantile of the first n of ordered values along the last axis."""
    position = np.maximum(n - 1, 0) * level
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    a, b = (np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (below, above))
    return a + (b - a) * (position - below)
