"""Tear sheets of real runs: written with the run, in its numbers, whatever its texts say."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from support.lakes import tiny_lake
from support.pages import Page
from support.pipeline import Done, msm, run_experiments
from support.specs import ODD_SPECS, spec_of

from msm_py.errors import MsmError
from msm_py.regimes import REGIMES_OF
from msm_py.report.pages import charts_attribution, charts_returns, tear_sheet
from msm_py.report.pages.sheet_data import SheetData

HOSTILE = """</script><script>alert(1)</script> {{ 7 * 7 }} <b onclick="x()">'"&amp;\u2028"""
SEARCH = {
    "backtest": {
        "test_window_days": 45,
        "grid_search": {"objective": "net_sharpe", "thresholds": {"high": [0.2, 0.5]}},
    },
}
SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "three_states": ODD_SPECS["three_states"],
    "impact": ODD_SPECS["impact"],
    "ruined": {
        "allow_extreme": True,
        "target": {"short_leg": {"n": 2}},
        "backtest": {
            "walk_forward": False,
            "gross": {"long": 0.5, "short": 50.0},
            "position_scale": dict.fromkeys(REGIMES_OF[5], 1.0),
        },
    },
    "flat": {"backtest": {"position_scale": dict.fromkeys(REGIMES_OF[5], 0.0)}},
    "unevaluated": {"backtest": {"with_regime_eval": False}},
    "searched": SEARCH,
}
MOST_BYTES = 1_000_000
MOST_SECONDS = 2.0


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("sheets")
    lake = tiny_lake(place / "lake", seed=1)
    specs = [spec_of(name, changes) for name, changes in SPECS.items()]
    specs.append({**spec_of("hostile", {}), "title": HOSTILE, "description": HOSTILE})
    found = run_experiments(specs, lake, place)
    assert found.code == 0, found.err
    assert f"{len(specs)} tear sheets" in found.out
    return found


def page_of(done: Done, name: str) -> Page:
    return Page((done.folder(name) / "report.html").read_text())


def sheet_of(done: Done, name: str) -> SheetData:
    return SheetData.read(done.folder(name), done.warehouse)


@pytest.mark.parametrize("name", [*SPECS, "hostile"])
def test_every_page_is_small_quick_and_whole(done: Done, name: str) -> None:
    started = time.monotonic()
    file = tear_sheet.write_tear_sheet(done.folder(name), warehouse=done.warehouse)
    assert time.monotonic() - started < MOST_SECONDS
    assert file.stat().st_size < MOST_BYTES
    page = page_of(done, name)
    plots = [attrs for tag, attrs in page.tags if attrs.get("class") == "plot"]
    assert {attrs["data-spec"] for attrs in plots} == {f"{x}-spec" for x in page.figures}
    assert {"equity", "score", "contributions", "distribution", "baskets"} <= page.figures.keys()
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for attrs in plots:  # every figure has a name and words
        assert attrs["role"] == "img"
        assert {attrs["aria-labelledby"], attrs["aria-describedby"]} <= ids
    assert ("edges" in page.figures) == (name != "unevaluated")
    assert ("assets" in page.figures) == (name != "flat")


@pytest.mark.parametrize("name", [*SPECS, "hostile"])
def test_texts_are_no_markup_and_nothing_comes_from_elsewhere(done: Done, name: str) -> None:
    page = page_of(done, name)
    for tag, attrs in page.tags:
        assert not [attr for attr in attrs if attr.startswith("on")]
        if tag == "script" and attrs.get("type") != "application/json":
            assert (attrs.get("src") or "").startswith("../.pages/")
            assert (done.folder(name) / str(attrs["src"])).is_file()
        assert not re.match(r"(https?:)?//", attrs.get("href") or attrs.get("src") or "")
    assert [tag for tag, _ in page.tags].count("b") == 0
    if name == "hostile":
        text = "".join(page.texts)
        # in <title>, as heading and as description, as it was written
        assert text.count(sheet_of(done, name).run.metrics["title"]) == 3
        assert text.count("</script><script>alert(1)</script> {{ 7 * 7 }} <b onclick=") >= 3


def test_scripts_are_written_once(done: Done) -> None:
    shared = done.runs / ".pages"
    assert len(list(shared.iterdir())) == 2
    times = {file: file.stat().st_mtime_ns for file in shared.iterdir()}
    tear_sheet.write_tear_sheet(done.folder("plain"), warehouse=done.warehouse)
    assert {file: file.stat().st_mtime_ns for file in shared.iterdir()} == times


def test_numbers_are_those_of_the_catalog(done: Done) -> None:
    with duckdb.connect(done.warehouse, read_only=True) as con:
        row = con.execute("select * from catalog where experiment_id = 'impact'").df().iloc[0]
        months = con.execute(
            "select year(month), month(month), net_return from v_monthly_returns "
            "where experiment_id = 'impact'"
        ).fetchall()
        assets = con.execute(
            "select asset_id, sum(net) from v_attribution where experiment_id = 'impact' group by 1"
        ).fetchall()
        equity = con.execute(
            "select equity_net, equity_gross, equity_btc, equity_ungated from v_equity "
            "where experiment_id = 'impact' order by date"
        ).fetchnumpy()
        paths = con.execute(
            "select count(*) from state_paths where experiment_id = 'impact'"
        ).fetchall()
    sheet = sheet_of(done, "impact")
    shown = {tile.label: tile for tile in tear_sheet.tiles(sheet)}
    assert shown["Net CAGR"].value == f"{row['net_cagr']:+.1%}"
    assert shown["Deepest drawdown"].value == f"{row['net_max_drawdown']:+.1%}"
    assert shown["Ungated control"].note.startswith(f"Sharpe; CAGR {row['ungated_net_cagr']:+.1%}")
    words = dict((name, text) for name, text, _ in tear_sheet.trust(sheet))
    assert words["Trials"].startswith(f"one of {row['n_family']} questions")
    assert words["Window"] == f"{row['first_date']:%Y-%m-%d} to {row['last_date']:%Y-%m-%d}"
    assert {
        (year, number): pytest.approx(value)
        for year, values, _ in charts_returns.monthly(sheet)
        for number, value in enumerate(values, 1)
        if value is not None
    } == {(year, month): value for year, month, value in months}
    parts = charts_attribution.summed(sheet.attribution, lambda x: x["asset_id"])
    assert {name: sums["net"] for name, sums in parts.items()} == pytest.approx(dict(assets))
    assert sum(sums["net"] for sums in parts.values()) == pytest.approx(
        float(sheet.series("r_net")[sheet.tests].sum())
    )
    lines = {
        trace["name"]: trace["y"] for trace in charts_returns.equity(sheet).data if "name" in trace
    }
    for name, column in (
        ("net", "equity_net"),
        ("gross", "equity_gross"),
        ("BTC, right scale", "equity_btc"),
        ("ungated long-short", "equity_ungated"),
    ):
        np.testing.assert_allclose(lines[name], equity[column].astype(float), rtol=1e-4)
    assert len(sheet.paths) == paths[0][0] > 20


def test_contributions_sum_to_the_score(done: Done) -> None:
    for name in ("plain", "searched"):  # neither smooths nor gates
        sheet = sheet_of(done, name)
        parts = [np.nan_to_num(sheet.weights[x] * z) for x, z in sheet.z_scores.items()]
        score = sheet.series("score")
        known = ~np.isnan(score)
        np.testing.assert_allclose(np.sum(parts, axis=0)[known], score[known], atol=1e-9)


def test_a_run_says_where_its_page_is_and_may_do_without(done: Done, tmp_path: Path) -> None:
    folder = done.folder("plain")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "report.html").unlink()
    place = done.runs.parent
    again = msm("report", "plain", place=place)
    assert again.code == 0
    assert "report.html" in again.out
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    (folder / "report.html").unlink()
    file = str(place / "plain.yaml")
    quiet = msm("run", file, "--lake", str(place / "lake"), "--no-report", place=place)
    assert quiet.code == 0, quiet.err
    assert not (folder / "report.html").exists()
    loud = msm("run", file, "--lake", str(place / "lake"), place=place)
    assert loud.code == 0, loud.err
    assert "tear sheet: " in loud.out
    assert (folder / "report.html").exists()
    unknown = msm("report", "nobody", place=place)
    assert unknown.code == 1
    assert "there is no such run" in unknown.err


def test_a_run_of_an_older_version_has_a_page(done: Done, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / done.folder("plain").name
    folder.mkdir(parents=True)
    for file in done.folder("plain").iterdir():
        if file.name not in ("attribution.parquet", "state_paths.parquet"):
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(MsmError, match=r"attribution\.parquet: missing"):
        tear_sheet.write_tear_sheet(folder, warehouse=tmp_path / "none.duckdb")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]  # older versions kept no hashes
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = tear_sheet.write_tear_sheet(folder, warehouse=tmp_path / "none.duckdb")
    found = Page(page.read_text())
    assert "assets" not in found.figures
    assert "equity" in found.figures
    assert any("nobody has counted" in text for text in found.texts)
