import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from msm_py._typing import Ints
from msm_py.stats.blocks import BlockPlan
from msm_py.stats.bootstrap import BootstrapSettings, bootstrap_test
from msm_py.stats.inference import (
    Edges,
    count_spells,
    edge_names,
    edges,
    fewest_days,
    smallest_p_edge,
    too_few_for,
)
from msm_py.stats.sample import Sample

FAST = BootstrapSettings(n_boot=99)
P_VALUES = ("p_edge", "p_value", "p_shift", "p_ewc", "p_max_t")
SHOWN_FROM_LOW = ("p_edge", "p_value", "p_ewc", "ci_low", "ci_high")


def pairs(
    seed: int, runs: int, n: int, n_regimes: int, stay: int = 8, horizon_days: int = 1
) -> tuple[Any, ...]:
    """Overlapping sums of fat-tailed noise, and regimes that know nothing of them."""
    rng = np.random.default_rng(seed)
    daily = np.cumsum(rng.standard_t(5, (runs, n + horizon_days)) * 0.02, axis=1)
    spell: Ints = np.cumsum(rng.random((runs, n)) < 1 / stay, axis=1)
    label = rng.integers(n_regimes, size=(runs, n + 1))
    y = daily[:, horizon_days:] - daily[:, :-horizon_days]
    return y, np.take_along_axis(label, spell, 1), spell


def of_lengths(*stays: tuple[int, int], seed: int = 0) -> tuple[Any, ...]:
    """One run from (regime, days) stays, with noise for Y."""
    regime = np.concatenate([np.full(days, r) for r, days in stays])
    spell = np.repeat(np.arange(len(stays)), [days for _, days in stays])
    return np.random.default_rng(seed).normal(size=(1, len(regime))), regime[None], spell[None]


SETTINGS = [
    (1, FAST),
    (7, FAST),
    (5, replace(FAST, method="percentile", block_size=10)),
    (5, replace(FAST, method="percentile", kind="moving")),
    (5, replace(FAST, method="percentile", kind="stationary")),
    (5, replace(FAST, enabled=False)),
]


@pytest.mark.parametrize(("horizon_days", "settings"), SETTINGS)
def test_a_run_has_the_same_bits_alone_and_in_a_batch(
    horizon_days: int, settings: BootstrapSettings
) -> None:
    # Rare regimes, so that some runs of the batch need further rounds of replicates.
    y, regime, spell = pairs(1, 11, 229, 5, stay=5, horizon_days=horizon_days)
    regime[3], regime[4] = regime[3] // 3, 2  # two states only; one state only
    options: dict[str, Any] = {"horizon_days": horizon_days, "n_regimes": 5, "bootstrap": settings}
    batch = edges(y, regime, spell, **options)
    backwards = edges(y[::-1], regime[::-1], spell[::-1], **options)
    for run in range(11):
        alone = edges(y[run : run + 1], regime[run : run + 1], spell[run : run + 1], **options)
        for field in fields(Edges):
            one = getattr(alone, field.name)[0].tobytes()
            assert getattr(batch, field.name)[run].tobytes() == one, field.name
            assert getattr(backwards, field.name)[10 - run].tobytes() == one, field.name


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import numpy as np, hashlib; from msm_py.stats.inference import *;"
        "from msm_py.stats.bootstrap import BootstrapSettings; r = np.random.default_rng(1);"
        "g = r.integers(3, size=(5, 600)); s = np.cumsum(r.random((5, 600)) < 0.1, axis=1);"
        "e = edges(r.normal(size=(5, 600)), np.take_along_axis(g, s, 1), s, horizon_days=5,"
        " n_regimes=3, bootstrap=BootstrapSettings(n_boot=99));"
        "print(hashlib.sha256(b''.join(getattr(e, n).tobytes() for n in e.__slots__)).hexdigest())"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **dict.fromkeys(names, threads)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(hashes) == 1


def test_estimates_by_hand() -> None:
    # mean 2; means by regime 0: 3, 1: 1.5, 3: 1  ->  edges 1, -0.5, absent, -1; spread 1 - 3 = -2
    # each of five times over, so that the states have enough spells to be best and worst
    e = edges(
        np.array([[2.0, 4.0, 1.0, 2.0, 1.0] * 5]),
        [[0, 0, 1, 1, 3] * 5],
        [np.repeat(np.arange(15), [2, 2, 1] * 5)],
        horizon_days=1,
        n_regimes=4,
        bootstrap=FAST,
    )
    expected = [[1.0, -0.5, np.nan, -1.0, -1.0, 1.0, -2.0]]
    np.testing.assert_allclose(e.estimate, expected, rtol=1e-15)
    np.testing.assert_allclose(e.trade_edge, -np.array(expected), rtol=1e-15)
    assert e.n_spells.tolist() == [[5, 5, 0, 5, 5, 5, 5]]
    assert e.regime.tolist() == [[0, 1, 2, 3, 3, 0, 3]]
    assert e.against.tolist() == [[-1] * 6 + [0]]
    assert edge_names(["a", "b", "c", "d"])[4:] == ("edge_best", "edge_worst", "spread")


def test_trade_edge_of_nothing_is_not_minus_zero() -> None:
    e = edges(*of_lengths((0, 60)), horizon_days=1, n_regimes=2, bootstrap=FAST)
    assert e.estimate[0, 0] == 0.0
    assert not np.signbit(e.trade_edge[0, 0])


def test_spells_are_stays_not_runs_of_days() -> None:
    regime, spell = [[1, 1, 0, 1, 1, 1]], [[4, 4, 5, 6, 6, 7]]
    assert count_spells(regime, spell, 3).tolist() == [[1, 3, 0]]
    # days of one stay with a hole between them (dropped days) are one spell
    assert count_spells([[1, 1, 1, 1]], [[2, 2, 2, 2]], 2).tolist() == [[0, 1]]
    assert count_spells([[0, 0]], [[-3, 10**12]], 1).tolist() == [[2]]


@pytest.mark.parametrize("settings", [FAST, replace(FAST, method="percentile")])
def test_evidence_grades_decide_what_is_shown(settings: BootstrapSettings) -> None:
    # Spells: state 0 two, 1 three, 2 five, 3 ten (all that is left), 4 absent.
    order = [3, 0, 3, 1, 3, 2, 3, 0, 3, 1, 3, 2, 3, 1, 3, 2, 3, 2, 3, 2]
    y, regime, spell = of_lengths(*((r, 11) for r in order))
    assert len(order) == 20  # and 11 blocks of 20 days
    e = edges(y, regime, spell, horizon_days=1, n_regimes=5, bootstrap=settings)
    # best and worst of states 2 and 3, which alone have five spells
    assert e.n_spells[0].tolist() == [2, 3, 5, 10, 0, 10, 5, 5]
    assert e.regime[0].tolist() == [0, 1, 2, 3, 4, 3, 2, 3]
    assert e.against[0].tolist() == [-1] * 7 + [2]
    assert e.evidence[0].tolist() == [
        *("none", "shift only", "low", "normal", "none"),
        *("normal", "low", "low"),
    ]
    full = [False, False, True, True, False, True, True, True]
    for name in SHOWN_FROM_LOW:
        assert np.isfinite(getattr(e, name)[0]).tolist() == full, name
    assert np.isfinite(e.p_shift[0]).tolist() == [False, True, *full[2:]]
    assert np.isfinite(e.p_max_t[0]).tolist() == [*full[:-1], False]
    present = [True, True, True, True, False, True, True, True]
    assert np.isfinite(e.estimate[0]).tolist() == np.isfinite(e.se[0]).tolist() == present
    assert (e.n_boot[0] > 0).tolist() == full
    assert (e.block_days == 20).all()


def test_edge_best_and_worst_repeat_their_regimes() -> None:
    y, regime, spell = pairs(2, 6, 400, 5, stay=4)
    regime[0] = 1 + regime[0] % 3
    e = edges(y, regime, spell, horizon_days=1, n_regimes=5, bootstrap=FAST)
    assert (e.n_spells >= 5)[np.isfinite(e.estimate)].all()
    for field in fields(Edges):
        values = getattr(e, field.name)
        for run in range(6):
            assert values[run, 5].tobytes() == values[run, regime[run].max()].tobytes()
            assert values[run, 6].tobytes() == values[run, regime[run].min()].tobytes()
    spread = e.estimate[:, 5] - e.estimate[:, 6]
    np.testing.assert_allclose(e.estimate[:, 7], spread, rtol=1e-12)
    assert np.isnan(e.p_max_t[:, 7]).all()


def test_p_edge_is_the_larger_p() -> None:
    y, regime, spell = pairs(12, 5, 300, 4, stay=5)
    regime[2] = np.minimum(regime[2], 1) * 3  # two states
    e = edges(y, regime, spell, horizon_days=1, n_regimes=4, bootstrap=FAST)
    both = np.isfinite(e.p_value) & np.isfinite(e.p_shift)
    assert both.sum() > 25
    for index in np.ndindex(both.shape):
        if both[index]:
            assert e.p_edge[index] == max(e.p_value[index], e.p_shift[index])
        else:
            assert np.isnan(e.p_edge[index])


def test_a_state_of_one_stay_voids_nothing() -> None:
    # two days of the most MAJORS state between 30 stays of three others
    stays = [(r % 3, 10) for r in range(30)]
    y, regime, spell = of_lengths(*stays[:15], (4, 2), *stays[15:], seed=1)
    y = y - 1.5 * (regime == 2)
    e = edges(y, regime, spell, horizon_days=1, n_regimes=5, bootstrap=FAST)
    assert e.n_spells[0, 4] == 1
    assert e.evidence[0, 4] == "none"
    assert e.regime[0, 5:].tolist() == [2, 0, 2]
    assert e.against[0, 7] == 0
    assert e.evidence[0, 5:].tolist() == ["normal"] * 3
    assert (e.p_edge[0, [5, 7]] <= 0.05).all()
    assert np.isfinite(e.p_max_t[0, :3]).all()
    assert np.isnan(e.p_max_t[0, 4])


def test_one_state_of_enough_spells_has_no_spread() -> None:
    stays = [(1, 20), (0, 20), (1, 20), (2, 20)] * 3
    y, regime, spell = of_lengths(*stays)
    e = edges(y, regime, spell, horizon_days=1, n_regimes=3, bootstrap=FAST)
    assert e.n_spells[0].tolist() == [3, 6, 3, 6, 6, 0]
    assert e.regime[0, 3:].tolist() == [1, 1, -1]
    assert np.isnan(e.estimate[0, 5])
    assert np.isfinite(e.p_edge[0, 3:5]).all()
    assert e.evidence[0, 5] == "none"


@pytest.mark.parametrize("settings", [FAST, replace(FAST, method="percentile", block_size=10)])
def test_two_states_are_one_hypothesis(settings: BootstrapSettings) -> None:
    y, regime, spell = pairs(13, 4, 300, 2)
    e = edges(y, 3 * regime, spell, horizon_days=1, n_regimes=5, bootstrap=settings)
    for name in ("p_edge", "p_value", "p_shift", "p_ewc", "n_boot", "n_redrawn"):
        values = getattr(e, name)
        assert np.isfinite(values[:, 7]).all()
        for column in (0, 3, 5, 6):
            np.testing.assert_array_equal(values[:, column], values[:, 7])
    for column in (0, 3, 5, 6):  # there is nothing to pick from
        np.testing.assert_array_equal(e.p_max_t[:, column], e.p_shift[:, 7])
    # intervals are each one's own, about its own estimate
    middle = (e.ci_low + e.ci_high) / 2
    if settings.method == "studentized":
        np.testing.assert_allclose(middle[:, [0, 3, 7]], e.estimate[:, [0, 3, 7]], atol=1e-12)


def test_two_states_of_which_one_is_thin_keep_their_own_p() -> None:
    stays = [(0, 30), (1, 30)] * 4 + [(0, 30)]
    e = edges(*of_lengths(*stays), horizon_days=1, n_regimes=2, bootstrap=FAST)
    assert e.n_spells[0].tolist() == [5, 4, 5, 5, 0]
    assert e.evidence[0].tolist() == ["low", "shift only", "low", "low", "none"]
    assert np.isnan(e.estimate[0, 4])
    assert np.isfinite(e.p_edge[0]).tolist() == [True, False, True, True, False]
    assert np.isfinite(e.p_shift[0]).tolist() == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("n", "evidence"), [(159, "none"), (160, "low"), (199, "low"), (200, "normal")]
)
def test_evidence_follows_blocks_too(n: int, evidence: str) -> None:
    y, regime, spell = pairs(14, 1, n, 2, stay=3)
    e = edges(y, regime, spell, horizon_days=1, n_regimes=2, bootstrap=FAST)
    assert (e.n_spells >= 10).all()
    assert set(e.evidence[0]) == {evidence}  # of n / 20 blocks
    for name in (*P_VALUES, "ci_low", "ci_high"):
        known = np.isfinite(getattr(e, name)[0, :4])
        assert (known == (evidence != "none")).all(), name


def test_a_horizon_of_60_days_says_nothing_in_245_pairs() -> None:
    y, regime, spell = pairs(15, 3, 245, 3, stay=5, horizon_days=60)
    e = edges(y, regime, spell, horizon_days=60, n_regimes=3, bootstrap=FAST)
    assert (e.n_spells >= 10).sum() > 10
    assert (e.evidence == "none").all()
    assert all(np.isnan(getattr(e, name)).all() for name in (*P_VALUES, "ci_low", "ci_high"))
    assert np.isfinite(e.estimate).all()
    assert fewest_days(horizon_days=60, block_days=180) == 1500


def test_a_p_at_its_floor_is_that_of_more_replicates() -> None:
    y, regime, spell = pairs(16, 6, 400, 3)
    y = y - 0.015 * (regime == 2)
    options: dict[str, Any] = {"horizon_days": 1, "n_regimes": 3}
    few = edges(y, regime, spell, **options, bootstrap=FAST)
    many = edges(y, regime, spell, **options, bootstrap=replace(FAST, n_boot=9_999))
    refined = few.n_boot == 9_999
    assert 6 < refined.sum() < refined.size
    np.testing.assert_array_equal(few.p_value[refined], many.p_value[refined])
    np.testing.assert_array_equal(few.n_redrawn[refined], many.n_redrawn[refined])
    assert (few.p_value[refined] < 0.01).any()
    # the others are those of the first replicates: above the floor, or p_shift is what counts
    assert (few.n_boot[~refined] == 99).all()
    assert ((few.p_value > 0.01) | (few.p_shift >= few.p_value))[~refined].all()
    # the interval is from as many replicates as were asked for
    sample = Sample.of(y, regime, 3)
    se = sample.standard_error(20)
    plan = BlockPlan(n=400, block_days=20, kind="circular", n_boot=99, seed=42)
    asked = bootstrap_test(sample, se, se > 0, plan, studentized=True)
    np.testing.assert_array_equal(few.ci_low[:, :3], asked.ci_low[:, :3])
    assert (few.ci_low[refined] != many.ci_low[refined]).any()
    assert (asked.p_value[:, :3][refined[:, :3]] == 0.01).all()


def test_smallest_p_is_that_of_the_coarser_test() -> None:
    # 9,999 replicates at most; 101 + 1 - 20 rotations, and one for the estimate itself
    assert smallest_p_edge(n_boot=99, n_pairs=101, horizon_days=1) == 1 / 83
    assert smallest_p_edge(n_boot=99, n_pairs=50_000, horizon_days=1) == 1 / 10_000
    assert smallest_p_edge(n_boot=99_999, n_pairs=50_000, horizon_days=1) == 1 / 49_982
    assert too_few_for(864, 1 / 1_000)
    assert not too_few_for(5, 1 / 100)


def test_one_state_only_has_no_spread_and_no_p() -> None:
    stays = [(1, 10) for _ in range(12)]
    e = edges(*of_lengths(*stays), horizon_days=1, n_regimes=3, bootstrap=FAST)
    assert e.estimate[0, 1] == 0.0
    assert e.se[0, 1] == 0.0
    assert np.isnan(e.estimate[0, [0, 2, 5]]).all()
    assert (e.n_spells[0, 5], e.evidence[0, 5]) == (0, "none")
    assert all(np.isnan(getattr(e, name)).all() for name in (*P_VALUES, "ci_low", "ci_high"))


def test_constant_returns_have_no_p() -> None:
    y, regime, spell = pairs(3, 2, 300, 3)
    e = edges(np.full_like(y, 0.1), regime, spell, horizon_days=1, n_regimes=3, bootstrap=FAST)
    assert (e.se == 0.0).all()
    assert (e.estimate == 0.0).all()
    assert all(np.isnan(getattr(e, name)).all() for name in (*P_VALUES, "ci_low", "ci_high"))


def test_a_spread_between_two_constants_has_no_p() -> None:
    _, regime, spell = pairs(3, 1, 300, 2)
    e = edges(0.1 + 0.2 * regime, regime, spell, horizon_days=1, n_regimes=2, bootstrap=FAST)
    assert e.se[0, 4] == 0.0
    # the edges have a variance, their share of days, but ask what the spread asks
    assert np.isfinite(e.ci_low[0, :2]).all()
    assert all(np.isnan(getattr(e, name)).all() for name in P_VALUES)


def test_bootstrap_off_leaves_the_cross_checks() -> None:
    y, regime, spell = pairs(4, 2, 220, 3)
    off = edges(
        y, regime, spell, horizon_days=1, n_regimes=3, bootstrap=replace(FAST, enabled=False)
    )
    on = edges(y, regime, spell, horizon_days=1, n_regimes=3, bootstrap=FAST)
    for name in ("estimate", "se", "p_shift", "p_max_t", "p_ewc", "n_spells", "evidence"):
        np.testing.assert_array_equal(getattr(off, name), getattr(on, name))
    for name in ("p_edge", "p_value", "ci_low", "ci_high"):
        assert np.isnan(getattr(off, name)).all()
    assert not off.n_boot.any()


@pytest.mark.parametrize("settings", [FAST, replace(FAST, method="percentile")])
@pytest.mark.parametrize("n", [1, 2, 19, 39, 40, 41])
def test_short_samples_give_missing_numbers_not_failures(
    n: int, settings: BootstrapSettings
) -> None:
    y, regime, spell = pairs(5, 3, n, 3, stay=2)
    e = edges(y, regime, spell, horizon_days=5, n_regimes=3, bootstrap=settings)
    assert (e.block_days == min(20, n)).all()
    assert (e.se[np.isfinite(e.se)] > 0).any() == (n > 20), "one block of all pairs says nothing"
    for name in (*P_VALUES, "ci_low"):
        assert np.isnan(getattr(e, name)).all(), "fewer than eight blocks say nothing"
    assert np.isfinite(e.estimate[:, :3]).any()


def test_no_pairs_and_no_runs() -> None:
    empty = np.zeros((2, 0), dtype=np.int64)
    e = edges(empty * 1.0, empty, empty, horizon_days=1, n_regimes=3, bootstrap=FAST)
    assert e.estimate.shape == (2, 6)
    assert np.isnan(e.estimate).all()
    assert (e.evidence == "none").all()
    assert e.regime.tolist() == [[0, 1, 2, -1, -1, -1]] * 2
    none = edges(empty[:0] * 1.0, empty[:0], empty[:0], horizon_days=1, n_regimes=3, bootstrap=FAST)
    assert none.p_value.shape == (0, 6)


def test_input_that_makes_no_sense_is_refused() -> None:
    y, regime, spell = pairs(6, 2, 50, 3)
    options: dict[str, Any] = {"horizon_days": 1, "n_regimes": 3, "bootstrap": FAST}
    with pytest.raises(ValueError, match="one shape"):
        edges(y[:, 1:], regime, spell, **options)
    with pytest.raises(ValueError, match="missing or infinite"):
        edges(np.where(y == y[0, 0], np.nan, y), regime, spell, **options)
    with pytest.raises(ValueError, match=r"regimes must lie in 0\.\.2, not 0\.\.3"):
        edges(y, regime + (spell == 0) * (3 - regime), spell, **options)


def test_y_in_other_units_or_shifted_changes_no_p() -> None:
    y, regime, spell = pairs(7, 3, 300, 3)
    options: dict[str, Any] = {"horizon_days": 1, "n_regimes": 3, "bootstrap": FAST}
    a, b = edges(y, regime, spell, **options), edges(3.0 + 1e4 * y, regime, spell, **options)
    for name in P_VALUES:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9)
    np.testing.assert_allclose(a.ci_low * 1e4, b.ci_low, rtol=1e-8)


@pytest.mark.parametrize("settings", [FAST, replace(FAST, method="percentile", block_size=10)])
def test_a_planted_edge_is_found_in_its_direction(settings: BootstrapSettings) -> None:
    y, regime, spell = pairs(8, 5, 900, 3, stay=10)
    y = y - 0.01 * (regime == 2)  # alts fall behind in the most MAJORS state
    e = edges(y, regime, spell, horizon_days=1, n_regimes=3, bootstrap=settings)
    assert (e.trade_edge[:, 3] > 0).all()
    for name in P_VALUES:
        assert (getattr(e, name)[:, 3] <= 0.05).all()
    assert (e.ci_high[:, 3] < 0).all()
    assert (e.evidence[:, 3] == "normal").all()


@pytest.mark.parametrize(
    ("settings", "limit"), [(FAST, 0.02), (replace(FAST, method="percentile"), 0.045)]
)
def test_p_values_are_uniform_under_the_null(settings: BootstrapSettings, limit: float) -> None:
    y, regime, spell = pairs(9, 300, 300, 3, stay=6)
    e = edges(y, regime, spell, horizon_days=1, n_regimes=3, bootstrap=settings)
    for name in P_VALUES:
        p = getattr(e, name)[:, 1]
        ordered = np.sort(p[np.isfinite(p)])
        expected = (np.arange(len(ordered)) + 0.5) / len(ordered)
        if name not in ("p_max_t", "p_edge"):  # which are larger than uniform
            assert len(ordered) > 290
            assert np.abs(ordered - expected).max() < 1.63 / np.sqrt(len(ordered)), name
    assert abs((e.p_value[:, 1] <= 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 300) + limit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("horizon_days", "low", "high"), [(1, 0.025, 0.065), (5, 0.03, 0.08), (20, 0.025, 0.09)]
)
def test_size_and_coverage_are_as_documented(horizon_days: int, low: float, high: float) -> None:
    y, regime, spell = pairs(10, 600, 915, 3, stay=10, horizon_days=horizon_days)
    e = edges(
        y,
        regime,
        spell,
        horizon_days=horizon_days,
        n_regimes=3,
        bootstrap=replace(FAST, n_boot=499),
    )
    for name in ("p_value", "p_shift", "p_ewc"):
        size = (getattr(e, name)[:, 1] <= 0.05).mean()
        assert low <= size <= high, (name, size)
    covered = (e.ci_low[:, 1] <= 0) & (e.ci_high[:, 1] >= 0)
    assert covered.mean() == pytest.approx(1 - (e.p_value[:, 1] <= 0.05).mean(), abs=1e-9)
