import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import eigvalsh
from scipy.optimize import brentq

from msm_py.stats.newey_west import (
    fixed_b_p_value,
    newey_west_p_values,
    newey_west_variance,
    truncation_days,
)
from msm_py.stats.sample import Sample

# Kiefer & Vogelsang (2005), Bartlett: one-sided level and cubic in b of its critical value.
KIEFER_VOGELSANG = {
    0.90: (1.2816, 1.3040, 0.5135, -0.3386),
    0.95: (1.6449, 2.1859, 0.3142, -0.3427),
    0.975: (1.9600, 2.9694, 0.4160, -0.5324),
    0.99: (2.3263, 4.1618, 0.5368, -0.9060),
}


def exact_p_value(t: float, b: float, n: int = 500) -> float:
    """The integral of the docstring, with the eigenvalues of the kernel on a grid of n points."""
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    kernel = np.maximum(0.0, 1.0 - lag / (b * n))
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    eigenvalues = np.clip(eigvalsh(kernel), 0.0, None) / n
    node, weight = np.polynomial.legendre.leggauss(100)
    theta = (node + 1) * np.pi / 4
    inside = np.exp(-0.5 * np.log1p(t**2 / np.sin(theta)[:, None] ** 2 * eigenvalues).sum(axis=1))
    return float(weight @ inside) / 2


@pytest.mark.parametrize("truncation", [1, 2, 7, 40, 120])
def test_variance_equals_statsmodels_hac(truncation: int) -> None:
    x = np.random.default_rng(3).standard_t(4, 120).cumsum() * 0.01
    x = x - x.mean()
    # statsmodels' weights are 1 - j / (maxlags + 1), so maxlags is S - 1
    fit = sm.OLS(x + 1.0, np.ones(120)).fit(
        cov_type="HAC", cov_kwds={"maxlags": truncation - 1, "use_correction": False}
    )
    ours = newey_west_variance(x, truncation) / 120
    np.testing.assert_allclose(ours, fit.cov_params()[0, 0], rtol=1e-12)


def test_variance_equals_statsmodels_hac_of_a_regression_on_regimes() -> None:
    # The variance of a difference of means is that of the influence series, no null imposed.
    rng = np.random.default_rng(4)
    y, regime = rng.normal(size=300), (np.arange(300) // 13) % 2
    member = np.stack([regime == 0, regime == 1]).astype(float)
    fit = sm.OLS(y, member.T).fit(cov_type="HAC", cov_kwds={"maxlags": 22, "use_correction": False})
    variance = np.array([1.0, -1.0]) @ fit.cov_params() @ np.array([1.0, -1.0])
    psi = Sample.of(y[None], 1 - regime[None], 2).influence[0, -1]
    np.testing.assert_allclose(newey_west_variance(psi, 23) / 300, variance, rtol=1e-12)


def test_variance_is_the_textbook_sum() -> None:
    x = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 1.0, -1.0]])
    gamma = [(x[:, j:] * x[:, : 4 - j]).sum(axis=1) / 4 for j in range(3)]
    expected = gamma[0] + 2 * (2 / 3 * gamma[1] + 1 / 3 * gamma[2])
    np.testing.assert_allclose(newey_west_variance(x, 3), expected, rtol=1e-14)


def test_truncation_rule() -> None:
    # 1.3 sqrt(915) = 39.3, 3 * 20 = 60, never above n
    assert [truncation_days(n, h) for n, h in ((915, 1), (915, 20), (12, 5))] == [40, 60, 12]


@pytest.mark.parametrize("b", [0.02, 0.044, 0.066, 0.12, 0.2, 0.5, 1.0])
def test_fixed_b_p_equals_the_integral(b: float) -> None:
    for level in (0.3, 0.1, 0.05, 0.01):
        t = brentq(lambda t, level=level: exact_p_value(t, b, 300) - level, 0.1, 60.0, xtol=1e-6)
        tolerance = 0.01 if b <= 0.2 else 0.02
        assert fixed_b_p_value(t, b) == pytest.approx(level, rel=tolerance)


def test_fixed_b_p_is_close_to_the_published_critical_values() -> None:
    # They are fits of a simulation: up to 2% off in t, hence the width.
    for level, cubic in KIEFER_VOGELSANG.items():
        for b in (0.02, 0.1, 0.3, 0.6, 1.0):
            t = np.polynomial.polynomial.polyval(b, cubic)
            low, high = fixed_b_p_value([t * 1.003, t * 0.98], b) / 2
            assert low <= 1 - level <= high


def test_fixed_b_p_is_smooth_and_falls_in_t_and_rises_in_b() -> None:
    t, b = np.linspace(0.0, 12.0, 241), np.linspace(0.001, 1.0, 200)
    p = np.array([fixed_b_p_value(t, each) for each in b])
    assert (p[:, 0] == 1.0).all()
    assert (np.diff(p, axis=1) < 0).all()
    assert (np.diff(p[:, 1:], axis=0) > 0).all()
    assert np.isnan(fixed_b_p_value(np.nan, 0.1))
    np.testing.assert_allclose(fixed_b_p_value(1.959964, 1e-9), 0.05, rtol=1e-6)


def test_p_values_impose_the_null() -> None:
    rng = np.random.default_rng(5)
    y, regime = rng.normal(size=(1, 200)), (np.arange(200)[None] // 11) % 3
    sample = Sample.of(y, regime, 3)
    p = newey_west_p_values(sample, 1, np.ones((1, 4), dtype=bool))[0]
    share = [(regime[0] == r).mean() for r in range(3)]
    d = y[0] - y[0].mean()
    for r in range(3):
        psi = (regime[0] == r) * d / share[r] - d
        psi -= psi.mean()
        t = sample.estimate[0, r] / np.sqrt(newey_west_variance(psi, 19) / 200)
        assert p[r] == pytest.approx(float(fixed_b_p_value(t, 19 / 200)), rel=1e-10)
    psi = (regime[0] == 2) * d / share[2] - (regime[0] == 0) * d / share[0]
    t = sample.estimate[0, 3] / np.sqrt(newey_west_variance(psi - psi.mean(), 19) / 200)
    assert p[3] == pytest.approx(float(fixed_b_p_value(t, 19 / 200)), rel=1e-10)


@pytest.mark.slow
def test_fixed_b_p_is_uniform_in_a_simulation_of_the_limit() -> None:
    rng = np.random.default_rng(6)
    n, n_draws = 1000, 40_000
    for b in (0.04, 0.1, 0.3, 1.0):
        p = np.empty(n_draws)
        for first in range(0, n_draws, 1000):
            x = rng.normal(size=(1000, n))
            mean = x.mean(axis=1)
            variance = newey_west_variance(x - mean[:, None], int(b * n)) / n
            p[first : first + 1000] = fixed_b_p_value(mean / np.sqrt(variance), b)
        for level in (0.01, 0.05, 0.1, 0.5):
            error = np.sqrt(level * (1 - level) / n_draws)
            assert abs((p <= level).mean() - level) < 3.5 * error + 0.015 * level
