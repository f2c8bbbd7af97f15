"""Numbers at their limits: rounding that is no signal, scales, overflow, few days."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import run_experiments

from msm_py.experiment import ids, load
from msm_py.experiment.registry import feature_registry
from msm_py.runner.sweep_statistics import _moments
from msm_py.stats.sharpe import net_sharpe

Floats = NDArray[np.float64]

FIRST_DAY = datetime.date(2024, 1, 1)
ASSETS = ("BTC", "ETH", *(f"A{i}" for i in range(1, 8)))
N_DAYS = 120


def write_lake(path: Path, tables: Mapping[str, Mapping[str, Mapping[str, Floats]]]) -> Path:
    """Write tables given as {table: {column: {asset: values by day}}}; NaN is no row."""
    path.mkdir(parents=True)
    for name, columns in tables.items():
        ((column, by_asset),) = columns.items()
        rows = [
            (asset, FIRST_DAY + datetime.timedelta(day), float(value))
            for asset, values in by_asset.items()
            for day, value in enumerate(values)
            if not np.isnan(value)
        ]
        pd.DataFrame(rows, columns=["asset_id", "date", column]).to_parquet(
            path / f"{name}.parquet", index=False
        )
    return path


def grown_at(rate: float) -> Floats:
    return np.asarray((1 + rate) ** np.arange(N_DAYS), dtype=np.float64)


def even_lake(
    path: Path,
    *,
    rate: float = 0.0,
    noise: float = 0.0,
    noisy: tuple[str, ...] = (),
    funding_of: Callable[[int], float] = lambda number: 1e-4,
) -> Path:
    """Write a lake in which every series stands still or grows at one rate, some with noise."""
    rng = np.random.default_rng(1)
    growth = grown_at(rate)

    def series(table: str, start: float, grown: Floats) -> Floats:
        factor = 1 + noise * rng.standard_normal(N_DAYS) if table in noisy else 1.0
        return np.asarray(start * grown * factor, dtype=np.float64)

    def by_asset(table: str, first: float, share: float, grown: Floats) -> dict[str, Floats]:
        return {a: series(table, first * share**i, grown) for i, a in enumerate(ASSETS)}

    return write_lake(
        path,
        {
            "fact_price": {
                "close": {
                    asset: series("fact_price", 0.1 * 3.7**i, grown_at((1 + i / 7) * rate))
                    for i, asset in enumerate(ASSETS)
                }
            },
            "fact_marketcap": {"marketcap": by_asset("fact_marketcap", 1e12 / 3, 0.37, growth)},
            "fact_volume": {"volume": by_asset("fact_volume", 1e10 / 7, 0.43, growth)},
            "fact_open_interest": {
                "open_interest_usd": by_asset("fact_open_interest", 1e9 / 3, 0.29, growth)
            },
            "fact_funding": {
                "funding_rate": {
                    asset: series("fact_funding", funding_of(i), np.ones(N_DAYS))
                    for i, asset in enumerate(ASSETS)
                }
            },
        },
    )


def spec_of(name: str, changes: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    given = tiny_spec(changes, **more)
    given["experiment_id"] = name
    return ids.resolve(load.from_resolved(given))


def specs_of_features(without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return an experiment per weighting of funding, each with all features but some."""
    weights = {name: 1.0 for name in feature_registry() if name not in without}
    found = []
    for weighting in ("oi", "mcap", "equal", "median"):
        spec = spec_of(weighting, {"backtest": {"walk_forward": False}}, weights=weights)
        for feature in spec["features"]:
            if feature["id"].startswith("funding_"):
                feature["params"]["weighting"] = weighting
        found.append(spec)
    return found


# --- Rounding is no signal -----------------------------------------------------------------------


def z_by_feature(folder: Path) -> pd.DataFrame:
    features = pd.read_parquet(folder / "features.parquet")
    return features.pivot_table(
        index="date", columns="feature_id", values="z_score", dropna=False
    ).astype(float)


@pytest.mark.parametrize(
    ("lake", "without"),
    [
        pytest.param({}, (), marks=pytest.mark.slow),
        ({"funding_of": lambda number: 1e-4 / 3}, ()),
        pytest.param(
            {"funding_of": lambda number: (number - 4) * 1e-3 / 7}, (), marks=pytest.mark.slow
        ),
        # total volume that grows does move; its z-score does not
        pytest.param({"rate": 0.001 / 3}, ("liquidity",), marks=pytest.mark.slow),
        ({"rate": -0.02 / 3, "funding_of": lambda number: (number - 4) / 7e3}, ("liquidity",)),
    ],
)
def test_what_stands_still_has_no_z_score(
    lake: dict[str, Any], without: tuple[str, ...], tmp_path: Path
) -> None:
    specs = specs_of_features(without)
    done = run_experiments(specs, even_lake(tmp_path / "lake", **lake), tmp_path)
    seen = {
        spec["experiment_id"]: z_by_feature(folder).count().loc[lambda n: n > 0].to_dict()
        for spec in specs
        for folder in done.runs.glob(f"{spec['experiment_id']}-*")
    }
    assert seen == {}, "a z-score made of rounding"
    assert done.code == 1
    said = done.out + done.err
    assert said.count("No day of the window has enough features to decide on") == len(specs)


def test_equal_rates_have_no_skew_whatever_weighs_them(tmp_path: Path) -> None:
    weights = ("fact_open_interest", "fact_marketcap")
    lake = even_lake(tmp_path / "lake", noise=0.1, noisy=weights)
    others = tuple(name for name in feature_registry() if not name.startswith("funding_"))
    specs = specs_of_features(without=others)
    done = run_experiments(specs, lake, tmp_path)
    assert done.code == 1
    said = done.out + done.err
    assert said.count("No day of the window has enough features to decide on") == len(specs)


def test_what_moves_by_a_millionth_has_z_scores(tmp_path: Path) -> None:
    tables = ("price", "marketcap", "volume", "open_interest", "funding")
    noisy = tuple(f"fact_{table}" for table in tables)
    specs = specs_of_features()
    done = run_experiments(specs, even_lake(tmp_path / "all", noise=1e-6, noisy=noisy), tmp_path)
    assert done.code == 0, done.err
    for spec in specs:
        last = z_by_feature(done.folder(spec["experiment_id"])).iloc[-20:]
        assert last.notna().all().all(), last.count()


def test_one_input_that_moves_moves_its_features_alone(tmp_path: Path) -> None:
    specs = specs_of_features()
    lake = even_lake(tmp_path / "one", noise=1e-6, noisy=("fact_funding",))
    done = run_experiments(specs, lake, tmp_path)
    assert done.code == 0, done.err
    for spec in specs:
        counts = z_by_feature(done.folder(spec["experiment_id"])).iloc[-20:].count()
        assert set(counts.index[counts > 0]) == {"funding_skew", "funding_heating"}
        assert (counts[counts > 0] == 20).all()


# --- Ratios do not depend on scale ---------------------------------------------------------------

SCALES = (1e-9, 1e-8, 1e-3, 1.0, 3.9)
RATIOS = ("sharpe", "sortino", "skewness", "kurtosis", "probabilistic_sharpe", "hit_rate")
WITHOUT_FEES = {"taker_fee_bps": 0.0, "slippage_bps": 0.0, "funding_enabled": True}


def metrics_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics.json").read_text()))


def test_ratios_do_not_depend_on_the_gross_weight(tmp_path: Path) -> None:
    specs = [
        spec_of(
            f"gross_{i}",
            {"backtest": {"gross": {"long": 0.5 * k, "short": 0.4 * k}, "costs": WITHOUT_FEES}},
        )
        for i, k in enumerate(SCALES)
    ]
    # without days on which nothing is traded: what drifts does so by its size
    lake = tiny_lake(tmp_path / "lake", seed=4, zero_alt_days=0)
    done = run_experiments(specs, lake, tmp_path)
    assert done.code == 0, done.err
    found = [metrics_of(done.folder(spec["experiment_id"])) for spec in specs]
    by_state = [
        pd.read_csv(done.folder(spec["experiment_id"]) / "regime_metrics.csv") for spec in specs
    ]
    at_one = SCALES.index(1.0)
    for scale, one, states in zip(SCALES, found, by_state, strict=True):
        for series in ("net", "gross"):
            for part, name in (("headline", series), ("controls", f"ungated_{series}")):
                for ratio in RATIOS:
                    expected = found[at_one][part][name][ratio]
                    assert expected is not None
                    assert one[part][name][ratio] == pytest.approx(expected, rel=1e-9), (
                        f"{part} {name} {ratio} at {scale}"
                    )
        for column in ("total_gross", "total_net", "mean_net_annualised", "volatility_net"):
            np.testing.assert_allclose(
                states[column] / scale, by_state[at_one][column], rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1e3, 1e150])
def test_sharpe_ratios_of_searches_and_sweeps_do_not_depend_on_scale(scale: float) -> None:
    returns = np.random.default_rng(2).normal(1e-3, 1e-2, (3, 200))
    np.testing.assert_allclose(net_sharpe(scale * returns), net_sharpe(returns), rtol=1e-9)
    for scaled, plain in zip(_moments(scale * returns), _moments(returns), strict=True):
        np.testing.assert_allclose(scaled, plain, rtol=1e-9)


def test_sharpe_ratio_of_rounding_is_missing() -> None:
    residue = 1e-3 + 1e-17 * np.random.default_rng(3).standard_normal((2, 100))
    assert np.ptp(residue) > 0
    assert np.isnan(net_sharpe(residue)).all()
    assert np.isnan(_moments(residue)).all()


def test_a_strategy_that_earns_the_same_every_day_has_no_sharpe_ratio(tmp_path: Path) -> None:
    lake = even_lake(tmp_path / "lake", rate=0.001 / 3)
    spec = spec_of(
        "same",
        {
            # test days do not hold the first day, which earns nothing
            "backtest": {"costs": WITHOUT_FEES},
        },
        weights={"liquidity": 1.0},
    )
    done = run_experiments([spec], lake, tmp_path)
    assert done.code == 0, done.err
    net = metrics_of(done.folder("same"))["controls"]["ungated_net"]
    assert net["total_return"] != 0
    assert [net[name] for name in ("sharpe", "skewness", "kurtosis")] == [None] * 3
    assert net["volatility"] < 1e-12


# --- Few days ------------------------------------------------------------------------------------


def test_a_run_of_few_days_says_so(tmp_path: Path) -> None:
    spec = spec_of("short", {"backtest": {"walk_forward": False}, "window": {"end": "2024-02-20"}})
    done = run_experiments([spec], tiny_lake(tmp_path / "lake", seed=4), tmp_path)
    assert done.code == 0, done.err
    found = metrics_of(done.folder("short"))
    net = found["headline"]["net"]
    assert net["n_days"] < 60
    assert net["sharpe"] is None
    sentence = f"({net['n_days']} test days, {net['n_invested_days']} of them invested)"
    assert any(sentence in warning for warning in found["warnings"])
    assert sentence in " ".join(done.out.split())


# --- Overflow ------------------------------------------------------------------------------------


@pytest.mark.parametrize("usd", [9.9e14, pytest.param(9.9e17, marks=pytest.mark.slow)])
def test_sums_of_large_values_do_not_overflow(usd: float, tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=4, n_assets=140, n_days=100)
    for file in (lake / "fact_volume").rglob("*.parquet"):
        volume = pd.read_parquet(file)
        volume.loc[volume["volume"] > 0, "volume"] = usd
        volume.to_parquet(file, index=False)
    funding = pd.read_parquet(lake / "fact_funding.parquet")
    funding["funding_rate"] *= 1e7 / funding["funding_rate"].abs().replace(np.inf, np.nan).max()
    funding.to_parquet(lake / "fact_funding.parquet", index=False)
    (lake / "lake.yaml").unlink()
    caps = pd.read_parquet(lake / "fact_marketcap.parquet")
    caps["marketcap"] = caps["marketcap"].where(caps["marketcap"] <= 0, usd)
    caps.to_parquet(lake / "fact_marketcap.parquet", index=False)
    interest = pd.read_parquet(lake / "fact_open_interest.parquet")
    interest.loc[interest["open_interest_usd"] > 0, "open_interest_usd"] = usd
    interest.to_parquet(lake / "fact_open_interest.parquet", index=False)
    spec = spec_of(
        "large",
        {
            "target": {"short_leg": {"weighting": "mcap", "n": 130}},
            "backtest": {"walk_forward": False},
        },
    )
    done = run_experiments([spec], lake, tmp_path)
    assert "DECIMAL" not in done.out + done.err
    if done.code:  # the lake's contract may refuse such values: then in its own words
        assert "remedy:" in done.err
        assert not any(done.runs.glob("large-*"))
    else:
        features = pd.read_parquet(done.folder("large") / "features.parquet")
        assert np.isfinite(features["raw_value"].dropna()).all()


def changed_closes(lake: Path, asset: str, close_of: Callable[[Floats], Floats]) -> None:
    """Replace the closes of an asset, in the order of its days."""
    file = lake / "fact_price.parquet"
    prices = pd.read_parquet(file).drop_duplicates(["asset_id", "date"])
    prices = prices.sort_values(["asset_id", "date"]).reset_index(drop=True)
    rows = prices.index[(prices["asset_id"] == asset) & (prices["close"] > 0)]
    prices.loc[rows, "close"] = close_of(np.arange(len(rows), dtype=float))
    prices.to_parquet(file, index=False)


def test_a_price_that_jumps_fails_the_runs_that_could_hold_it(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=4)
    changed_closes(lake, "A05", lambda day: np.where(day % 2 == 0, 1e-12, 9e14))
    specs = [
        spec_of("with_it", {}),
        spec_of("without_it", {"universe": {"exclude_assets": ["A05"]}}),
    ]
    done = run_experiments(specs, lake, tmp_path)
    assert done.code == 1
    assert [folder.name[:10] for folder in done.runs.glob("*-*")] == ["without_it"]
    said = " ".join((done.out + done.err).split())
    assert "A price of this experiment's universe rises a million times in a day" in said
    assert "fact_price, A05 on 2024-01-02" in said
    assert "universe of with_it" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "objective",
    [
        None,
        pytest.param("net_sharpe", marks=pytest.mark.slow),
        pytest.param("spread_t", marks=pytest.mark.slow),
    ],
)
def test_numbers_that_overflow_fail_their_run_alone(objective: str | None, tmp_path: Path) -> None:
    """An asset that rises 100,000 times a day, every day: 1e60 over a holding period of 12 days."""
    lake = tiny_lake(tmp_path / "lake", seed=4)
    changed_closes(lake, "A05", lambda day: 1e-250 * 1e5 ** np.minimum(day, 50))
    weekly = {"backtest": {"rebalance_frequency_days": 12}}
    search = {
        "objective": objective,
        "n_candidates": 3,
        "seed": 1,
        "weights": {"momentum": [0.1, 0.3]},
    }
    if objective:
        if objective != "net_sharpe":
            search["horizon_days"] = 5
        weekly["backtest"]["grid_search"] = search  # type: ignore[assignment]
    specs = [
        spec_of("with_it", weekly),
        spec_of("without_it", {**weekly, "universe": {"exclude_assets": ["A05"]}}),
    ]
    done = run_experiments(specs, lake, tmp_path)
    assert done.code == 1
    assert [folder.name[:10] for folder in done.runs.glob("*-*")] == ["without_it"], done.err
    said = " ".join((done.out + done.err).split())
    assert "The numbers of this experiment grow too large to compute with where: with_it" in said
    assert "Got " not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("asset", [pytest.param("A03", marks=pytest.mark.slow), "BTC"])
def test_dates_at_the_end_of_the_type_are_no_days(asset: str, tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=4)
    prices = pq.read_table(lake / "fact_price.parquet").select(["asset_id", "date", "close"])
    ends = [2**31 - 2, 2**31 - 1, -(2**31) + 1]
    odd = pa.table(
        {
            "asset_id": [asset] * 3,
            "date": pa.array(ends, pa.int32()).cast(pa.date32()),
            "close": [1.0] * 3,
        },
        schema=prices.schema,
    )
    pq.write_table(pa.concat_tables([prices, odd]), lake / "fact_price.parquet")
    done = run_experiments([spec_of("odd_date", {})], lake, tmp_path)
    assert done.code == 0, done.err
    manifest = json.loads((done.folder("odd_date") / "manifest.json").read_text())
    assert {"table_name": "fact_price", "reason": "impossible date", "n_rows": 3} in manifest[
        "lake"
    ]["dropped_rows"]
