"""The test of Sharpe ratios, held against plain loops over resampled days."""

import time
from typing import Any

import numpy as np
import pytest

from msm_py._typing import Floats
from msm_py.stats.blocks import FEWEST_BLOCKS, replicate_indices
from msm_py.stats.sharpe import net_sharpe
from msm_py.stats.sharpe_difference import (
    BLOCK_DAYS,
    ResampledSharpe,
    block_plan,
    sharpe_test,
)

L, N_BOOT, SEED = BLOCK_DAYS, 99, 7


def returns(seed: int, n: int, series: int = 2) -> Floats:
    """Fat-tailed, related and persistent returns."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, n)
    own = rng.standard_t(4, (series, n))
    smooth = 0.7 * own + 0.4 * np.roll(own, 1, axis=1) + common
    return np.asarray(0.01 * smooth + 0.001 * np.arange(1, series + 1)[:, None])


def outcome(a: Floats, b: Floats | None = None) -> Any:
    plan = block_plan(n=len(a), n_boot=N_BOOT, seed=SEED)
    other = None if b is None else ResampledSharpe(b, plan)
    return sharpe_test(ResampledSharpe(a, plan), other)


def gradient(series: Floats) -> tuple[float, Any]:
    """Ledoit & Wolf (2008), section 3.1: the ratio from mu and gamma, and its influence series."""
    mu, gamma = series.mean(), (series**2).mean()
    variance = gamma - mu**2
    slope = np.array([gamma / variance**1.5, -0.5 * mu / variance**1.5])
    parts = np.stack([series - mu, series**2 - gamma])
    return mu / np.sqrt(variance), slope @ parts


def reference(pair: list[Floats]) -> tuple[float, float, float, float, float]:
    n = len(pair[0])
    signs = [1.0, -1.0]

    def combined(days: Any) -> tuple[Any, Any]:
        both = [gradient(series[days]) for series in pair]
        value = sum(sign * part[0] for sign, part in zip(signs, both, strict=False))
        psi = sum(sign * part[1] for sign, part in zip(signs, both, strict=False))
        return value, psi

    value, psi = combined(np.arange(n))
    circular = [sum(psi[(j + i) % n] for i in range(L)) for j in range(n)]
    se = np.sqrt(sum(s * s for s in circular) / L) / n
    distances = []
    for days in replicate_indices(
        n=n, block_days=L, kind="circular", n_replicates=N_BOOT, seed=SEED
    ):
        again, psi_star = combined(days)
        blocks = [psi_star[i : i + L].sum() for i in range(0, n, L)]
        distances.append(abs(again - value) / (np.sqrt(sum(b * b for b in blocks)) / n))
    p = (1 + sum(d >= abs(value) / se for d in distances)) / (1 + N_BOOT)
    q = sorted(distances)[int(np.ceil(0.95 * (N_BOOT + 1))) - 1]
    annual = np.sqrt(365 * (n - 1) / n)
    return annual * value, annual * se, annual * (value - q * se), annual * (value + q * se), p


@pytest.mark.parametrize("n", [160, 207, 340])
@pytest.mark.parametrize("is_pair", [True, False])
def test_it_equals_a_plain_loop_over_resampled_days(n: int, is_pair: bool) -> None:
    a, b = returns(n, n)
    found = outcome(a, b) if is_pair else outcome(a)
    expected = reference([a, b] if is_pair else [a])
    got = (found.estimate, found.se, found.ci_low, found.ci_high, found.p)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_the_estimates_are_the_annualised_ratios_of_metrics() -> None:
    pair = returns(3, 300)
    ratios = net_sharpe(pair)
    assert outcome(pair[0]).estimate == pytest.approx(ratios[0], abs=1e-12)
    assert outcome(*pair).estimate == pytest.approx(ratios[0] - ratios[1], abs=1e-12)


def test_interval_and_p_are_duals() -> None:
    for seed in range(20):
        found = outcome(*returns(seed, 200))
        assert (found.p <= 0.05) == (found.ci_low > 0 or found.ci_high < 0)


def test_series_that_are_one_up_to_scale_do_not_differ() -> None:
    series = returns(4, 200)[0]
    for other in (series.copy(), 0.6 * series, 1e-3 * series):
        found = outcome(series, other)
        assert (found.p, found.se) == (1.0, 0.0)
        assert np.isnan(found.ci_low)


def test_without_a_ratio_or_enough_blocks_nothing_is_tested() -> None:
    a, b = returns(5, 200)
    flat = np.zeros(200)
    short = FEWEST_BLOCKS * L - 1
    assert np.isnan(outcome(flat).p)
    assert np.isnan(outcome(a, flat).p)
    assert np.isnan(outcome(a[:short], b[:short]).p)
    assert np.isfinite(outcome(a[: short + 1], b[: short + 1]).p)


def test_a_replicate_without_any_return_is_drawn_again() -> None:
    """30 invested days of 400 lie in two or three blocks: some replicates hold none of them."""
    series = np.zeros(400)
    series[100:130] = returns(6, 30)[0]
    plan = block_plan(n=400, n_boot=N_BOOT, seed=SEED)
    resampled = ResampledSharpe(series, plan)
    found = sharpe_test(resampled)
    assert not resampled.round(0).valid.all()
    assert found.p * (N_BOOT + 1) == pytest.approx(round(found.p * (N_BOOT + 1)))
    days = [x for number in range(3) for x in plan.round(number).indices(400)]
    kept = [x for x in days if np.ptp(series[x]) > 0][:N_BOOT]
    assert len(kept) == N_BOOT
    ratios = [series[x].mean() / series[x].std() for x in kept]
    drawn = np.concatenate([resampled.round(k).ratio[resampled.round(k).valid] for k in range(3)])
    np.testing.assert_allclose(drawn[:N_BOOT], ratios, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n", [160, 663])
def test_size_of_the_test_of_equal_ratios(n: int) -> None:
    """Two related series of equal Sharpe ratio: about one in twenty is told to differ."""
    rng = np.random.default_rng(9)
    plan = block_plan(n=n, n_boot=199, seed=SEED)
    started = time.monotonic()
    found = []
    for _ in range(1_000):
        common, own, other = rng.standard_t(5, (3, n))
        pair = (common + own + 0.05, 2 * (common + other + 0.05))
        found.append(sharpe_test(*(ResampledSharpe(x, plan) for x in pair)).p)
    size = np.mean(np.array(found) <= 0.05)
    print(n, size, time.monotonic() - started)
    assert 0.03 <= size <= 0.07
