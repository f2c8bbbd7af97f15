from typing import Any

import numpy as np
import pytest

from msm_py._typing import Floats, Ints
from msm_py.stats.rotation import Target, rotated_t, shift_test
from msm_py.stats.sample import Sample


def pairs(seed: int, runs: int, n: int, n_regimes: int, stay: int = 9) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    spell: Ints = np.cumsum(rng.random((runs, n)) < 1 / stay, axis=1)
    label = rng.integers(n_regimes, size=(runs, n + 1))
    return rng.standard_t(4, (runs, n)).cumsum(axis=1) * 0.01, np.take_along_axis(label, spell, 1)


def reference_t(y: Floats, regime: Ints, edge: int | str, block_days: int) -> Any:
    """docs/methodology.md, word for word: the edge, its influence series, its circular sums."""
    n, m = len(y), y.mean()

    def part(r: Any) -> Any:
        inside = regime == r
        return inside * (y - y[inside].mean()) / inside.mean(), y[inside].mean()

    if edge == "spread":
        (psi_b, m_b), (psi_w, m_w) = part(regime.max()), part(regime.min())
        psi, t = psi_b - psi_w, m_b - m_w
    else:
        psi, t = part(edge)
        psi, t = psi - (y - m), t - m
    sums = [sum(psi[(j + i) % n] for i in range(block_days)) for j in range(n)]
    return t / np.sqrt(sum(s * s for s in sums) / (n * n * block_days))


@pytest.mark.parametrize(("n", "n_regimes", "block_days"), [(60, 3, 7), (61, 5, 20), (48, 2, 24)])
def test_every_rotation_equals_the_plain_loop(n: int, n_regimes: int, block_days: int) -> None:
    y, regime = pairs(1, 1, n, n_regimes, stay=4)
    sample = Sample.of(y, regime, n_regimes)
    edges = np.append(np.unique(regime), n_regimes)
    t = rotated_t(sample, Target(sample.y[0], block_days))[0, edges]
    for k in range(n):
        rotated = np.roll(regime[0], -k)
        expected = [reference_t(y[0], rotated, r, block_days) for r in np.unique(regime)]
        expected.append(reference_t(y[0], rotated, "spread", block_days))
        np.testing.assert_allclose(t[:, k], expected, rtol=1e-9)


def test_p_counts_rotations_by_at_least_ten_days() -> None:
    y, regime = pairs(2, 1, 90, 3)
    sample = Sample.of(y, regime, 3)
    se = sample.standard_error(20)
    result = shift_test(sample, se, se > 0, block_days=20, horizon_days=5)
    t = np.array(
        [
            [abs(reference_t(y[0], np.roll(regime[0], -k), r, 20)) for r in (0, 1, 2, "spread")]
            for k in (0, *range(10, 81))
        ]
    )
    observed = t[0] * (1 - 1e-9)
    np.testing.assert_allclose(
        result.p_shift[0], (1 + (t[1:] >= observed).sum(axis=0)) / 72, rtol=1e-12
    )
    highest = t[1:, :3].max(axis=1)
    expected = [(1 + (highest >= observed[r]).sum()) / 72 for r in range(3)]
    np.testing.assert_allclose(result.p_max_t[0, :3], expected, rtol=1e-12)
    assert np.isnan(result.p_max_t[0, 3])
    assert (result.p_max_t[0, :3] >= result.p_shift[0, :3]).all()


def test_the_largest_is_taken_over_testable_regimes() -> None:
    y, regime = pairs(4, 1, 90, 4, stay=4)
    assert set(regime[0]) == {0, 1, 2, 3}
    testable = np.array([[True, False, True, False]])
    sample = Sample.of(y, regime, 4, testable=testable)
    assert (sample.best[0], sample.worst[0]) == (2, 0)
    se = sample.standard_error(20)
    result = shift_test(sample, se, se > 0, block_days=20, horizon_days=5)
    t = np.array(
        [
            [abs(reference_t(y[0], np.roll(regime[0], -k), r, 20)) for r in (0, 2)]
            for k in (0, *range(10, 81))
        ]
    )
    highest, observed = t[1:].max(axis=1), t[0] * (1 - 1e-9)
    expected = [(1 + (highest >= observed[place]).sum()) / 72 for place in range(2)]
    np.testing.assert_allclose(result.p_max_t[0, [0, 2]], expected, rtol=1e-12)
    assert np.isnan(result.p_max_t[0, [1, 3, 4]]).all()
    assert np.isfinite(result.p_shift[0]).all()  # of the others too, and of the spread


def test_the_smallest_shift_is_the_horizon() -> None:
    y, regime = pairs(2, 1, 90, 3)
    sample = Sample.of(y, regime, 3)
    se = sample.standard_error(30)
    result = shift_test(sample, se, se > 0, block_days=30, horizon_days=30)
    scaled = result.p_shift[0] * (90 - 2 * 30 + 1 + 1)
    np.testing.assert_allclose(scaled, scaled.round(), atol=1e-9)


def test_no_admissible_shift_means_no_p() -> None:
    y, regime = pairs(2, 1, 30, 2)
    sample = Sample.of(y, regime, 2)
    se = sample.standard_error(10)
    result = shift_test(sample, se, se > 0, block_days=10, horizon_days=20)
    assert np.isnan(result.p_shift).all()


def test_ties_count_as_extreme() -> None:
    # Y and regimes have a period of 15 days: rotating by 15 days changes nothing
    day = np.arange(90)
    y, regime = np.sin(day * 2 * np.pi / 15)[None] + (day % 15 == 3), (day[None] % 15) // 5
    sample = Sample.of(y, regime, 3)
    se = sample.standard_error(20)
    p = shift_test(sample, se, se > 0, block_days=20, horizon_days=1).p_shift[0]
    assert (p >= (1 + 5) / 72).all()  # offsets 15, 30, 45, 60, 75 of 10..80


@pytest.mark.slow
def test_size_is_right_when_regimes_differ_in_volatility() -> None:
    rng = np.random.default_rng(8)
    p = []
    for seed in range(400):
        _, regime = pairs(seed, 1, 500, 3, stay=12)
        y = np.cumsum(rng.normal(size=(1, 504)), axis=1)
        y = (y[:, 4:] - y[:, :-4]) * (1 + 2 * (regime == 0))
        sample = Sample.of(y, regime, 3)
        se = sample.standard_error(20)
        p.append(shift_test(sample, se, se > 0, block_days=20, horizon_days=5).p_shift[0])
    size = (np.array(p) <= 0.05).mean(axis=0)
    assert (size < 0.11).all()
    assert (size > 0.015).all()
