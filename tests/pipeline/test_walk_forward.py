"""The walk-forward search against brute force: what would each candidate have earned by itself?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import oracle
from support.comparison import compare
from support.lakes import merged, rewritten, tiny_lake
from support.pipeline import EXCLUDED, Done, contents, run_experiments
from support.specs import ODD_SPECS, spec_of

from msm_py.engine.walk_forward import draw_candidates
from msm_py.regimes import CUTS

WEIGHTS = {"btc_dominance": [-1.0, 1.0], "momentum": [-1.0, 1.0], "alt_breadth": [0.0, 1.0]}


def searching(name: str, odd: str, search: Mapping[str, Any], **backtest: Any) -> dict[str, Any]:
    search = {"n_candidates": 4, **search}
    changes = merged(ODD_SPECS[odd], {"backtest": {"grid_search": search, **backtest}})
    return spec_of(name, changes)


SPECS = {
    spec["experiment_id"]: spec
    for spec in (
        searching("sharpe", "plain", {"weights": WEIGHTS, "thresholds": {"high": [0.05, 0.5]}}),
        searching("sharpe_lag", "weekly_lag", {"weights": WEIGHTS}),
        searching("sharpe_impact", "impact", {"weights": WEIGHTS, "seed": 7}),
        searching(
            "edge",
            "plain",
            {"objective": "majors_edge", "horizon_days": 5, "thresholds": {"high": [0.0, 0.5]}},
            lookback_window_days=60,
        ),
        searching(
            "spread",
            "three_states",
            {"objective": "spread_t", "weights": WEIGHTS},
            lookback_window_days=60,
        ),
    )
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=11)


@pytest.fixture(scope="module")
def done(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    found = run_experiments(list(SPECS.values()), lake, tmp_path_factory.mktemp("searches"))
    assert found.code == 0, found.err
    return found


def chosen(done: Done, name: str) -> list[dict[str, Any]]:
    rows = json.loads((done.folder(name) / "walk_forward.json").read_text())["windows"]
    assert isinstance(rows, list)
    return rows


def without_outcome(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "test_net_sharpe"}


def candidates_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one experiment with fixed parameters for every candidate."""
    search = spec["backtest"]["grid_search"]
    ids = [feature["id"] for feature in spec["features"]]
    thresholds = spec["state_mapping"]["thresholds"]
    drawn = draw_candidates(
        n_candidates=search["n_candidates"],
        seed=search["seed"],
        features=ids,
        weights=np.array([feature["weight"] for feature in spec["features"]]),
        cuts=np.array([thresholds[cut] for cut in CUTS], dtype=float),
        weight_ranges=search["weights"],
        cut_ranges=search["thresholds"],
    )
    return [
        with_parameters(spec, weights, cuts)
        for weights, cuts in zip(
            [dict(zip(ids, row, strict=True)) for row in drawn.weights.tolist()],
            [dict(zip(CUTS, row, strict=True)) for row in drawn.cuts.tolist()],
            strict=True,
        )
    ]


def with_parameters(
    spec: Mapping[str, Any], weights: Mapping[str, float], cuts: Mapping[str, float]
) -> dict[str, Any]:
    given = merged(spec, {"state_mapping": {"thresholds": cuts}})
    given["features"] = [{**x, "weight": weights[x["id"]]} for x in given["features"]]
    return given


def objective_by_hand(
    spec: Mapping[str, Any], result: Mapping[str, Any], first: pd.Timestamp, last: pd.Timestamp
) -> float:
    """Return a candidate's objective on the days first to last, from its own full backtest."""
    search = spec["backtest"]["grid_search"]
    returns = result["returns"]
    scored = returns["date"].between(first, last)
    if search["objective"] == "net_sharpe":
        r = returns.loc[scored, "r_net"]
        return float(r.mean() / r.std() * np.sqrt(365)) if r.nunique() > 1 else np.nan
    h = search["horizon_days"] or spec["target"]["horizons_days"][0]
    regimes = result["regime_timeseries"]["regime"].tolist()
    pairs = oracle.forward_targets(returns, regimes, [h], spec["backtest"]["execution_lag_days"])
    pairs = pairs[pairs["date"].between(first, last)].dropna(subset="y")
    names = [
        name
        for name in ("RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS")
        if spec["state_mapping"]["n_regimes"] == 3
    ] or [
        "STRONG_RISK_ON_ALTS",
        "WEAK_RISK_ON_ALTS",
        "BALANCED",
        "WEAK_RISK_ON_MAJORS",
        "STRONG_RISK_ON_MAJORS",
    ]
    present = [name for name in names if (pairs["regime"] == name).any()]
    y = pairs["y"].to_numpy()
    mean = {name: y[(pairs["regime"] == name).to_numpy()].mean() for name in present}
    spells = pairs.groupby("regime")["spell"].nunique()
    often = [name for name in present if spells[name] >= 5]
    if not often:
        return np.nan
    best, worst = often[-1], often[0]
    if search["objective"] == "majors_edge":
        return float(y.mean() - mean[best])
    if best == worst:
        return np.nan
    n, days = len(y), min(max(20, 3 * h), len(y))
    psi = np.zeros(n)
    for name, sign in ((best, 1), (worst, -1)):
        inside = (pairs["regime"] == name).to_numpy()
        psi += sign * np.where(inside, (y - mean[name]) / inside.mean(), 0.0)
    sums = np.array([psi[np.arange(j, j + days) % n].sum() for j in range(n)])
    se = np.sqrt((sums**2).sum() / (n**2 * days))
    return float(-(mean[best] - mean[worst]) / se)


@pytest.mark.parametrize("name", SPECS)
def test_every_window_has_the_best_candidate_of_its_lookback(
    name: str, lake: Path, done: Done
) -> None:
    spec = SPECS[name]
    results = [oracle.run(lake, candidate, EXCLUDED) for candidate in candidates_of(spec)]
    rows = chosen(done, name)
    dates = results[0]["returns"]["date"]
    backtest = spec["backtest"]
    lookback = backtest["lookback_window_days"]
    assert len(rows) == -(-(len(dates) - lookback) // 20)
    for number, row in enumerate(rows):
        start = lookback + 20 * number
        purged = 10 + backtest["execution_lag_days"]
        assert pd.Timestamp(row["first_date"]) == dates[start]
        assert pd.Timestamp(row["last_date"]) == dates[min(start + 20, len(dates)) - 1]
        assert pd.Timestamp(row["scored_from"]) == dates[start - lookback]
        assert pd.Timestamp(row["scored_until"]) == dates[start - purged - 1]
        values = [
            objective_by_hand(spec, result, dates[start - lookback], dates[start - purged - 1])
            for result in results
        ]
        if np.isnan(values).all():
            assert row["candidate"] is None
            continue
        assert row["candidate"] == int(np.nanargmax(values)) + 1, values
        assert row["objective_value"] == pytest.approx(np.nanmax(values), rel=1e-9)


def test_the_windows_choose_different_candidates(done: Done) -> None:
    found = {row["candidate"] for name in SPECS for row in chosen(done, name)}
    assert len(found) >= 4


@pytest.mark.parametrize("name", SPECS)
def test_the_state_machine_goes_on_with_the_parameters_of_each_window(
    name: str, lake: Path, done: Done
) -> None:
    spec = SPECS[name]
    timeseries = pd.read_parquet(done.folder(name) / "regime_timeseries.parquet")
    dates = pd.to_datetime(timeseries["date"])
    mapping = spec["state_mapping"]
    own = oracle.run(lake, spec, EXCLUDED)["regime_timeseries"]
    features = pd.read_parquet(done.folder(name) / "features.parquet")
    z = features.pivot(index="date", columns="feature_id", values="z_score").fillna(0.0)
    z.index = pd.to_datetime(z.index)
    weights = pd.DataFrame(
        {x["id"]: np.full(len(dates), x["weight"]) for x in spec["features"]}, index=dates
    )
    cuts = {cut: mapping["thresholds"][cut] for cut in CUTS}
    cuts = {cut: np.full(len(dates), value) for cut, value in cuts.items() if value is not None}
    for row in chosen(done, name):
        days = (dates >= row["first_date"]) & (dates <= row["last_date"])
        for path, value in row["parameters"].items():
            group, _, parameter = path.rpartition(".")
            if parameter == "weight":
                weights.loc[days.to_numpy(), group.removeprefix("features.")] = value
            else:
                cuts[parameter][days] = value
    raw = (z.loc[dates] * weights).sum(axis=1).to_numpy(copy=True)
    raw[own["score"].isna()] = np.nan
    span = mapping["smoothing"]["ema_span_days"]
    smoothed = pd.Series(raw).ewm(span=span, adjust=False, ignore_na=True).mean() if span else raw
    score = np.where(np.isnan(raw), np.nan, smoothed)
    names = list(spec["backtest"]["position_scale"])
    state = age = 0
    expected = []
    for day in range(len(dates)):
        today = [values[day] for values in cuts.values()]
        gated = timeseries["score"][day]
        if mapping["high_vol_gate"] is None:
            assert gated == pytest.approx(score[day], abs=1e-12, nan_ok=True)
        else:  # the gate only ever lowers a score, to the cut of the day
            limit = cuts["high"][day]
            assert gated == pytest.approx(score[day], abs=1e-12, nan_ok=True) or (
                score[day] > limit and gated == pytest.approx(limit, abs=1e-15)
            )
        before = state
        age += 1
        if day == 0:
            state, age = oracle.classify(gated, today), 0
        elif not np.isnan(gated):
            state = oracle.next_state(state, age, gated, today, mapping)
            age = 0 if state != before else age
        expected.append(names[state])
    assert timeseries["regime"].tolist() == expected
    fixed = own["regime"].to_numpy()
    assert (
        timeseries["regime"].to_numpy()[: spec["backtest"]["lookback_window_days"]]
        == fixed[: spec["backtest"]["lookback_window_days"]]
    ).all()


@pytest.mark.parametrize("name", SPECS)
def test_a_search_is_evaluated_on_test_days_only(name: str, done: Done) -> None:
    spec, folder = SPECS[name], done.folder(name)
    returns = pd.read_parquet(folder / "returns.parquet")
    regimes = pd.read_parquet(folder / "regime_timeseries.parquet")["regime"].tolist()
    targets = oracle.forward_targets(
        returns,
        regimes,
        spec["target"]["horizons_days"],
        spec["backtest"]["execution_lag_days"],
    )
    test_days = set(returns.loc[returns["is_test_day"], "date"])
    targets = targets[targets["date"].isin(test_days)]
    evaluation = json.loads((folder / "regime_evaluation.json").read_text())
    names = list(spec["backtest"]["position_scale"])
    compare(
        "regime_statistics",
        oracle.regime_statistics(targets, names),
        pd.DataFrame(evaluation["regime_statistics"]),
        ["horizon_days", "regime"],
    )
    compare(
        "edges",
        oracle.edges(targets, names)[["horizon_days", "edge", "estimate", "trade_edge"]],
        pd.DataFrame(evaluation["edges"])[["horizon_days", "edge", "estimate", "trade_edge"]],
        ["horizon_days", "edge"],
    )
    entry = json.loads((folder / "catalog_entry.json").read_text())
    assert entry["evaluation_sample"] == "out_of_sample"
    assert entry["n_candidates"] == 4


@pytest.mark.parametrize("window", [0, 2, 4])
def test_data_from_a_windows_first_day_on_changes_no_choice_up_to_it(
    window: int, lake: Path, done: Done, tmp_path: Path
) -> None:
    first = pd.Timestamp(chosen(done, "sharpe")[window]["first_date"])

    def change(table: pd.DataFrame) -> pd.DataFrame:
        key = pd.util.hash_pandas_object(table[["asset_id", "date"]], index=False)
        factor = np.exp(3.0 * (key.to_numpy() / 2.0**64 - 0.5))
        later = (table["date"] >= first).to_numpy()
        for name in {"close", "marketcap", "volume", "open_interest_usd", "funding_rate"}:
            if name in table.columns:
                table.loc[later, name] = table.loc[later, name].to_numpy() * factor[later]
        return table

    changed = rewritten(lake, tmp_path / "lake", change)
    other = run_experiments(list(SPECS.values()), changed, tmp_path / "other")
    assert other.code == 0, other.err
    later_differ = False
    for name in SPECS:
        before, after = (
            [without_outcome(row) for row in chosen(one, name)] for one in (done, other)
        )
        n_known = sum(pd.Timestamp(row["first_date"]) <= first for row in before)
        assert after[:n_known] == before[:n_known]
        later_differ |= after[n_known:] != before[n_known:]
    assert later_differ, "the change changed nothing at all"


def test_alone_and_together_give_the_same_bytes(lake: Path, done: Done, tmp_path: Path) -> None:
    alone = run_experiments([SPECS["sharpe_impact"]], lake, tmp_path)
    assert contents(alone.folder("sharpe_impact")) == contents(done.folder("sharpe_impact"))
