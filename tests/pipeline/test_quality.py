"""What a run says of the data of its own days: quality.json, run_quality, warnings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from support.lakes import bad_prices, tiny_lake
from support.pages import Page
from support.pipeline import Done, msm, run_experiments
from support.specs import spec_of

from msm_py.store import layout

SPECS: dict[str, dict[str, Any]] = {
    "small": {
        "universe": {"min_mcap_usd": 0},
        "target": {"short_leg": {"min_volume_usd": 0}},
        "backtest": {"walk_forward": False},
    },
    "prices_only": {
        "universe": {"min_mcap_usd": 0},
        "features": [{"id": "momentum", "weight": 1.0, "params": {}}],
        "backtest": {"walk_forward": False},
    },
}
START = pd.Timestamp("2024-01-01")
GAP, CAPPED, PAID = 70, 100, 92
"""Days of the lake: four without volumes, the first with market caps of many, an odd rate."""


def spoiled(lake: Path) -> Path:
    """Take rows from a tiny lake, and make a funding rate what none is."""

    def rewrite(table: str, change: Any) -> None:
        for file in lake.glob(f"{table}*/**/*.parquet" if table == "fact_volume" else f"{table}.*"):
            rows = pd.read_parquet(file)
            day = (pd.to_datetime(rows["date"]) - START).dt.days
            change(rows, day).to_parquet(file, index=False)

    def paid(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
        rows.loc[(rows["asset_id"] == "A03") & (day == PAID), "funding_rate"] = 0.25
        return rows

    late = [f"A{n:02d}" for n in range(9, 25)]
    rewrite("fact_volume", lambda rows, day: rows[~day.between(GAP, GAP + 3)])
    rewrite("fact_marketcap", lambda rows, day: rows[~rows.asset_id.isin(late) | (day >= CAPPED)])
    rewrite("fact_funding", paid)
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tiny_lake(tmp_path_factory.mktemp("lake") / "lake", seed=4, n_assets=30)
    return spoiled(bad_prices(path))


@pytest.fixture(scope="module")
def done(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("quality")
    found = run_experiments([spec_of(*item) for item in SPECS.items()], lake, place)
    assert found.code == 0, found.err
    return found


def quality(done: Done, name: str) -> dict[str, Any]:
    return dict(json.loads((done.folder(name) / layout.QUALITY).read_text()))


def findings(done: Done, name: str) -> pd.DataFrame:
    return pd.DataFrame(quality(done, name)["findings"], columns=list(layout.QUALITY_COLUMNS))


def of(rows: pd.DataFrame, check: str) -> pd.DataFrame:
    return rows[rows["check_name"] == check]


def day(number: int) -> str:
    return f"{START + pd.Timedelta(number, 'D'):%Y-%m-%d}"


def test_planted_faults_are_found_on_their_days(done: Done) -> None:
    rows = findings(done, "small")
    gap = of(rows, "table_gap").set_index("subject").loc["fact_volume"]
    assert [gap.first_day, gap.last_day, gap.n_days, gap.limit_value] == [
        *(day(GAP), day(GAP + 3)),
        *(4, 3),
    ]
    jumps = of(rows, "asset_jump").set_index("subject")
    assert jumps.loc["fact_marketcap"].first_day == day(CAPPED)
    alts = of(rows, "alts_jump").set_index("first_day").loc[day(CAPPED)]
    before, now = map(int, alts.detail.split(" -> "))
    assert alts.value == pytest.approx(now / before - 1)
    spikes = of(rows, "price_spike").set_index("first_day")
    assert spikes.loc[day(118)].subject == "A08"
    assert spikes.loc[day(118)].value > 30
    assert spikes.loc[day(90)].subject == "A04"
    assert -1 < spikes.loc[day(90)].value < -0.7
    paid = of(rows, "funding_extreme")
    assert (day(PAID), "A03") in set(zip(paid.first_day, paid.subject, strict=True))
    assert of(rows, "no_alts").severity.unique().tolist() == ["error"]


def test_every_move_of_a_price_is_a_spike_here_or_elsewhere(done: Done, lake: Path) -> None:
    rows = pd.read_parquet(lake / "fact_price.parquet").drop_duplicates()
    rows = rows[np.isfinite(rows["close"]) & (rows["close"] > 0)]
    wide = rows.pivot_table("close", "date", "asset_id", "first")
    wide.index = pd.to_datetime(wide.index)
    moves = wide / wide.shift(1, freq="D").reindex(wide.index) - 1
    days = pd.read_parquet(done.folder("small") / layout.RETURNS)["date"]
    moves = moves[pd.to_datetime(days.min()) : pd.to_datetime(days.max())]
    found = findings(done, "small")
    told = found[found["check_name"].str.startswith("price_spike")]
    spikes = {
        (f"{date:%Y-%m-%d}", asset)
        for asset, column in moves.items()
        for date in column.index[(column > 2) | (column < -0.7)]
    }
    assert spikes
    assert {
        (f"{date:%Y-%m-%d}", row.subject)
        for row in told.itertuples()
        for date in pd.date_range(row.first_day, row.last_day)
    } == spikes


def test_what_is_found_agrees_with_what_the_run_says_elsewhere(done: Done) -> None:
    for name in SPECS:
        rows = findings(done, name)
        features = pd.read_parquet(done.folder(name) / layout.FEATURES)
        missing = features[features["z_score"].isna()].groupby("feature_id").size()
        gaps = of(rows, "feature_gap").groupby("subject")["n_days"].sum()
        assert gaps.to_dict() == missing.to_dict()
        metrics = json.loads((done.folder(name) / layout.METRICS).read_text())
        fallbacks = {
            date
            for row in of(rows, "funding_fallback").itertuples()
            for date in pd.date_range(row.first_day, row.last_day)
        }
        assert len(fallbacks) == metrics["coverage"]["n_fallback_days"]
    assert findings(done, "small")["check_name"].eq("funding_fallback").any()


def test_a_run_is_told_of_what_it_uses_only(done: Done) -> None:
    told = set(of(findings(done, "prices_only"), "table_gap")["subject"])
    told |= set(of(findings(done, "prices_only"), "asset_jump")["subject"])
    assert told <= {"fact_price", "fact_marketcap", "fact_volume"}
    assert of(findings(done, "prices_only"), "funding_fallback").empty


def test_it_is_told_everywhere_in_the_same_words(done: Done) -> None:
    told = quality(done, "small")["checks"]
    metrics = json.loads((done.folder("small") / layout.METRICS).read_text())
    warn = [x["text"] for x in told.values() if x["text"] and x["severity"] == "warn"]
    assert [x for x in metrics["warnings"] if x in warn] == warn
    assert told["no_alts"]["text"] in metrics["doubts"]
    with duckdb.connect(done.warehouse, read_only=True) as con:
        names = ", ".join(layout.QUALITY_COLUMNS)
        run_id = done.folder("small").name
        rows = con.execute(f"select {names} from run_quality where run_id = ?", [run_id]).df()
        warnings = con.execute("select warning from run_warnings where run_id = ?", [run_id])
        assert set(warn) <= {row[0] for row in warnings.fetchall()}
    for column in ("first_day", "last_day"):
        rows[column] = rows[column].dt.strftime("%Y-%m-%d")
    key = ["check_name", "place"]
    expected = findings(done, "small").sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(
        rows.sort_values(key, ignore_index=True), expected, check_dtype=False
    )
    place = done.runs.parent
    screen = " ".join(msm("show", "small", place=place).out.split())
    full = " ".join(msm("show", "small", "--full", place=place).out.split())
    assert "A table has no rows: fact_volume 4 days from 2024-03-11 to 2024-03-14" in screen
    for text in [*warn, told["no_alts"]["text"], told["supply_jump"]["text"]]:
        assert text is None or text in full
    assert msm("report", run_id, place=place).code == 0
    page = Page((done.folder("small") / layout.REPORT).read_text())
    assert set(warn) <= {" ".join(text.split()) for text in page.texts}


def test_the_real_lake_tells_of_its_jump_its_gap_and_its_spikes(
    real_lake: Path, tmp_path: Path
) -> None:
    features = ["alt_breadth", "btc_dominance", "funding_skew", "oi_risk"]
    spec = {
        "window": {"start": "2025-04-01", "end": "2026-03-18"},
        "features": [{"id": x, "weight": 1.0} for x in features],
        "backtest": {"walk_forward": False},
    }
    done = run_experiments([spec_of("real", spec)], real_lake, tmp_path)
    assert done.code == 0, done.err
    text = " ".join(msm("show", "real", "--full", place=tmp_path).out.split())
    for words in (
        "The number of alts jumps: alts 160 -> 254 on 2026-01-28.",
        "The number of assets with rows jumps: fact_open_interest 93 -> 626 on 2025-10-21, "
        "fact_marketcap 166 -> 506 on 2026-01-28",
        "A table has no rows: fact_open_interest 115 days from 2025-10-28 to 2026-02-19",
        "Funding has no weights: majors 135 days from 2025-11-04 to 2026-03-18, alts 108 days",
        "BULLA -93% on 2026-02-01, POWER -90% on 2026-03-03, OM -84% on 2025-04-13",
    ):
        assert words in text, words
    screen = msm("show", "real", place=tmp_path).out
    assert "The number of alts jumps: alts 160 -> 254 on 2026-01-28" in screen
    assert "A table has no rows: fact_open_interest 115 days" in screen
