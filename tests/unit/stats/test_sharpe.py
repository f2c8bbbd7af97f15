import numpy as np
import pytest
from scipy import stats

from msm_py.stats.sharpe import probabilistic_sharpe_ratio, student_p_value


def test_student_p_is_two_sided_and_broadcasts() -> None:
    t = np.array([[-2.5, 0.0, 1.0], [3.0, -0.1, np.nan]])
    expected = 2 * stats.t.sf(np.abs(t), 11)
    np.testing.assert_allclose(student_p_value(t, 11), expected, rtol=1e-12)


def test_student_p_needs_a_degree_of_freedom() -> None:
    np.testing.assert_array_equal(student_p_value(2.0, [0, -1, np.nan]), [np.nan] * 3)


def test_psr_of_the_paper() -> None:
    # Bailey & Lopez de Prado (2012): monthly SR 0.458 over 24 months; normal returns, then skewed.
    assert probabilistic_sharpe_ratio(0.458, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


def test_psr_at_the_benchmark_is_a_half() -> None:
    assert probabilistic_sharpe_ratio(0.1, 500, -1.0, 8.0, benchmark=0.1) == 0.5


def test_psr_is_missing_where_it_is_undefined() -> None:
    # one return; a variance of 1 - 2.1 + 0.75 < 0; a missing Sharpe ratio
    values = probabilistic_sharpe_ratio([0.1, 1.0, np.nan], [1, 50, 50], [0.0, 2.1, 0.0], [3, 4, 3])
    np.testing.assert_array_equal(values, [np.nan] * 3)
