"""Strategy metrics by hand from the daily returns that a run wrote."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from support.lakes import merged, tiny_lake
from support.pipeline import Done, run_experiments
from support.specs import spec_of

from msm_py.regimes import REGIMES_OF

Floats = NDArray[np.float64]

FIVE = REGIMES_OF[5]
PLAIN: dict[str, Any] = {}
ODD: dict[str, Any] = {
    "target": {"long_leg": {"weights": {"BTC": 0.7, "ETH": 0.3}}},
    "backtest": {
        "walk_forward": False,
        "execution_lag_days": 1,
        "rebalance_frequency_days": 5,
        "gross": {"long": 0.8, "short": 0.4},
        "capital_usd": 5e6,
        "position_scale": {"STRONG_RISK_ON_ALTS": 0.3, "WEAK_RISK_ON_MAJORS": 1.5},
    },
}
# 140 days: a lookback of 30, two test windows of 45 and a tail of 20, a day too short to count
N_DAYS = 140
SHORT_TAIL: dict[str, Any] = {"backtest": {"test_window_days": 45, "min_test_days": 21}}


def scaled(changes: dict[str, Any], scale: float) -> dict[str, Any]:
    """Return the changes with one scale for every state."""
    return merged(changes, {"backtest": {"position_scale": dict.fromkeys(FIVE, scale)}})


SPECS = {
    "plain": PLAIN,
    "plain_ungated": scaled(PLAIN, 1.0),
    "plain_flat": scaled(PLAIN, 0.0),
    "odd": ODD,
    "odd_ungated": scaled(ODD, 1.0),
    "short_tail": SHORT_TAIL,
}


@dataclass(frozen=True)
class Run:
    """What a run wrote."""

    metrics: dict[str, Any]
    returns: pd.DataFrame
    states: pd.DataFrame
    by_regime: dict[str, dict[str, float | None]]
    lag: int

    @property
    def test_days(self) -> pd.DataFrame:
        return self.returns[self.returns["is_test_day"]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("metrics")
    lake = tiny_lake(place / "lake", seed=11)
    found = run_experiments([spec_of(*item) for item in SPECS.items()], lake, place)
    assert found.code == 0, found.err
    return found


def read(folder: Path) -> Run:
    rows = list(csv.DictReader((folder / "regime_metrics.csv").read_text().splitlines()))
    spec = json.loads((folder / "manifest.json").read_text())["spec"]
    return Run(
        metrics=json.loads((folder / "metrics.json").read_text()),
        returns=pd.read_parquet(folder / "returns.parquet"),
        states=pd.read_parquet(folder / "regime_timeseries.parquet"),
        by_regime={
            row["regime"]: {
                name: float(value) if value else None
                for name, value in row.items()
                if name != "regime"
            }
            for row in rows
        },
        lag=spec["backtest"]["execution_lag_days"],
    )


ANNUALISED = ("cagr", "volatility", "sharpe", "sortino", "calmar", "probabilistic_sharpe")


# --- By hand -------------------------------------------------------------------------------------


def performance(r: Floats, invested: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the measures of docs/methodology.md, 9, of daily returns; None where undefined."""
    n = len(r)
    equity = np.concatenate([[1.0], np.cumprod(1 + r)])
    mean, std = r.mean(), r.std(ddof=1)
    downside = np.sqrt(np.mean(np.minimum(r, 0) ** 2))
    cagr = equity[-1] ** (365 / n) - 1
    deepest, length = drawdown(equity)
    found: dict[str, Any] = {
        "n_days": n,
        "n_invested_days": int(invested.sum()),
        "total_return": equity[-1] - 1,
        "cagr": cagr,
        "volatility": std * np.sqrt(365),
        "max_drawdown": deepest,
        "max_drawdown_days": length,
        "sharpe": None,
        "sortino": mean / downside * np.sqrt(365) if downside > 0 else None,
        "calmar": cagr / -deepest if deepest < 0 else None,
        "hit_rate": (r[invested] > 0).mean() if invested.any() else None,
        "skewness": None,
        "kurtosis": None,
        "probabilistic_sharpe": None,
    }
    if std > 0:
        daily = mean / std
        skewness, kurtosis = stats.skew(r), stats.kurtosis(r, fisher=False)
        error = np.sqrt((1 - skewness * daily + (kurtosis - 1) / 4 * daily**2) / (n - 1))
        found |= {
            "sharpe": daily * np.sqrt(365),
            "skewness": float(skewness),
            "kurtosis": float(kurtosis),
            "probabilistic_sharpe": stats.norm.cdf(daily / error),
        }
    reason = "fewer than 30 invested days" if invested.sum() < 30 else None
    if n < 60:
        reason = "fewer than 60 test days"
    if reason:
        found |= dict.fromkeys(ANNUALISED)
    return {**found, "ratios_missing_because": reason}


def drawdown(equity: Floats) -> tuple[float, int]:
    """Return the deepest fall and its days from the peak to the recovery, or to the end."""
    deepest, length = 0.0, 0
    for trough in range(len(equity)):
        peak = trough - int(np.argmax(equity[trough::-1]))  # the last day at the peak
        fall = equity[trough] / equity[peak] - 1
        if fall < deepest:
            recovered = [day for day in range(trough, len(equity)) if equity[day] > equity[peak]]
            deepest, length = fall, (recovered[0] if recovered else len(equity) - 1) - peak
    return deepest, length


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if value is None or isinstance(value, str):
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-13), name


def test_drawdown_by_hand() -> None:
    # falls by 10% for 3 days in all, then by 25% and never recovers: peak on day 3 of 0 to 6
    assert drawdown(np.array([1.0, 0.9, 0.95, 1.2, 1.1, 0.9, 1.0])) == pytest.approx((-0.25, 3))
    # the start counts as a peak; recovered on day 3
    assert drawdown(np.array([1.0, 0.9, 0.8, 1.1, 1.05])) == pytest.approx((-0.2, 3))


@pytest.mark.parametrize("series", ["net", "gross"])
@pytest.mark.parametrize("name", SPECS)
def test_headline(done: Done, name: str, series: str) -> None:
    run = read(done.folder(name))
    days = run.test_days
    invested = (days["gross_exposure"] > 0).to_numpy()
    assert_close(
        run.metrics["headline"][series],
        {
            **performance(days[f"r_{series}"].to_numpy(), invested),
            "avg_gross_exposure": days["gross_exposure"].mean(),
            "avg_turnover": days["turnover"].mean(),
            "cost_drag": days["cost"].mean() * 365,
            "funding_drag": days["funding"].mean() * 365,
        },
    )


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("plain", slice(30, None)),  # after the lookback, windows of 20; a tail of 10 counts
        ("odd", slice(None)),  # no walk-forward: every day
        ("short_tail", slice(30, 120)),
    ],
)
def test_which_days_count(done: Done, name: str, days: slice) -> None:
    run = read(done.folder(name))
    expected = np.zeros(N_DAYS, dtype=bool)
    expected[days] = True
    np.testing.assert_array_equal(run.returns["is_test_day"], expected)
    assert run.metrics["window"]["n_test_days"] == expected.sum()


def test_the_examples_have_what_they_should_show(done: Done) -> None:
    """Days out of the market, both signs, a drawdown that ended and one that did not."""
    plain, odd = read(done.folder("plain")), read(done.folder("odd"))
    for run in (plain, odd):
        assert 0 < run.metrics["headline"]["net"]["n_invested_days"] < len(run.test_days)
        assert run.metrics["headline"]["net"]["max_drawdown"] < -0.01
        assert run.metrics["headline"]["net"]["cost_drag"] > 0
        assert run.metrics["headline"]["net"]["funding_drag"] != 0
    assert plain.metrics["headline"]["net"]["sharpe"] is not None


def test_a_run_that_never_trades(done: Done) -> None:
    """Undefined ratios are missing; nothing gained, nothing lost is 0."""
    net = read(done.folder("plain_flat")).metrics["headline"]["net"]
    zero = {name for name, value in net.items() if value == 0}
    missing = {name for name, value in net.items() if value is None}
    assert missing == {
        *ANNUALISED,
        "hit_rate",
        "skewness",
        "kurtosis",
    }
    assert zero == set(net) - missing - {"n_days", "ratios_missing_because"}
    assert net["ratios_missing_because"] == "fewer than 30 invested days"


# --- Controls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ungated"),
    [("plain", "plain_ungated"), ("plain_flat", "plain_ungated"), ("odd", "odd_ungated")],
)
def test_control_is_the_run_with_scale_one_in_every_state(
    done: Done, name: str, ungated: str
) -> None:
    controls = read(done.folder(name)).metrics["controls"]
    headline = read(done.folder(ungated)).metrics["headline"]
    assert controls["ungated_net"] == headline["net"]
    assert controls["ungated_gross"] == headline["gross"]


@pytest.mark.parametrize("name", ["plain", "odd"])
def test_btc_control(done: Done, name: str) -> None:
    run = read(done.folder(name))
    r_btc = run.test_days["r_btc"].dropna().to_numpy()
    missing = len(run.test_days) - len(r_btc)
    assert missing == (name == "odd"), "only the first decision day has no BTC return"
    assert_close(
        run.metrics["controls"]["btc"], performance(r_btc, np.ones(len(r_btc), dtype=bool))
    )


# --- By regime -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "odd"])
def test_by_regime(done: Done, name: str) -> None:
    run = read(done.folder(name))
    days = run.returns.assign(decided_in=run.states["regime"].shift(1 + run.lag))
    days = days[days["is_test_day"]]
    assert set(run.by_regime) == set(FIVE)
    for regime, found in run.by_regime.items():
        held = days[days["decided_in"] == regime]
        r_net = held["r_net"]
        hits = r_net[held["gross_exposure"] > 0] > 0
        assert found["n_days"] == len(held)
        if held.empty:
            assert found["total_net"] is None
            continue
        assert_close(
            found,
            {
                "total_gross": held["r_gross"].sum(),
                "total_net": r_net.sum(),
                "mean_net_annualised": r_net.mean() * 365,
                "volatility_net": r_net.std() * np.sqrt(365) if len(held) > 1 else None,
                "hit_rate_net": hits.mean() if len(hits) else None,
            },
        )
    # what no state explains: the days before the first decision is in place, which only cost
    before = days[days["decided_in"].isna()]
    assert len(before) == (2 if name == "odd" else 0)
    for basis in ("net", "gross"):
        explained = sum(found[f"total_{basis}"] or 0.0 for found in run.by_regime.values())
        total = days[f"r_{basis}"].sum() - before[f"r_{basis}"].sum()
        assert explained == pytest.approx(total, abs=1e-13)


def test_scale_held_is_the_scale_of_the_state_decided_in(done: Done) -> None:
    for name in ("plain", "odd"):
        run = read(done.folder(name))
        decided_in = run.states["regime"].shift(1 + run.lag).iloc[1 + run.lag :]
        scale = {regime: found["position_scale"] for regime, found in run.by_regime.items()}
        held = run.returns["position_scale"].iloc[1 + run.lag :]
        invested = run.returns["gross_exposure"].iloc[1 + run.lag :] > 0
        expected = decided_in.map(scale)
        np.testing.assert_array_equal(held[invested], expected[invested])
        assert (expected[~invested] == 0).mean() > 0.5, "else the strategy lacked a basket"
