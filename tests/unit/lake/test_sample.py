"""The sample lake: reproducible, blemished as it says, and with the edge that it says."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import oracle
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve
from msm_py.experiment.load import load_experiment
from msm_py.lake.contract import TABLES
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.lake.sample import sample_lake, write_sample_lake

SMALL: dict[str, Any] = {"n_assets": 45, "n_days": 150}
SAMPLED = [name for name in TABLES if name not in ("fact_supply", "dim_listing")]


def forward_relative(*, planted_edge: bool, seed: int, h: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Y_h of the median alt, and the hidden regime."""
    lake = sample_lake(planted_edge=planted_edge, seed=seed)
    price = lake.tables["fact_price"].to_pandas().drop_duplicates(["asset_id", "date"])
    close = price.pivot(index="date", columns="asset_id", values="close")
    move = close.where(close > 0).replace(np.inf, np.nan).pct_change(fill_method=None)
    # A misprint moves the mean of the day, not its median.
    alts = move[[a for a in move if a.startswith("ALT")]].median(axis=1).fillna(0.0)
    level = (1 + alts).cumprod()
    btc = (1 + move["BTC"].fillna(0.0)).cumprod()
    y = (level.shift(-h) / level - btc.shift(-h) / btc).to_numpy()[:-h]
    return y, lake.regime[:-h]


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    one = write_sample_lake(tmp_path / "one", **SMALL)
    two = write_sample_lake(tmp_path / "two", **SMALL)
    other = write_sample_lake(tmp_path / "other", seed=8, **SMALL)
    names = sorted(file.name for file in one.iterdir())
    assert names == sorted([*(f"{name}.parquet" for name in SAMPLED), "README.md", "lake.yaml"])
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert fingerprint(open_lake(one)) == fingerprint(open_lake(two))
    assert fingerprint(open_lake(one)) != fingerprint(open_lake(other))


def test_default_lake_keeps_the_contract_and_declares_its_units(tmp_path: Path) -> None:
    lake = open_lake(write_sample_lake(tmp_path / "lake"))
    assert list(lake.tables) == SAMPLED
    assert lake.tables["dim_asset"].n_rows == 80
    assert lake.settings.name == "msm_sample_lake"
    assert [(u.exchange, u.unit, u.interval_hours) for u in lake.settings.funding_units] == [
        (None, "decimal", 8.0),
        (None, "percent", 8.0),
        ("HourlyX", "decimal", 1.0),
    ]


def test_plant_moves_prices_and_what_is_made_of_them_only() -> None:
    with_edge, without = sample_lake(**SMALL), sample_lake(planted_edge=False, **SMALL)
    assert (with_edge.regime == without.regime).all()
    funding = [lake.tables["fact_funding"].to_pandas() for lake in (with_edge, without)]
    assert funding[0].equals(funding[1])
    a, b = (lake.tables["fact_price"].to_pandas() for lake in (with_edge, without))
    assert a[["asset_id", "date"]].equals(b[["asset_id", "date"]])
    btc = a["asset_id"] == "BTC"
    assert (a["close"][btc] == b["close"][btc]).all()
    assert (a["close"][~btc] != b["close"][~btc]).mean() > 0.5


def test_hidden_extremes_are_many_and_long() -> None:
    regime = sample_lake().regime[-915:]
    for side in (-1, 1):
        spells = (np.diff((regime == side).astype(int)) == 1).sum()
        assert spells >= 10
        assert 0.2 < (regime == side).mean() < 0.45


@pytest.mark.parametrize("seed", [7, 8])
def test_alts_fall_behind_after_majors_days_and_run_ahead_after_alts_days(seed: int) -> None:
    y, regime = forward_relative(planted_edge=True, seed=seed)
    assert y[regime == 1].mean() - y.mean() < -0.005
    assert y[regime == -1].mean() - y.mean() > 0.005


def test_without_the_plant_the_regime_says_nothing() -> None:
    # Means of 15 spreads; each has a standard error near 0.25% (4 years, 5-day overlaps).
    spreads = []
    for seed in range(15):
        y, regime = forward_relative(planted_edge=False, seed=seed)
        spreads.append(y[regime == 1].mean() - y[regime == -1].mean())
    assert abs(np.mean(spreads)) < 0.002
    assert np.abs(spreads).max() < 0.01


def test_btc_and_eth_have_every_day() -> None:
    price = sample_lake().tables["fact_price"].to_pandas()
    counts = price[price["asset_id"].isin(["BTC", "ETH"])].groupby("asset_id")["date"].nunique()
    assert counts.tolist() == [1461, 1461]
    assert price["date"].min() == date(2022, 1, 1)
    assert price["date"].max() == date(2025, 12, 31)


def test_short_baskets_can_always_be_filled() -> None:
    tables = sample_lake().tables
    caps = tables["fact_marketcap"].to_pandas()
    caps = caps[caps["asset_id"].str.startswith("ALT") & (caps["marketcap"] >= 5e7)]
    assert caps.groupby("date")["asset_id"].nunique().min() >= 30


def test_an_earlier_sample_lake_is_replaced(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", **SMALL)
    before = fingerprint(open_lake(lake))
    write_sample_lake(lake, seed=8, **SMALL)
    assert fingerprint(open_lake(lake)) != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["lake"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    open_lake(write_sample_lake(tmp_path / "lake", **SMALL))


@pytest.mark.parametrize("foreign", ["notes.txt", "fact_price.parquet"])
def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path, foreign: str) -> None:
    (tmp_path / foreign).write_text("mine")
    with pytest.raises(MsmError, match=f"not a sample lake(.|\n)*{foreign}"):
        write_sample_lake(tmp_path, **SMALL)
    assert (tmp_path / foreign).read_text() == "mine"


def test_a_sample_lake_with_files_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", **SMALL)
    (lake / "notes.txt").write_text("mine")
    with pytest.raises(MsmError, match=r"received: notes\.txt"):
        write_sample_lake(lake, **SMALL)


def test_target_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    with pytest.raises(MsmError, match="a folder of its own"):
        write_sample_lake(tmp_path / "lake", **SMALL)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MsmError, match="cannot be written"):
        write_sample_lake(tmp_path / "lake", **SMALL)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("wrong", [{"n_assets": 44}, {"n_days": 10}, {"seed": -1}, {"effect": -1}])
def test_arguments_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(MsmError, match="too small"):
        sample_lake(**wrong)


@pytest.mark.slow
def test_shipped_experiments_see_the_edge_in_its_direction(tmp_path: Path) -> None:
    folder = ROOT / "experiments" / "msm"
    lake = write_sample_lake(tmp_path / "lake")
    for name in ("msm_v1_baseline", "msm_v1_trade_signs", "msm_v1_funding_only"):
        result = oracle.run(lake, resolve(load_experiment(folder / f"{name}.yaml")))
        statistics = result["regime_statistics"]
        for h in (1, 5, 10, 20):
            of = statistics[(statistics["horizon_days"] == h) & (statistics["n"] > 0)]
            overall = np.average(of["mean"], weights=of["n"])
            best = of[of["regime"].str.contains("MAJORS")].iloc[-1]
            worst = of[of["regime"].str.contains("ALTS")].iloc[0]
            assert best["mean"] < overall < worst["mean"], (name, h)
            assert min(best["n_spells"], worst["n_spells"]) >= 10, (name, h)
