"""What must hold for any run: the same bytes, no peeking, nothing half-written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from support.lakes import other_inputs, rewritten, tiny_lake
from support.pipeline import (
    ROOT,
    Done,
    contents,
    contents_apart_from_ids,
    dbt,
    msm,
    run_experiments,
)
from support.specs import ODD_SPECS, every_feature_spec, spec_of

from msm_py.lake.sample import write_sample_lake
from msm_py.store.run_list import existing_runs

CUT = pd.Timestamp("2024-04-20")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    return other_inputs(tiny_lake(path, seed=5))


@pytest.fixture(scope="module")
def specs() -> list[dict[str, Any]]:
    """Experiments between them with every rule that looks back in time."""
    names = ("plain", "weekly_lag", "three_states", "impact", "bounded")
    return [*(spec_of(name, ODD_SPECS[name]) for name in names), every_feature_spec()]


@pytest.fixture(scope="module")
def together(
    lake: Path, specs: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Done:
    """All experiments in one invocation."""
    before = _content(lake)
    done = run_experiments(specs, lake, tmp_path_factory.mktemp("together"))
    assert done.code == 0, done.err
    assert _content(lake) == before, "the lake was written to"
    return done


def _content(lake: Path) -> dict[str, str]:
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(lake.rglob("*"))
        if file.is_file()
    }


# --- The same bytes ------------------------------------------------------------------------------


def test_alone_and_by_hand_with_one_thread_give_the_same_bytes(
    lake: Path, specs: list[dict[str, Any]], together: Done, tmp_path: Path
) -> None:
    name = specs[0]["experiment_id"]
    rendered = msm(
        "vars", str(together.runs.parent / f"{name}.yaml"), "--lake", str(lake), place=tmp_path
    )
    assert rendered.code == 0, rendered.err
    by_hand = dbt(
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--vars",
        rendered.out,
        place=tmp_path,
        MSM_LAKE=str(lake),
        MSM_THREADS="1",
    )
    assert by_hand.code == 0, by_hand.out
    assert by_hand.folder(name).name == together.folder(name).name
    assert contents(by_hand.folder(name)) == contents(together.folder(name))


def test_a_run_that_is_there_is_not_computed_again(
    lake: Path, specs: list[dict[str, Any]], together: Done
) -> None:
    folder = together.folder("plain")
    before = (folder / "manifest.json").stat().st_mtime_ns
    file = together.runs.parent / "plain.yaml"
    again = msm("run", str(file), "--lake", str(lake), place=together.runs.parent)
    assert again.code == 0, again.err
    assert "is there already" in again.out
    assert (folder / "manifest.json").stat().st_mtime_ns == before


# --- No peeking ----------------------------------------------------------------------------------


def _until_cut(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the dated outputs of a run up to the cut; whether a tail counts is known later."""
    found = {}
    for file in sorted(folder.glob("*.parquet")):
        table = pd.read_parquet(file)
        if "date" not in table:
            continue  # sums over all days
        table = table[pd.to_datetime(table["date"]) <= CUT].reset_index(drop=True)
        found[file.name] = table.drop(columns="is_test_day", errors="ignore")
    return found


@pytest.mark.parametrize("future", ["cut off", "made up"])
def test_nothing_depends_on_later_rows(
    future: str, lake: Path, specs: list[dict[str, Any]], together: Done, tmp_path: Path
) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        if future == "cut off":
            return table[table["date"] <= CUT].copy()
        # one factor for an asset and day, so that duplicate rows that agreed still do
        key = pd.util.hash_pandas_object(table[["asset_id", "date"]], index=False)
        factor = np.exp(3.0 * (key.to_numpy() / 2.0**64 - 0.5))
        later = (table["date"] > CUT).to_numpy()
        for name in _VALUES.intersection(table.columns):
            table.loc[later, name] = table.loc[later, name].to_numpy() * factor[later]
        return table

    changed = rewritten(lake, tmp_path / "lake", change)
    # a window that ends on the cut needs no later days to be computed at all
    given = [{**spec, "backtest": {**spec["backtest"], "walk_forward": False}} for spec in specs]
    base = run_experiments(given, lake, tmp_path / "base")
    other = run_experiments(given, changed, tmp_path / "other")
    assert base.code == 0, base.err
    assert other.code == 0, other.err
    for spec in given:
        expected = _until_cut(base.folder(spec["experiment_id"]))
        actual = _until_cut(other.folder(spec["experiment_id"]))
        for name in expected:
            assert len(expected[name]) >= 20, name
            # to the last bit, not nearly
            pd.testing.assert_frame_equal(
                expected[name], actual[name], check_exact=True, obj=f"{spec['title']} {name}"
            )


_VALUES = {
    *("close", "marketcap", "volume", "circulating_supply", "open_interest_usd"),
    *("funding_rate", "funding_rate_1d_sum", "interval_hours"),
}


def test_order_of_rows_and_layout_of_files_change_nothing(
    lake: Path, specs: list[dict[str, Any]], together: Done, tmp_path: Path
) -> None:
    shuffled = rewritten(
        lake, tmp_path / "lake", lambda table: table.sample(frac=1.0, random_state=3)
    )
    # a table may be a folder of files as well
    prices = pd.read_parquet(shuffled / "fact_price.parquet")
    (shuffled / "fact_price.parquet").unlink()
    for part in (0, 1):
        folder = shuffled / "fact_price" / f"part={part}"
        folder.mkdir(parents=True)
        prices.iloc[part::2].to_parquet(folder / "data.parquet", index=False)
    done = run_experiments(specs, shuffled, tmp_path)
    assert done.code == 0, done.err
    for spec in specs:
        name = spec["experiment_id"]
        assert contents_apart_from_ids(done.folder(name)) == contents_apart_from_ids(
            together.folder(name)
        )


# --- Known answers -------------------------------------------------------------------------------


def test_the_planted_edge_of_the_sample_lake_is_found(tmp_path: Path) -> None:
    write_sample_lake(tmp_path / "lake")
    names = ("msm_v1_baseline", "msm_v1_three_states", "msm_v1_weekly_monday")
    folder = ROOT / "experiments" / "msm"
    files = [str(folder / f"{name}.yaml") for name in names]
    # over this window its most MAJORS state is one stay of two days
    signs = (folder / "msm_v1_trade_signs.yaml").read_text()
    (tmp_path / "signs.yaml").write_text(signs.replace("start: 2023-07-01", "start: 2023-01-01"))
    done = msm(
        "run",
        *files,
        str(tmp_path / "signs.yaml"),
        "--lake",
        str(tmp_path / "lake"),
        place=tmp_path,
    )
    assert done.code == 0, done.err
    for name in (*names, "msm_v1_trade_signs"):
        evaluation = json.loads((done.folder(name) / "regime_evaluation.json").read_text())
        edges = {(row["horizon_days"], row["edge"]): row for row in evaluation["edges"]}
        for horizon in (1, 5, 10, 20):
            for edge, sign in (("edge_best", 1), ("edge_worst", -1), ("spread", 1)):
                row = edges[horizon, edge]
                assert row["evidence"] == "normal"
                assert row["trade_edge"] * sign > 0, "the edge was planted in favour of the trade"
                assert row["p_edge"] == max(row["p_value"], row["p_shift"]) < 0.05
                assert row["p_ewc"] < 0.05
                assert row["regime"].endswith("ALTS" if edge == "edge_worst" else "MAJORS")
            if name == "msm_v1_trade_signs":
                thin = edges[horizon, "STRONG_RISK_ON_MAJORS"]
                assert (thin["n_spells"], thin["evidence"], thin["p_edge"]) == (1, "none", None)
                assert edges[horizon, "spread"]["regime"] == "WEAK_RISK_ON_MAJORS"
                assert edges[horizon, "spread"]["against_regime"] == "WEAK_RISK_ON_ALTS"
    manifest = json.loads((done.folder(names[0]) / "manifest.json").read_text())
    dropped = {(row["table_name"], row["reason"]) for row in manifest["lake"]["dropped_rows"]}
    # statistics of Parquet files leave NaN out: asked the wrong way, DuckDB would not find them
    for table in ("fact_marketcap", "fact_funding", "fact_open_interest"):
        assert (table, "not a number") in dropped


# --- Catalog and warehouse -----------------------------------------------------------------------


def test_warehouse_holds_what_the_run_folders_hold(together: Done) -> None:
    with duckdb.connect(together.warehouse, read_only=True) as con:
        catalog = con.sql("select * from catalog order by run_id").df()
        daily = con.sql("select run_id, count(*) as n from daily group by run_id").df()
        missing_numbers = con.sql(
            "select column_name from (unpivot (select cast(columns('net_.*') as varchar) "
            "from catalog) on *) as t(column_name, value) where value in ('nan', 'inf')"
        ).fetchall()
        views = con.sql("select count(*) from v_leaderboard").fetchall()
        latest = con.sql("select count(*) from v_latest_state").fetchall()
        baskets = con.sql(
            "select count(*) from run_panels join baskets using (basket_panel)"
        ).fetchall()
        types = {row[1] for row in con.sql("describe daily").fetchall()}
    folders = existing_runs(together.runs)
    assert catalog["run_id"].tolist() == folders
    assert missing_numbers == []
    assert views == latest == [(len(folders),)]
    assert dict(zip(daily["run_id"], daily["n"], strict=True)) == dict(
        zip(catalog["run_id"], catalog["n_days"], strict=True)
    )
    assert baskets[0][0] == sum(
        len(pd.read_parquet(together.runs / name / "basket.parquet")) for name in folders
    )
    assert types <= {"VARCHAR", "DATE", "DOUBLE", "INTEGER", "BOOLEAN"}, "flat scalars only"
    for row in catalog.to_dict("records"):
        manifest = json.loads((together.runs / row["run_id"] / "manifest.json").read_text())
        assert manifest["spec"]["experiment_id"] == row["experiment_id"]
        assert manifest["lake"]["fingerprint"] == row["lake_fingerprint"]


def test_a_deleted_run_leaves_the_catalog_with_the_next_refresh(
    together: Done, tmp_path: Path
) -> None:
    import shutil

    for name in ("runs", "warehouse"):
        shutil.copytree(together.runs.parent / name, tmp_path / name)
    doomed = tmp_path / "runs" / existing_runs(tmp_path / "runs")[0]
    shutil.rmtree(doomed)
    with duckdb.connect(tmp_path / "warehouse" / "msm.duckdb", read_only=True) as reader:
        known = reader.sql("select count(*) from catalog").fetchall()[0][0]
        refreshed = dbt(
            "build",
            "--exclude-resource-type",
            "unit_test",
            place=tmp_path,
            MSM_LAKE=str(tmp_path / "no lake is needed"),
        )
        assert refreshed.code == 0, refreshed.out
        # a reader that stayed open still reads what it opened
        assert reader.sql("select count(*) from catalog").fetchall()[0][0] == known
    with duckdb.connect(tmp_path / "warehouse" / "msm.duckdb", read_only=True) as con:
        left = [row[0] for row in con.sql("select run_id from catalog order by 1").fetchall()]
        daily = con.sql("select count(distinct run_id) from daily").fetchall()[0][0]
    assert left == existing_runs(tmp_path / "runs")
    assert doomed.name not in left
    assert daily == len(left) == known - 1
