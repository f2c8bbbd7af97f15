from typing import Any

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, MovingBlockBootstrap, StationaryBootstrap

from msm_py._typing import Floats, Ints
from msm_py.errors import MsmError
from msm_py.stats.blocks import BlockPlan, Kind, replicate_indices
from msm_py.stats.bootstrap import BootstrapSettings, bootstrap_test, replicates
from msm_py.stats.sample import Sample

ARCH = {
    "circular": CircularBlockBootstrap,
    "moving": MovingBlockBootstrap,
    "stationary": StationaryBootstrap,
}


def pairs(seed: int, runs: int, n: int, n_regimes: int, stay: int = 7) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    spell: Ints = np.cumsum(rng.random((runs, n)) < 1 / stay, axis=1)
    label = rng.integers(n_regimes, size=(runs, n + 1))
    return rng.standard_t(4, (runs, n)).cumsum(axis=1) * 0.01, np.take_along_axis(label, spell, 1)


def statistics(y: Floats, regime: Ints, n_regimes: int, best: int, worst: int) -> Floats:
    """Edges of all regimes and the spread; NaN where a regime is absent."""
    means = np.array([y[regime == r].mean() if (regime == r).any() else np.nan
                      for r in range(n_regimes)])  # fmt: skip
    return np.append(means - y.mean(), means[best] - means[worst])


def block_standard_errors(
    y: Floats, regime: Ints, n_regimes: int, best: int, worst: int, block_days: int
) -> Floats:
    """docs/methodology.md, 8: psi* with the replicate's means and shares, summed by blocks."""
    n = len(y)
    part = [
        (regime == r) * (y - y[regime == r].mean()) / (regime == r).mean()
        if (regime == r).any()
        else np.full(n, np.nan)
        for r in range(n_regimes)
    ]
    psi = [*(each - (y - y.mean()) for each in part), part[best] - part[worst]]
    sums = [[each[j : j + block_days].sum() for j in range(0, n, block_days)] for each in psi]
    return np.array([np.sqrt(np.sum(np.square(each))) / n for each in sums])


@pytest.mark.parametrize("kind", ["circular", "moving", "stationary"])
@pytest.mark.parametrize(("n", "block_days"), [(53, 8), (56, 8), (20, 20), (7, 1)])
def test_positions_are_those_of_arch(kind: Kind, n: int, block_days: int) -> None:
    generator = np.random.default_rng((9, n, block_days))
    arch = ARCH[kind](block_days, np.arange(n), seed=generator)
    expected = [data[0][0] for data in arch.bootstrap(40)]
    ours = replicate_indices(n=n, block_days=block_days, kind=kind, n_replicates=40, seed=9)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("kind", ["circular", "moving", "stationary"])
def test_rounds_continue_one_stream(kind: Kind) -> None:
    plan = BlockPlan(n=30, block_days=7, kind=kind, n_boot=32, seed=1)
    drawn = np.concatenate([plan.round(number).indices(30) for number in range(3)])
    together = replicate_indices(n=30, block_days=7, kind=kind, n_replicates=46, seed=1)
    np.testing.assert_array_equal(drawn, together)  # 32 + 2 spares, 4, 8


@pytest.mark.parametrize(("n", "block_days", "n_regimes"), [(90, 20, 3), (100, 20, 5), (50, 7, 2)])
def test_studentised_replicates_equal_arch_and_a_plain_loop(
    n: int, block_days: int, n_regimes: int
) -> None:
    y, regime = pairs(11, 1, n, n_regimes, stay=4)
    y += 5.0  # a level that must not matter
    sample = Sample.of(y, regime, n_regimes)
    best, worst = regime.max(), regime.min()
    plan = BlockPlan(n=n, block_days=block_days, kind="circular", n_boot=120, seed=3)
    ours = replicates(sample, plan, 0, studentized=True)
    arch = CircularBlockBootstrap(
        block_days, y[0], regime[0], seed=np.random.default_rng((3, n, block_days))
    )
    estimate = statistics(y[0], regime[0], n_regimes, best, worst)
    np.testing.assert_allclose(sample.estimate[0], estimate, atol=1e-12)
    for i, data in enumerate(arch.bootstrap(120)):
        drawn_y, drawn_regime = data[0]
        t = statistics(drawn_y, drawn_regime, n_regimes, best, worst)
        se = block_standard_errors(drawn_y, drawn_regime, n_regimes, best, worst, block_days)
        np.testing.assert_array_equal(ours.valid[0, :, i], np.isfinite(t))
        ok = ours.valid[0, :, i]
        np.testing.assert_allclose((ours.deviation[0, :, i] + estimate)[ok], t[ok], atol=1e-12)
        assert ours.se is not None
        np.testing.assert_allclose(ours.se[0, :, i][ok], se[ok], atol=1e-12)


def test_standard_error_is_the_plain_loop() -> None:
    y, regime = pairs(12, 2, 60, 3)
    sample = Sample.of(y, regime, 3)
    for run in range(2):
        d = y[run] - y[run].mean()
        part = [(regime[run] == r) * (y[run] - y[run][regime[run] == r].mean())
                / (regime[run] == r).mean() for r in range(3)]  # fmt: skip
        for edge, psi in enumerate([*(each - d for each in part), part[2] - part[0]]):
            sums = [sum(psi[(j + i) % 60] for i in range(13)) for j in range(60)]
            se = np.sqrt(np.sum(np.square(sums)) / (60**2 * 13))
            assert sample.standard_error(13)[run, edge] == pytest.approx(se, rel=1e-12)


@pytest.mark.parametrize("kind", ["circular", "moving", "stationary"])
def test_percentile_equals_arch(kind: Kind) -> None:
    y, regime = pairs(13, 3, 150, 3, stay=3)
    sample = Sample.of(y, regime, 3)
    plan = BlockPlan(n=150, block_days=10, kind=kind, n_boot=199, seed=5)
    wanted = np.ones((3, 4), dtype=bool)
    ours = bootstrap_test(sample, sample.standard_error(10), wanted, plan, studentized=False)
    assert (ours.n_redrawn == 0).all()  # then arch's first 199 are ours
    for run in range(3):
        best, worst = sample.best[run], sample.worst[run]

        def function(y: Floats, regime: Ints, best: int = best, worst: int = worst) -> Any:
            return statistics(y, regime, 3, best, worst)

        arch = ARCH[kind](10, y[run], regime[run], seed=np.random.default_rng((5, 150, 10)))
        low, high = arch.conf_int(function, reps=199, method="percentile")
        np.testing.assert_allclose(ours.ci_low[run], low, atol=1e-12)
        np.testing.assert_allclose(ours.ci_high[run], high, atol=1e-12)
        estimate = function(y[run], regime[run])
        arch = ARCH[kind](10, y[run], regime[run], seed=np.random.default_rng((5, 150, 10)))
        extreme = (np.abs(arch.apply(function, 199) - estimate) >= np.abs(estimate)).sum(axis=0)
        np.testing.assert_allclose(ours.p_value[run], (1 + extreme) / 200, rtol=1e-15)


def studentised(
    seed: int, n_boot: int, *, drift: float = 0.0, n: int = 120, stay: int = 7
) -> tuple[Any, ...]:
    y, regime = pairs(seed, 4, n, 3, stay)
    y += drift * regime
    sample = Sample.of(y, regime, 3)
    plan = BlockPlan(n=n, block_days=20, kind="circular", n_boot=n_boot, seed=5)
    se = sample.standard_error(20)
    wanted = se > 0
    return sample, se, plan, bootstrap_test(sample, se, wanted, plan, studentized=True)


def test_studentised_p_and_interval_are_the_plain_loop() -> None:
    sample, se, plan, ours = studentised(14, 99)
    for run in range(4):
        draws = [replicates(sample, plan, number, studentized=True) for number in range(5)]
        for edge in range(4):
            kept: list[float] = []
            seen = 0
            for draw in draws:
                for i in range(draw.valid.shape[-1]):
                    if len(kept) == 99:
                        break
                    seen += 1
                    if draw.valid[run, edge, i]:
                        assert draw.se is not None
                        error = draw.se[run, edge, i]
                        t = abs(draw.deviation[run, edge, i])
                        kept.append(t / error if error > 0 else np.inf)
            estimate, error = sample.estimate[run, edge], se[run, edge]
            extreme = sum(t >= abs(estimate) / error for t in kept)
            assert ours.p_value[run, edge] == (1 + extreme) / 100
            half = sorted(kept)[95 - 1] * error  # ceil(0.95 * 100) = 95
            assert ours.ci_low[run, edge] == pytest.approx(estimate - half, rel=1e-14)
            assert ours.ci_high[run, edge] == pytest.approx(estimate + half, rel=1e-14)
            assert (ours.n_boot[run, edge], ours.n_redrawn[run, edge]) == (99, seen - 99)


@pytest.mark.parametrize("n_boot", [19, 99, 137, 300])
def test_interval_and_p_are_duals(n_boot: int) -> None:
    some = {True: 0, False: 0}
    for seed in range(12):
        for drift in (0.0, 0.06):
            ours = studentised(seed, n_boot, drift=drift)[-1]
            excludes = (ours.ci_low > 0) | (ours.ci_high < 0)
            np.testing.assert_array_equal(excludes, ours.p_value <= 0.05)
            some[True] += excludes.sum()
            some[False] += (~excludes).sum()
    assert min(some.values()) > 10


def test_too_few_replicates_for_an_interval_leave_a_p() -> None:
    ours = studentised(3, 18)[-1]  # ceil(0.95 * 19) = 19 of 18
    assert np.isnan(ours.ci_low).all()
    assert np.isfinite(ours.p_value).all()


def test_replicates_without_a_needed_regime_are_drawn_again() -> None:
    rng = np.random.default_rng(1)
    regime = np.ones((1, 120), dtype=np.int64)
    regime[0, 10:13] = 0
    regime[0, 70:72] = 2
    sample = Sample.of(rng.normal(size=(1, 120)), regime, 3)
    plan = BlockPlan(n=120, block_days=20, kind="circular", n_boot=99, seed=2)
    se = sample.standard_error(20)
    ours = bootstrap_test(sample, se, se > 0, plan, studentized=True)
    assert (ours.n_boot == 99).all()
    assert ours.n_redrawn[0, 1] == 0
    assert (ours.n_redrawn[0, [0, 2]] > 10).all()
    assert ours.n_redrawn[0, 3] > ours.n_redrawn[0, [0, 2]].max()


def test_a_regime_that_hardly_ever_appears_uses_the_replicates_there_are() -> None:
    regime = np.ones((1, 200), dtype=np.int64)
    regime[0, 0] = 0  # a moving block reaches the first day from one start only
    sample = Sample.of(np.random.default_rng(1).normal(size=(1, 200)), regime, 2)
    plan = BlockPlan(n=200, block_days=50, kind="moving", n_boot=100, seed=2)
    se = sample.standard_error(50)
    ours = bootstrap_test(sample, se, se > 0, plan, studentized=False)
    assert 0 < ours.n_boot[0, 0] < 100
    assert ours.n_boot[0, 0] + ours.n_redrawn[0, 0] <= 100 + 7 + 13 * 63
    assert ours.n_boot[0, 1] == 100


def test_a_replicate_se_of_zero_counts_as_infinite() -> None:
    # One day each of two states: in a replicate with one block of each, psi* of the spread is zero.
    regime = np.ones((1, 100), dtype=np.int64)
    regime[0, 20], regime[0, 70] = 0, 2
    sample = Sample.of(np.random.default_rng(4).normal(size=(1, 100)), regime, 3)
    plan = BlockPlan(n=100, block_days=20, kind="circular", n_boot=99, seed=2)
    drawn = replicates(sample, plan, 0, studentized=True)
    assert drawn.se is not None
    assert (drawn.se[0, 3][drawn.valid[0, 3]] == 0).all()


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"method": "bayesian"}, "method"),
        ({"kind": "moving"}, "kind"),
        ({"method": "percentile", "kind": "iid"}, "kind"),
        ({"n_boot": 0}, "n_boot"),
        ({"block_size": 0}, "block_size"),
    ],
)
def test_settings_refuse_what_cannot_be_computed(given: Any, where: str) -> None:
    with pytest.raises(MsmError, match=f"evaluation.bootstrap.{where}"):
        BootstrapSettings(**given)


def test_block_days_are_auto_or_given_and_never_below_the_horizon() -> None:
    days = [
        (s.block_days(horizon_days=h, n=n))
        for s, h, n in (
            (BootstrapSettings(), 1, 900),
            (BootstrapSettings(), 20, 900),
            (BootstrapSettings(), 20, 50),
            (BootstrapSettings(block_size=10), 5, 900),
            (BootstrapSettings(block_size=10, method="percentile"), 20, 900),
        )
    ]
    assert days == [20, 60, 50, 10, 20]
