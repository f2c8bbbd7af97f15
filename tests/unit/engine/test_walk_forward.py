"""The parts of the walk-forward search."""

from __future__ import annotations

from typing import Any

import numpy as np

from msm_py.engine.walk_forward import best_candidate, draw_candidates, windows
from msm_py.stats.sharpe import net_sharpe


def test_windows_never_score_a_day_that_reaches_into_the_test_window() -> None:
    for window in windows(200, lookback_days=50, test_days=30, purged_days=12):
        assert window.scored_until - 1 + 12 < window.first
        assert window.scored_from == window.first - 50


def test_a_larger_draw_begins_with_the_smaller_one() -> None:
    def draw(n: int) -> Any:
        return draw_candidates(
            n_candidates=n,
            seed=3,
            features=["a", "b", "c"],
            weights=np.array([0.2, 0.3, 0.5]),
            cuts=np.array([-2.0, -1.0, 1.0, 2.0]),
            weight_ranges={"a": (-1, 1), "c": (0, 2)},
            cut_ranges={"strong_low": (-3, -2)},
        )

    small, large = draw(5), draw(50)
    np.testing.assert_array_equal(small.weights, large.weights[:5])
    np.testing.assert_array_equal(small.cuts, large.cuts[:5])
    np.testing.assert_allclose(np.abs(large.weights).sum(axis=1), 1.0)
    assert (large.cuts[:, 0] < -2).all()
    assert (large.cuts[:, 1:] == [-1.0, 1.0, 2.0]).all()
    # evenly over the range: a Kolmogorov-Smirnov distance of 0.2 has p 0.03 at n 50
    assert abs(np.median(large.cuts[:, 0]) + 2.5) < 0.2


def test_thresholds_alone_leave_the_weights_as_given() -> None:
    drawn = draw_candidates(
        n_candidates=3,
        seed=3,
        features=["a"],
        weights=np.array([0.2]),
        cuts=np.array([np.nan, -1.0, 1.0, np.nan]),
        weight_ranges={},
        cut_ranges={"low": (-2, -1)},
    )
    assert (drawn.weights == 0.2).all()


def test_a_candidate_that_never_traded_is_never_the_best() -> None:
    values = net_sharpe(np.array([[0.0, 0.0, 0.0], [-0.01, 0.0, 0.005]]))
    assert np.isnan(values[0])
    assert best_candidate(values) == 1
