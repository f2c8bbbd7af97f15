import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from msm_py._typing import Floats
from msm_py.stats.ewc import cosine_variance, ewc_p_values, n_cosines
from msm_py.stats.sample import Sample


def plain_loop(x: Floats, number: int) -> float:
    """The mean of the squared cosine transforms, each a sum over days."""
    n = len(x)
    squares = []
    for j in range(1, number + 1):
        total = sum(x[t - 1] * np.cos(np.pi * j * (t - 0.5) / n) for t in range(1, n + 1))
        squares.append((np.sqrt(2.0 / n) * total) ** 2)
    return float(np.mean(squares))


def test_number_of_cosines() -> None:
    # 0.4 * 915^(2/3) = 37.7; 915 / 40 = 22.9; 30 / 40 = 0.75
    assert [n_cosines(n, h) for n, h in ((915, 1), (915, 20), (30, 20))] == [37, 22, 2]


@pytest.mark.parametrize(("n", "number"), [(101, 8), (120, 24), (7, 6)])
def test_variance_is_the_plain_loop(n: int, number: int) -> None:
    x = np.random.default_rng(3).standard_t(4, (3, n)).cumsum(axis=1) * 0.01 + 5.0
    expected = [plain_loop(row, number) for row in x]
    np.testing.assert_allclose(cosine_variance(x, number), expected, rtol=1e-11)


def test_variance_is_that_of_a_regression_on_cosines() -> None:
    # cosines of a demeaned series are regression coefficients: those of statsmodels
    n, number = 90, 12
    x = np.random.default_rng(4).normal(size=n)
    day = np.arange(n) + 0.5
    cosines = np.column_stack([np.cos(np.pi * j * day / n) for j in range(1, number + 1)])
    fit = sm.OLS(x, sm.add_constant(cosines)).fit()
    np.testing.assert_allclose(
        cosine_variance(x, number), np.mean(fit.params[1:] ** 2) * n / 2, rtol=1e-12
    )


def test_a_series_has_the_same_bits_alone_and_in_a_batch() -> None:
    x = np.random.default_rng(5).normal(size=(7, 6, 149))
    batch = cosine_variance(x, 20)
    for run in range(7):
        assert cosine_variance(x[run : run + 1], 20).tobytes() == batch[run].tobytes()


def test_p_values_impose_the_null() -> None:
    rng = np.random.default_rng(5)
    y, regime = rng.normal(size=(1, 200)), (np.arange(200)[None] // 11) % 3
    sample = Sample.of(y, regime, 3)
    p = ewc_p_values(sample, 3, np.ones((1, 4), dtype=bool))[0]
    share = [(regime[0] == r).mean() for r in range(3)]
    d = y[0] - y[0].mean()
    for r in range(4):
        if r < 3:
            psi = (regime[0] == r) * d / share[r] - d
        else:
            psi = (regime[0] == 2) * d / share[2] - (regime[0] == 0) * d / share[0]
        t = sample.estimate[0, r] / np.sqrt(plain_loop(psi - psi.mean(), 13) / 200)
        # 0.4 * 200^(2/3) = 13.7
        assert p[r] == pytest.approx(2 * stats.t.sf(abs(t), 13), rel=1e-10)


def test_what_is_not_wanted_or_does_not_vary_has_no_p() -> None:
    y, regime = np.full((1, 60), 0.1), (np.arange(60)[None] // 7) % 2
    sample = Sample.of(y, regime, 2)
    assert np.isnan(ewc_p_values(sample, 1, np.ones((1, 3), dtype=bool))).all()
    noise = Sample.of(np.random.default_rng(1).normal(size=(1, 60)), regime, 2)
    p = ewc_p_values(noise, 1, np.array([[True, False, False]]))
    assert np.isfinite(p).tolist() == [[True, False, False]]
    two_days = Sample.of(np.array([[0.1, 0.2]]), np.array([[0, 1]]), 2)
    assert np.isnan(ewc_p_values(two_days, 1, np.ones((1, 3), dtype=bool))).all()


@pytest.mark.slow
def test_t_is_students_in_a_simulation() -> None:
    rng = np.random.default_rng(6)
    n, n_draws = 500, 40_000
    for number in (4, 25):
        x = rng.normal(size=(n_draws, n))
        t = x.mean(axis=1) / np.sqrt(cosine_variance(x, number) / n)
        p = 2 * stats.t.sf(np.abs(t), number)
        for level in (0.01, 0.05, 0.1, 0.5):
            error = np.sqrt(level * (1 - level) / n_draws)
            assert abs((p <= level).mean() - level) < 3.5 * error
