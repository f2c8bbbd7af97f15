"""Money that could have been made: bad prices, capacity, ruin, few days, mistaken settings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from support.lakes import bad_prices, tiny_lake
from support.pipeline import Done, msm, run_experiments
from support.specs import spec_of

from msm_py.regimes import REGIMES_OF

ALWAYS = dict.fromkeys(REGIMES_OF[5], 1.0)
HELD: dict[str, Any] = {"position_scale": ALWAYS, "walk_forward": False}
SMALL = {"min_mcap_usd": 1e6}
SPECS: dict[str, dict[str, Any]] = {
    "spiked": {"universe": SMALL, "backtest": HELD},
    "guarded": {
        "universe": {**SMALL, "max_abs_return_1d": 2.0},
        "target": {"short_leg": {"rank_median_days": 5}},
        "backtest": HELD,
    },
    "long_leg": {
        "target": {"benchmark": "long_leg", "long_leg": {"weights": {"BTC": 0.7, "ETH": 0.3}}},
    },
    "btc": {"target": {"long_leg": {"weights": {"BTC": 0.7, "ETH": 0.3}}}},
    "rich": {"backtest": {**HELD, "capital_usd": 1e12}},
    "capped": {"backtest": {**HELD, "capital_usd": 1e12, "max_participation": 0.01}},
    "ruined": {
        "allow_extreme": True,
        "target": {"short_leg": {"n": 2}},
        "backtest": {**HELD, "gross": {"long": 0.5, "short": 50.0}},
    },
    "control_ruined": {
        "allow_extreme": True,
        "target": {"short_leg": {"n": 2}},
        "backtest": {
            "walk_forward": False,
            "gross": {"long": 0.5, "short": 50.0},
            "position_scale": dict.fromkeys(REGIMES_OF[5], 0.01),
        },
    },
    "short": {"window": {"end": "2024-02-20"}, "backtest": HELD},
    "percent": {
        "state_mapping": {
            "thresholds": {"strong_low": -150.0, "low": -50.0, "high": 50.0, "strong_high": 150.0}
        },
        "backtest": {"costs": {"taker_fee_bps": 0.0005}},
    },
}
ANNUALISED = ("cagr", "volatility", "sharpe", "sortino", "calmar", "probabilistic_sharpe")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("money")
    lake = bad_prices(tiny_lake(place / "lake", seed=4))
    found = run_experiments([spec_of(*item) for item in SPECS.items()], lake, place)
    assert found.code == 0, found.err
    return found


def metrics(done: Done, name: str) -> dict[str, Any]:
    return dict(json.loads((done.folder(name) / "metrics.json").read_text()))


def returns(done: Done, name: str) -> pd.DataFrame:
    return pd.read_parquet(done.folder(name) / "returns.parquet")


def catalog(done: Done, name: str) -> dict[str, Any]:
    return dict(json.loads((done.folder(name) / "catalog_entry.json").read_text()))


def shown(done: Done, name: str) -> str:
    return " ".join(msm("show", name, "--full", place=done.runs.parent).out.split())


# --- The benchmark of Y --------------------------------------------------------------------------


def test_y_is_measured_against_what_is_asked(done: Done) -> None:
    days = {name: returns(done, name) for name in ("btc", "long_leg")}
    same = ["r_alts", "r_majors", "r_btc", "r_net"]
    pd.testing.assert_frame_equal(days["btc"][same], days["long_leg"][same])
    for name, against in (("btc", "r_btc"), ("long_leg", "r_majors")):
        expected = days[name]["r_alts"] - days[name][against]
        pd.testing.assert_series_equal(days[name]["y"], expected, check_names=False)
        assert catalog(done, name)["benchmark"] == name
    edges = {
        name: json.loads((done.folder(name) / "regime_evaluation.json").read_text())["edges"]
        for name in days
    }
    assert edges["btc"] != edges["long_leg"]
    assert "Y is the return of the alts minus that of the long leg" in shown(done, "long_leg")
    assert "Y is the return of the alts minus that of BTC" in shown(done, "btc")


# --- Bad prices ----------------------------------------------------------------------------------


def test_a_sign_that_hangs_on_bad_prices_is_said_first(done: Done) -> None:
    found = metrics(done, "spiked")
    suspect, (doubt, *_) = found["suspect_gains"], found["doubts"]
    for basis in ("y", "gross"):
        total, part = suspect[f"{basis}_total"], suspect[f"{basis}_of_spikes"]
        assert catalog(done, "spiked")[f"{basis}_share_of_spikes"] == part / total
    flipped = [
        basis
        for basis in ("y", "gross")
        if any(
            (suspect[f"{basis}_total"] > 0)
            != (suspect[f"{basis}_total"] - suspect[f"{basis}_of_{kind}"] > 0)
            for kind in ("spikes", "risers", "both")
        )
    ]
    assert "gross" in flipped
    assert "hangs on" in doubt
    assert doubt in found["warnings"]
    text = shown(done, "spiked")
    assert text.index("hangs on") < text.index("Trade edge" if "Trade edge" in text else "States")


def test_a_lifted_coin_is_a_riser_and_its_fall_pays_the_short(done: Done) -> None:
    """A08, 60 times too high on two days and on one: it enters, and falls by 98% the day after."""
    basket = pd.read_parquet(done.folder("spiked") / "basket.parquet")
    held = basket[basket["asset_id"] == "A08"]["date"].astype(str).tolist()
    assert "2024-02-28" in held
    suspect = metrics(done, "spiked")["suspect_gains"]
    assert suspect["gross_of_risers"] > 0.1, "a quarter of the short leg, gross 0.5, falls by 98%"
    assert suspect["gross_of_risers"] <= suspect["gross_of_both"] + 1e-12
    assert suspect["y_of_risers"] < -0.2


def test_limit_and_median_keep_bad_prices_out(done: Done) -> None:
    suspect = metrics(done, "guarded")["suspect_gains"]
    assert suspect["gross_of_spikes"] == pytest.approx(0, abs=0.2)
    assert suspect["gross_of_risers"] == 0
    basket = pd.read_parquet(done.folder("guarded") / "basket.parquet")
    lifted = basket[(basket["asset_id"] == "A08") & (basket["marketcap_usd"] > 5e9)]
    assert lifted.empty
    coverage = metrics(done, "guarded")["coverage"]
    assert coverage["n_removed_days"] >= 2
    assert any("taken for a bad price" in x for x in metrics(done, "guarded")["warnings"])


# --- Capacity ------------------------------------------------------------------------------------


def test_impact_stops_growing_and_is_counted(done: Done) -> None:
    rich, capped = (metrics(done, name)["coverage"] for name in ("rich", "capped"))
    assert 0 < rich["n_over_capacity"] < capped["n_over_capacity"]
    assert rich["capacity_usd"] == capped["capacity_usd"] < 1e12
    assert capped["n_trades"] == rich["n_trades"] > 500
    assert returns(done, "capped")["cost"].sum() < returns(done, "rich")["cost"].sum()
    assert returns(done, "rich")["cost"].max() < 1, "no day costs more than there is"
    assert any("above 25% of the asset's" in text for text in metrics(done, "rich")["warnings"])


def test_every_run_has_a_capacity(done: Done) -> None:
    for name in ("btc", "spiked"):
        entry = catalog(done, name)
        assert entry["capital_usd"] is None
        assert entry["n_over_capacity"] is None
        assert entry["capacity_usd"] > 0
        assert f"capacity {entry['capacity_usd']:,.0f} USD" in shown(done, name)


# --- Ruin ----------------------------------------------------------------------------------------


def test_ruin_ends_a_run(done: Done) -> None:
    days = returns(done, "ruined")
    (at,) = days.index[days["r_net"] == -1]
    after = days.loc[at + 1 :]
    assert len(after) > 20
    assert (days.loc[at:, "equity_net"] == 0).all()
    for name in ("position_scale", "gross_exposure", "r_gross", "turnover", "cost", "r_net"):
        assert (after[name] == 0).all(), name
    for series in ("net", "gross"):
        found = metrics(done, "ruined")["headline"][series]
        assert found["ratios_missing_because"] == "ruined"
        assert [found[name] for name in ANNUALISED if name != "cagr"] == [None] * 5
    net = metrics(done, "ruined")["headline"]["net"]
    assert [net[name] for name in ("cagr", "total_return", "max_drawdown")] == [-1, -1, -1]
    assert catalog(done, "ruined")["ratios_missing_because"] == "ruined"
    text = shown(done, "ruined")
    assert f"!! Ruin: on {days['date'][at]} the strategy lost all it had" in text
    assert text.index("!! Ruin") < text.index("States")
    assert "The strategy was ruined: it lost all it had." in text


def test_ruin_of_a_control_takes_its_ratios_alone(done: Done) -> None:
    found = metrics(done, "control_ruined")
    assert found["headline"]["net"]["sharpe"] is not None
    assert found["controls"]["ungated_net"]["ratios_missing_because"] == "ruined"
    assert found["controls"]["ungated_net"]["cagr"] == -1
    assert found["controls"]["ungated_net"]["sharpe"] is None
    assert found["controls"]["btc"]["sharpe"] is not None
    assert any("The ungated control is ruined on" in text for text in found["warnings"])


# --- Few days, mistaken settings -----------------------------------------------------------------


def test_few_days_have_no_annualised_figures(done: Done) -> None:
    net = metrics(done, "short")["headline"]["net"]
    assert net["n_days"] < 60
    assert net["ratios_missing_because"] == "fewer than 60 test days"
    assert [net[name] for name in ANNUALISED] == [None] * 6
    assert net["total_return"] is not None
    text = shown(done, "short")
    assert "annualised figures are missing, fewer than 60 test days" in text


def test_mistaken_settings_are_said_above_the_result(done: Done) -> None:
    text = shown(done, "percent")
    assert "taker_fee_bps is 0.0005 basis points" in text
    assert "No score of the window reaches strong_low -150, low -50, high 50" in text
    assert text.index("No score of the window reaches") < text.index("States")
    with duckdb.connect(done.warehouse, read_only=True) as con:
        told = con.execute(
            "select warning from run_warnings where run_id like 'percent-%' and is_doubt"
        ).fetchall()
    assert [(text,) for text in metrics(done, "percent")["doubts"]] == told
    assert len(told) >= 2


def test_ruin_by_construction_is_refused_in_a_sentence(done: Done, tmp_path: Path) -> None:
    refused = {**spec_of("wild", {}), "backtest": {"gross": {"long": 0.5, "short": 50}}}
    failed = run_experiments([refused], done.runs.parent / "lake", tmp_path)
    assert failed.code == 1
    said = " ".join(failed.err.split())
    assert "gross.short 50 x position_scale 1 = 50 times net asset value" in said
    assert "allow_extreme: true" in said
    assert "Traceback" not in said


# --- What the lake check knows -------------------------------------------------------------------


def test_funding_in_percent_that_nobody_declared_is_said_loudly(done: Done, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(done.runs.parent / "lake", lake)
    (lake / "lake.yaml").unlink()
    funding = pd.read_parquet(lake / "fact_funding.parquet")
    day = (pd.to_datetime(funding["date"]) - pd.to_datetime(funding["date"]).min()).dt.days
    funding["funding_rate"] = 0.01 + 1e-4 * (day % 7)  # a basis point, in percent
    funding.to_parquet(lake / "fact_funding.parquet", index=False)
    found = run_experiments([spec_of("btc", SPECS["btc"])], lake, tmp_path)
    assert found.code == 0, found.err
    for out in (found.out, msm("show", "btc", place=tmp_path).out):
        text = " ".join(out.split())
        assert "The check of the lake fails" in text
        assert "!! fact_funding, unit: declared decimal" in text
        assert text.index("The check of the lake fails") < text.index("on test days")
    with duckdb.connect(found.warehouse, read_only=True) as con:
        rows = con.execute(
            """
            select lakes.n_failures, findings.check_name, findings.remedy
            from catalog
            inner join lakes using (lake_fingerprint)
            inner join lake_findings as findings using (lake_fingerprint)
            where findings.verdict = 'fail'
            """
        ).fetchall()
    assert [row[:2] for row in rows] == [(1, "unit")]
    assert "unit: percent" in rows[0][2]
