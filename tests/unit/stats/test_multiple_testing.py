from itertools import combinations
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import SPA, StepM
from statsmodels.stats.multitest import multipletests
from support.sharpe import best_deflated, sharpe

from msm_py._typing import Floats
from msm_py.errors import MsmError
from msm_py.stats.adjusted_p_values import benjamini_hochberg, beside_others, holm
from msm_py.stats.blocks import Kind
from msm_py.stats.overfitting import probability_of_backtest_overfitting
from msm_py.stats.sharpe import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
)
from msm_py.stats.superior_ability import _standard_error, hansen_spa, romano_wolf_stepm

# Deflated Sharpe ratio


@pytest.mark.parametrize(("n_trials", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_deflated_sharpe_of_the_paper(n_trials: int, expected: Any) -> None:
    found = deflated_sharpe_ratio(2.5 / np.sqrt(250), 1250, -3, 10, 0.5 / 250, n_trials)
    assert round(float(found), 4) == expected


def test_expected_maximum_of_the_paper() -> None:
    assert round(float(expected_maximum_sharpe(0.5 / 250, 100)), 4) == 0.1132


@pytest.mark.parametrize("n_trials", [20, 200])
def test_expected_maximum_is_what_noise_shows(n_trials: int) -> None:
    maximum = np.random.default_rng(1).normal(0, 0.3, (20_000, n_trials)).max(axis=1).mean()
    assert float(expected_maximum_sharpe(0.09, n_trials)) == pytest.approx(maximum, rel=0.03)


def test_one_trial_needs_no_deflation() -> None:
    """The variance of one trial's ratio is missing: it must not matter."""
    assert deflated_sharpe_ratio(0.1, 500, 0, 3, np.nan, 1) == probabilistic_sharpe_ratio(
        0.1, 500, 0, 3
    )


def test_expected_maximum_rises_from_one_trial_on_and_is_missing_before() -> None:
    found = expected_maximum_sharpe(1.0, [0.5, 1, 1.1, 1.5, 2, 3, np.inf])
    assert np.isnan(found[0])
    assert (np.diff(found[1:]) >= 0).all()
    assert np.isnan(expected_maximum_sharpe([-1.0, np.nan], 10)).all()


# Probability of backtest overfitting


def plain_overfitting(returns: Floats, n_blocks: int) -> Any:
    """The paper's steps, one split after the other."""
    n_days, n_trials = returns.shape
    block = [
        np.arange(b * n_days // n_blocks, (b + 1) * n_days // n_blocks) for b in range(n_blocks)
    ]
    logit, inside, outside = [], [], []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        days = np.concatenate([block[b] for b in chosen])
        rest = np.setdiff1d(np.arange(n_days), days)
        one, two = sharpe(returns[days]), sharpe(returns[rest])
        best = np.argmax(one)
        w = (1 + sum(two < two[best])) / (n_trials + 1)
        logit.append(np.log(w / (1 - w)))
        inside.append(one[best])
        outside.append(two[best])
    return np.array(logit), np.array(inside), np.array(outside)


@pytest.mark.parametrize(("n_days", "n_blocks"), [(60, 6), (61, 6), (67, 8), (9, 4)])
def test_splits_equal_the_plain_loop(n_days: int, n_blocks: int) -> None:
    returns = np.random.default_rng(n_days).standard_t(4, (n_days, 9)) * 0.02
    found = probability_of_backtest_overfitting(returns, n_blocks=n_blocks)
    logit, inside, outside = plain_overfitting(returns, n_blocks)
    np.testing.assert_allclose(found.logit, logit, rtol=1e-12)
    np.testing.assert_allclose(found.in_sample, inside, rtol=1e-10)
    np.testing.assert_allclose(found.out_of_sample, outside, rtol=1e-9, atol=1e-12)
    assert found.pbo == np.mean(logit <= 0)
    assert found.probability_of_loss == np.mean(outside < 0)
    assert found.degradation_slope == pytest.approx(np.polyfit(inside, outside, 1)[0])


def test_many_chunks_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.random.default_rng(2).standard_normal((50, 7))
    whole = probability_of_backtest_overfitting(returns, n_blocks=8)
    monkeypatch.setattr("msm_py.stats.overfitting._CHUNK", 30)
    chunked = probability_of_backtest_overfitting(returns, n_blocks=8)
    np.testing.assert_array_equal(whole.logit, chunked.logit)
    np.testing.assert_array_equal(whole.picked, chunked.picked)


def test_what_shines_in_one_half_and_fades_in_the_other() -> None:
    """Two days per half. The one picked is the worse of two in the other: w = 1/3, logit -ln 2.

    Sharpe ratios: trial 0 (1, 3) -> 2 / sqrt 2, then (-1, -3) -> -2 / sqrt 2; trial 1 reversed.
    """
    returns = np.array([[1.0, -1.0], [3.0, -3.0], [-1.0, 1.0], [-3.0, 3.0]])
    found = probability_of_backtest_overfitting(returns, n_blocks=2)
    assert found.pbo == found.probability_of_loss == 1.0
    np.testing.assert_allclose(found.logit, -np.log(2.0))
    np.testing.assert_allclose(found.in_sample, np.sqrt(2.0))
    np.testing.assert_allclose(found.out_of_sample, -np.sqrt(2.0))
    assert found.picked.tolist() == [0, 1]
    assert np.isnan(found.degradation_slope)


def test_copies_of_one_trial_are_all_at_the_median() -> None:
    one = np.random.default_rng(3).standard_normal((40, 1))
    found = probability_of_backtest_overfitting(np.repeat(one, 6, axis=1), n_blocks=4)
    np.testing.assert_array_equal(found.logit, 0.0)
    assert found.pbo == 1.0


def test_idle_trials_count_as_zero() -> None:
    """Never invested beats losers in every half; idle in one half is no error either."""
    rng = np.random.default_rng(4)
    returns = 0.01 * rng.standard_normal((80, 5)) - 0.02
    returns[:, 2] = 0.0
    returns[:40, 3] = 0.0
    found = probability_of_backtest_overfitting(returns, n_blocks=4)
    # Halves of the first 40 days see the trials 2 and 3 tie at 0, the first of which is picked.
    assert (found.picked == 2).all()
    assert (found.in_sample == 0).all()
    assert (found.out_of_sample == 0).all()
    assert found.pbo == found.probability_of_loss == 0.0


def test_constant_trials_are_no_miracle() -> None:
    returns = np.random.default_rng(5).standard_normal((60, 4))
    returns[:, 1] = 0.1  # std 0 up to rounding
    found = probability_of_backtest_overfitting(returns, n_blocks=6)
    assert np.abs(found.in_sample).max() < 2.0


@pytest.mark.parametrize(
    ("returns", "n_blocks", "said"),
    [
        (np.zeros((50, 1)), 4, "at least two trials"),
        (np.zeros(50), 4, "at least two trials"),
        (np.full((50, 2), np.nan), 4, "100 such values"),
        (np.zeros((50, 2)), 5, "even, from 2 to 20"),
        (np.zeros((50, 2)), 22, "even, from 2 to 20"),
        (np.zeros((19, 2)), 10, "even, from 2 to 9 for 19 days"),
    ],
)
def test_overfitting_refuses(returns: Floats, n_blocks: int, said: str) -> None:
    with pytest.raises(MsmError, match=said):
        probability_of_backtest_overfitting(returns, n_blocks=n_blocks)


# Superior predictive ability and StepM


def trials(seed: int, days: int = 200, n: int = 12) -> Floats:
    """Dependent trials of unequal volatility, some better, some hopelessly worse than nothing."""
    rng = np.random.default_rng(seed)
    returns = 0.5 * rng.standard_normal((days, 1)) + rng.standard_normal((days, n))
    returns[1:] += 0.3 * returns[:-1]
    return 0.02 * rng.uniform(0.2, 3.0, n) * (returns + rng.uniform(-0.5, 0.25, n))


def arch_stream(seed: int, days: int, block_days: int) -> Any:
    """The generator behind `BlockPlan`: arch given the same draws the same blocks."""
    return np.random.default_rng((seed, days, block_days))


@pytest.mark.parametrize(("days", "block_days"), [(200, 10), (211, 1), (60, 60)])
def test_standard_error_equals_arch(days: int, block_days: int) -> None:
    excess = trials(1, days=days)
    spa = SPA(np.zeros(days), -excess, block_size=block_days, reps=1, seed=1)
    spa.compute()
    found = _standard_error(excess - excess.mean(axis=0), block_days)
    np.testing.assert_allclose(found, np.sqrt(spa._loss_diff_var / days), rtol=1e-9)


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("kind", ["circular", "moving", "stationary"])
@pytest.mark.parametrize(("seed", "block_days"), [(4, 10), (2, 7), (3, 1)])
def test_spa_and_stepm_equal_arch(
    kind: Kind, seed: int, block_days: int, standardized: bool
) -> None:
    """Sign: arch takes losses. Standardised is arch on excess returns over their deviation."""
    returns = trials(seed)
    days = len(returns)
    benchmark = 0.002 * np.random.default_rng(seed).standard_normal(days)
    settings: dict[str, Any] = {
        "block_days": block_days,
        "seed": 42,
        "n_boot": 199,
        "kind": kind,
        "standardized": standardized,
    }
    found = hansen_spa(returns, benchmark, **settings)
    superior = romano_wolf_stepm(returns, benchmark, size=0.1, **settings)

    excess = returns - benchmark[:, None]
    scale = excess.std(axis=0, ddof=1) if standardized else 1.0
    options: dict[str, Any] = {
        "block_size": block_days,
        "reps": 199,
        "bootstrap": "moving block" if kind == "moving" else kind,
    }
    zero = np.zeros(days)
    spa = SPA(zero, -excess / scale, **options, seed=arch_stream(42, days, block_days))
    spa.compute()
    p = (found.p_lower, found.p_consistent, found.p_upper)
    np.testing.assert_allclose(p, spa.pvalues.to_numpy(), rtol=1e-12)
    assert found.statistic == pytest.approx((excess / scale).mean(axis=0).max())
    assert found.best == (excess / scale).mean(axis=0).argmax()

    stepm = StepM(
        zero, -excess / scale, size=0.1, **options, seed=arch_stream(42, days, block_days)
    )
    stepm.compute()
    assert np.flatnonzero(superior).tolist() == stepm.superior_models


@pytest.mark.parametrize(("seed", "block_days", "standardized"), [(2, 7, False), (4, 10, True)])
def test_the_comparison_with_arch_is_not_one_of_trivial_answers(
    seed: int, block_days: int, standardized: bool
) -> None:
    settings: dict[str, Any] = {"block_days": block_days, "seed": 42, "standardized": standardized}
    found = hansen_spa(trials(seed), **settings)
    assert found.p_lower < found.p_consistent < found.p_upper
    assert romano_wolf_stepm(trials(seed), size=0.1, **settings).sum() == 2


def test_a_later_step_finds_what_a_volatile_trial_hides_even_if_none_is_left() -> None:
    """Means 1.5 and 0.3 with standard errors of about 0.42 and 0.07: 0.3 is below 1.65 x 0.42."""
    returns = np.random.default_rng(0).standard_normal((200, 2))
    returns = (returns - returns.mean(axis=0)) * [1, 6] + [0.3, 1.5]
    settings: dict[str, Any] = {"block_days": 10, "seed": 1, "standardized": False}
    assert hansen_spa(returns, **settings).best == 1
    assert romano_wolf_stepm(returns, **settings).tolist() == [True, True]


def test_standardised_sees_the_quiet_winner_that_means_alone_do_not() -> None:
    rng = np.random.default_rng(6)
    returns = rng.standard_normal((500, 20))
    returns[:, 4] = 0.05 * (returns[:, 4] + 0.3)
    settings: dict[str, Any] = {"block_days": 10, "seed": 42}
    assert hansen_spa(returns, **settings).best == 4
    assert hansen_spa(returns, **settings).p_consistent < 0.01
    assert hansen_spa(returns, standardized=False, **settings).p_consistent > 0.1


def test_trials_that_do_not_vary_change_nothing_and_are_never_superior() -> None:
    returns = trials(1)
    benchmark = returns[:, 3]  # which makes one trial its copy
    idle = np.column_stack([np.full(len(returns), 0.1), returns, 3.0 * returns / 3.0])
    settings: dict[str, Any] = {"block_days": 7, "seed": 42, "n_boot": 199}
    few, many = hansen_spa(returns, **settings), hansen_spa(idle[:, :-12], **settings)
    assert (few.p_lower, few.p_consistent, few.p_upper) == (
        many.p_lower,
        many.p_consistent,
        many.p_upper,
    )
    assert many.best == few.best + 1
    superior = romano_wolf_stepm(idle, benchmark, **settings)
    np.testing.assert_array_equal(superior[1:13], superior[13:])
    assert not superior[4]
    assert not romano_wolf_stepm(idle, **settings)[0]


def test_nothing_varies() -> None:
    found = hansen_spa(np.zeros((50, 3)), block_days=5, seed=1)
    assert found.best == -1
    assert np.isnan([found.p_lower, found.p_consistent, found.p_upper, found.statistic]).all()
    assert not romano_wolf_stepm(np.zeros((50, 3)), block_days=5, seed=1).any()


def test_spa_rejects_noise_about_as_often_as_it_says() -> None:
    p = [
        hansen_spa(
            np.random.default_rng(seed).standard_normal((200, 20)),
            block_days=5,
            seed=seed,
            n_boot=199,
        ).p_consistent
        for seed in range(300)
    ]
    # 5% and three standard errors of 1.3%; blocks of a short sample add a little.
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.4 < np.mean(p) < 0.6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"returns": np.zeros(50)}, "shape"),
        ({"returns": np.zeros((2, 3))}, "three days"),
        ({"returns": np.zeros((50, 0))}, "shape"),
        ({"returns": np.full((50, 2), np.inf)}, "100 such values"),
        ({"benchmark": np.zeros(49)}, "for 50 days"),
        ({"benchmark": np.nan}, "100 such values"),
        ({"block_days": 51}, "at most 50"),
        ({"block_days": 0}, "at least 1"),
        ({"n_boot": 0}, "n_boot"),
        ({"size": 1.0}, "between 0 and 1"),
    ],
)
def test_stepm_refuses(change: Any, said: str) -> None:
    settings: dict[str, Any] = {"returns": np.ones((50, 2)), "block_days": 5, "seed": 1} | change
    with pytest.raises(MsmError, match=said):
        romano_wolf_stepm(**settings)


# Adjusted p-values


@pytest.mark.parametrize(("adjust", "method"), [(benjamini_hochberg, "fdr_bh"), (holm, "holm")])
@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_equals_statsmodels_on_those_that_are_there(
    adjust: Any, method: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p = (rng.random(40) ** 3).round(2)  # with ties, zeros and ones
    p[[0, 1]] = 0.0, 1.0
    there = rng.random(40) < 0.8
    found = adjust(np.where(there, p, np.nan))
    np.testing.assert_allclose(found[there], multipletests(p[there], method=method)[1], rtol=1e-14)
    assert np.isnan(found[~there]).all()


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
def test_adjusted_p_of_none_and_of_nonsense(adjust: Any) -> None:
    assert adjust([]).shape == (0,)
    assert np.isnan(adjust([np.nan, np.nan])).all()
    assert adjust([0.2]).tolist() == [0.2]
    with pytest.raises(MsmError, match=r"1\.5"):
        adjust([0.1, 1.5])
    with pytest.raises(MsmError, match="vector"):
        adjust([[0.1, 0.5]])


# Known answers: 200 variants of 600 days


def test_noise_is_not_skill() -> None:
    pbo, deflated, p = [], [], []
    for seed in range(25):
        returns = 0.02 * np.random.default_rng(seed).standard_normal((600, 200))
        pbo.append(probability_of_backtest_overfitting(returns, n_blocks=10).pbo)
        ratios, best = best_deflated(returns)
        deflated.append(ratios[best])
        p.append(hansen_spa(returns, block_days=20, seed=42, n_boot=199).p_consistent)
    assert 0.4 < np.mean(pbo) < 0.6
    assert np.mean(np.array(deflated) > 0.95) <= 0.04
    assert np.mean(np.array(p) <= 0.05) <= 0.2


def test_the_planted_variant_wins() -> None:
    """0.3 standard deviations a day: an annual Sharpe ratio near 6, against 2.2 for the luckiest.

    16 blocks, so that the default is seen to work.
    """
    for seed in range(3):
        returns = 0.02 * np.random.default_rng(seed).standard_normal((600, 200))
        returns[:, 123] += 0.006
        ratios, best = best_deflated(returns)
        assert best == 123
        assert ratios[best] > 0.95
        found = probability_of_backtest_overfitting(returns)
        assert found.pbo < 0.1
        assert np.bincount(found.picked).argmax() == 123
        spa = hansen_spa(returns, block_days=20, seed=42)
        assert spa.best == 123
        assert spa.p_consistent < 0.02
        superior = romano_wolf_stepm(returns, block_days=20, seed=42)
        assert np.flatnonzero(superior).tolist() == [123]


def test_beside_others_is_the_adjustment_of_each_owner_alone() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        n_edges, n_owners, n_others = rng.integers(1, 6), rng.integers(0, 5), rng.integers(0, 30)
        # few digits: many are equal
        others = rng.random(n_others).round(rng.integers(1, 4))
        others_group = rng.integers(0, 5, n_others)
        owner = np.repeat(np.arange(n_owners), n_edges)
        p = rng.random(len(owner)).round(rng.integers(1, 4))
        group = np.repeat(rng.integers(0, 5, n_owners), n_edges)
        found = beside_others(p, owner, group, others, others_group)
        for one in range(n_owners):
            own = owner == one
            beside = others[others_group != group[own][0]]
            alone = benjamini_hochberg(np.concatenate([p[own], beside]))[:n_edges]
            np.testing.assert_array_equal(found[own], alone)
