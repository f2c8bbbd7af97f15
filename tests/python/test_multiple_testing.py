import io
import json
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from arch.bootstrap import SPA, StepM
from rich.console import Console
from scipy.stats import kurtosis, skew
from statsmodels.stats.multitest import multipletests

from msm_py.errors import MsmError
from msm_py.report import sweep_report
from msm_py.runner import sweep_statistics
from msm_py.stats.adjusted_p_values import benjamini_hochberg, holm
from msm_py.stats.overfitting import probability_of_backtest_overfitting
from msm_py.stats.sharpe import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
)
from msm_py.stats.superior_ability import _standard_error, hansen_spa, romano_wolf_stepm
from msm_py.store import formats, layout


def sharpe(returns):
    return returns.mean(axis=0) / returns.std(axis=0, ddof=1)


def best_deflated(returns):
    """Deflated Sharpe ratio of every trial, and which trial is best."""
    ratio = sharpe(returns)
    deflated = deflated_sharpe_ratio(
        ratio,
        len(returns),
        skew(returns),
        kurtosis(returns, fisher=False),
        ratio.var(ddof=1),
        returns.shape[1],
    )
    return deflated, int(deflated.argmax())


# Deflated Sharpe ratio


@pytest.mark.parametrize(("n_trials", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_deflated_sharpe_of_the_paper(n_trials, expected):
    found = deflated_sharpe_ratio(2.5 / np.sqrt(250), 1250, -3, 10, 0.5 / 250, n_trials)
    assert round(float(found), 4) == expected


def test_expected_maximum_of_the_paper():
    assert round(float(expected_maximum_sharpe(0.5 / 250, 100)), 4) == 0.1132


@pytest.mark.parametrize("n_trials", [20, 200])
def test_expected_maximum_is_what_noise_shows(n_trials):
    maximum = np.random.default_rng(1).normal(0, 0.3, (20_000, n_trials)).max(axis=1).mean()
    assert float(expected_maximum_sharpe(0.09, n_trials)) == pytest.approx(maximum, rel=0.03)


def test_one_trial_needs_no_deflation():
    """The variance of one trial's ratio is missing: it must not matter."""
    assert deflated_sharpe_ratio(0.1, 500, 0, 3, np.nan, 1) == probabilistic_sharpe_ratio(
        0.1, 500, 0, 3
    )


def test_expected_maximum_rises_from_one_trial_on_and_is_missing_before():
    found = expected_maximum_sharpe(1.0, [0.5, 1, 1.1, 1.5, 2, 3, np.inf])
    assert np.isnan(found[0])
    assert (np.diff(found[1:]) >= 0).all()
    assert np.isnan(expected_maximum_sharpe([-1.0, np.nan], 10)).all()


# Probability of backtest overfitting


def plain_overfitting(returns, n_blocks):
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
def test_splits_equal_the_plain_loop(n_days, n_blocks):
    returns = np.random.default_rng(n_days).standard_t(4, (n_days, 9)) * 0.02
    found = probability_of_backtest_overfitting(returns, n_blocks=n_blocks)
    logit, inside, outside = plain_overfitting(returns, n_blocks)
    np.testing.assert_allclose(found.logit, logit, rtol=1e-12)
    np.testing.assert_allclose(found.in_sample, inside, rtol=1e-10)
    np.testing.assert_allclose(found.out_of_sample, outside, rtol=1e-9, atol=1e-12)
    assert found.pbo == np.mean(logit <= 0)
    assert found.probability_of_loss == np.mean(outside < 0)
    assert found.degradation_slope == pytest.approx(np.polyfit(inside, outside, 1)[0])


def test_many_chunks_equal_one(monkeypatch):
    returns = np.random.default_rng(2).standard_normal((50, 7))
    whole = probability_of_backtest_overfitting(returns, n_blocks=8)
    monkeypatch.setattr("msm_py.stats.overfitting._CHUNK", 30)
    chunked = probability_of_backtest_overfitting(returns, n_blocks=8)
    np.testing.assert_array_equal(whole.logit, chunked.logit)
    np.testing.assert_array_equal(whole.picked, chunked.picked)


def test_what_shines_in_one_half_and_fades_in_the_other():
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


def test_copies_of_one_trial_are_all_at_the_median():
    one = np.random.default_rng(3).standard_normal((40, 1))
    found = probability_of_backtest_overfitting(np.repeat(one, 6, axis=1), n_blocks=4)
    np.testing.assert_array_equal(found.logit, 0.0)
    assert found.pbo == 1.0


def test_idle_trials_count_as_zero():
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


def test_constant_trials_are_no_miracle():
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
def test_overfitting_refuses(returns, n_blocks, said):
    with pytest.raises(MsmError, match=said):
        probability_of_backtest_overfitting(returns, n_blocks=n_blocks)


# Superior predictive ability and StepM


def trials(seed, days=200, n=12):
    """Dependent trials of unequal volatility, some better, some hopelessly worse than nothing."""
    rng = np.random.default_rng(seed)
    returns = 0.5 * rng.standard_normal((days, 1)) + rng.standard_normal((days, n))
    returns[1:] += 0.3 * returns[:-1]
    return 0.02 * rng.uniform(0.2, 3.0, n) * (returns + rng.uniform(-0.5, 0.25, n))


def arch_stream(seed, days, block_days):
    """The generator behind `BlockPlan`: arch given the same draws the same blocks."""
    return np.random.default_rng((seed, days, block_days))


@pytest.mark.parametrize(("days", "block_days"), [(200, 10), (211, 1), (60, 60)])
def test_standard_error_equals_arch(days, block_days):
    excess = trials(1, days=days)
    spa = SPA(np.zeros(days), -excess, block_size=block_days, reps=1, seed=1)
    spa.compute()
    found = _standard_error(excess - excess.mean(axis=0), block_days)
    np.testing.assert_allclose(found, np.sqrt(spa._loss_diff_var / days), rtol=1e-9)


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("kind", ["circular", "moving", "stationary"])
@pytest.mark.parametrize(("seed", "block_days"), [(4, 10), (2, 7), (3, 1)])
def test_spa_and_stepm_equal_arch(kind, seed, block_days, standardized):
    """Sign: arch takes losses. Standardised is arch on excess returns over their deviation."""
    returns = trials(seed)
    days = len(returns)
    benchmark = 0.002 * np.random.default_rng(seed).standard_normal(days)
    settings = {
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
    options = {
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
def test_the_comparison_with_arch_is_not_one_of_trivial_answers(seed, block_days, standardized):
    settings = {"block_days": block_days, "seed": 42, "standardized": standardized}
    found = hansen_spa(trials(seed), **settings)
    assert found.p_lower < found.p_consistent < found.p_upper
    assert romano_wolf_stepm(trials(seed), size=0.1, **settings).sum() == 2


def test_a_later_step_finds_what_a_volatile_trial_hides_even_if_none_is_left():
    """Means 1.5 and 0.3 with standard errors of about 0.42 and 0.07: 0.3 is below 1.65 x 0.42."""
    returns = np.random.default_rng(0).standard_normal((200, 2))
    returns = (returns - returns.mean(axis=0)) * [1, 6] + [0.3, 1.5]
    settings = {"block_days": 10, "seed": 1, "standardized": False}
    assert hansen_spa(returns, **settings).best == 1
    assert romano_wolf_stepm(returns, **settings).tolist() == [True, True]


def test_standardised_sees_the_quiet_winner_that_means_alone_do_not():
    rng = np.random.default_rng(6)
    returns = rng.standard_normal((500, 20))
    returns[:, 4] = 0.05 * (returns[:, 4] + 0.3)
    settings = {"block_days": 10, "seed": 42}
    assert hansen_spa(returns, **settings).best == 4
    assert hansen_spa(returns, **settings).p_consistent < 0.01
    assert hansen_spa(returns, standardized=False, **settings).p_consistent > 0.1


def test_trials_that_do_not_vary_change_nothing_and_are_never_superior():
    returns = trials(1)
    benchmark = returns[:, 3]  # which makes one trial its copy
    idle = np.column_stack([np.full(len(returns), 0.1), returns, 3.0 * returns / 3.0])
    settings = {"block_days": 7, "seed": 42, "n_boot": 199}
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


def test_nothing_varies():
    found = hansen_spa(np.zeros((50, 3)), block_days=5, seed=1)
    assert found.best == -1
    assert np.isnan([found.p_lower, found.p_consistent, found.p_upper, found.statistic]).all()
    assert not romano_wolf_stepm(np.zeros((50, 3)), block_days=5, seed=1).any()


def test_spa_rejects_noise_about_as_often_as_it_says():
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
def test_stepm_refuses(change, said):
    settings = {"returns": np.ones((50, 2)), "block_days": 5, "seed": 1} | change
    with pytest.raises(MsmError, match=said):
        romano_wolf_stepm(**settings)


# Adjusted p-values


@pytest.mark.parametrize(("adjust", "method"), [(benjamini_hochberg, "fdr_bh"), (holm, "holm")])
@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_equals_statsmodels_on_those_that_are_there(adjust, method, seed):
    rng = np.random.default_rng(seed)
    p = (rng.random(40) ** 3).round(2)  # with ties, zeros and ones
    p[[0, 1]] = 0.0, 1.0
    there = rng.random(40) < 0.8
    found = adjust(np.where(there, p, np.nan))
    np.testing.assert_allclose(found[there], multipletests(p[there], method=method)[1], rtol=1e-14)
    assert np.isnan(found[~there]).all()


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
def test_adjusted_p_of_none_and_of_nonsense(adjust):
    assert adjust([]).shape == (0,)
    assert np.isnan(adjust([np.nan, np.nan])).all()
    assert adjust([0.2]).tolist() == [0.2]
    with pytest.raises(MsmError, match=r"1\.5"):
        adjust([0.1, 1.5])
    with pytest.raises(MsmError, match="vector"):
        adjust([[0.1, 0.5]])


# Known answers: 200 variants of 600 days


def test_noise_is_told_from_skill():
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


def test_the_planted_variant_wins():
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


# The runs of a sweep


def write_run(runs, name, first_day, returns, first_test_day=0):
    """Write what statistics read of a run, its own metrics as its SQL defines them."""
    folder = runs / name
    folder.mkdir(parents=True)
    test = np.arange(len(returns)) >= first_test_day
    own = returns[test]
    varies = np.ptp(own) > 0
    entry = {
        "net_sharpe": float(sharpe(own) * np.sqrt(365)) if varies else None,
        "net_skewness": float(skew(own)) if varies else None,
        "net_kurtosis": float(kurtosis(own, fisher=False)) if varies else None,
        "n_test_days": int(test.sum()),
    }
    days = pa.array(np.arange(first_day, first_day + len(returns)), pa.int32()).cast(pa.date32())
    table = pa.table({"date": days, "r_net": returns, "is_test_day": test})
    formats.write_parquet(table, folder / layout.RETURNS)
    formats.write_json(entry, folder / layout.CATALOG_ENTRY)
    formats.write_json({"edges": []}, folder / layout.REGIME_EVALUATION)
    return entry


def rows_of(runs, n_trials):
    found = sweep_statistics.statistics(runs, [folder.name for folder in runs.iterdir()], n_trials)
    return found["overall"], {row["run_id"]: row for row in found["runs"]}


def test_with_the_same_days_the_deflated_ratio_is_that_of_the_runs_own_metrics(tmp_path):
    rng = np.random.default_rng(8)
    returns = 0.02 * (rng.standard_t(4, (6, 400)) + rng.uniform(-0.1, 0.2, (6, 1)))
    returns[5] = 0.0  # never traded
    entries = [write_run(tmp_path, f"r-{i}", 20_000, returns[i], 90) for i in range(6)]
    overall, rows = rows_of(tmp_path, 9)
    assert overall["n_common_days"] == 310
    traded = entries[:5]
    daily = np.array([entry["net_sharpe"] for entry in traded]) / np.sqrt(365)
    expected = deflated_sharpe_ratio(
        daily,
        310,
        [entry["net_skewness"] for entry in traded],
        [entry["net_kurtosis"] for entry in traded],
        daily.var(ddof=1),
        9,
    )
    for i, entry in enumerate(traded):
        row = rows[f"r-{i}"]
        assert row["deflated_sharpe"] == pytest.approx(expected[i], abs=1e-9)
        assert row["common_sharpe"] == pytest.approx(entry["net_sharpe"], abs=1e-9)
        assert row["net_sharpe"] == entry["net_sharpe"]
    idle = rows["r-5"]
    assert [idle[x] for x in ("net_sharpe", "common_sharpe", "deflated_sharpe")] == [None] * 3
    leader = int(expected.argmax())
    assert [i for i in range(5) if rows[f"r-{i}"]["p_leader"] == 1.0] == [leader]


def test_runs_are_compared_on_the_days_that_they_share(tmp_path):
    """One shines only before the others begin: on its own days it would lead."""
    rng = np.random.default_rng(9)
    returns = {f"r-{i}": 0.02 * rng.standard_normal(200) for i in range(3)}
    returns["r-1"] += 0.003
    early = 0.02 * rng.standard_normal(300)
    early[:100] += 0.02
    for name, values in returns.items():
        write_run(tmp_path, name, 20_100, values)
    entry = write_run(tmp_path, "early-0", 20_000, early)
    overall, rows = rows_of(tmp_path, 4)
    assert overall["n_common_days"] == 200
    common = np.column_stack([early[100:], *returns.values()])
    expected, best = best_deflated(common)
    assert best == 2
    for i, name in enumerate(["early-0", *returns]):
        assert rows[name]["deflated_sharpe"] == pytest.approx(expected[i], abs=1e-12)
    early_row = rows["early-0"]
    assert early_row["net_sharpe"] == entry["net_sharpe"] > rows["r-1"]["net_sharpe"]
    assert early_row["common_sharpe"] < rows["r-1"]["common_sharpe"]
    assert rows["r-1"]["p_leader"] == 1.0


def shown(record):
    out = io.StringIO()
    record = {"sweep_id": "s", "n_trials": 2, "trials": [], **record}
    Console(file=out, width=200).print(sweep_report.leaderboard(record))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(("first", "n_common"), [(20_050, 0), (20_049, 1)])
def test_without_common_days_there_is_no_deflated_ratio(tmp_path, first, n_common):
    rng = np.random.default_rng(10)
    for name, day in (("a-0", 20_000), ("b-0", first)):
        write_run(tmp_path, name, day, rng.standard_normal(50))
    found = sweep_statistics.statistics(tmp_path, ["a-0", "b-0"], 2)
    assert found["overall"]["n_common_days"] == n_common
    for row in found["runs"]:
        assert row["net_sharpe"] is not None
        assert row["common_sharpe"] is row["deflated_sharpe"] is None
    json.dumps(found, allow_nan=False)
    assert "No deflated Sharpe ratios: the runs share" in shown(found)


def test_the_leaderboard_says_when_days_differ(tmp_path):
    returns = np.random.default_rng(11).standard_normal((2, 60))
    write_run(tmp_path, "a-0", 20_000, returns[0])
    write_run(tmp_path, "b-0", 20_000, returns[1])
    note = "Net Sharpe is over each run's own test days"
    assert note not in shown(sweep_statistics.statistics(tmp_path, ["a-0", "b-0"], 2))
    write_run(tmp_path, "c-0", 20_010, returns[0])
    assert note in shown(sweep_statistics.statistics(tmp_path, ["a-0", "b-0", "c-0"], 3))
