"""Leaderboards of real runs: the numbers of the catalog, for a sweep and for all."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import duckdb
import pytest
from support.lakes import tiny_lake
from support.pages import Page
from support.pipeline import ROOT, Done, msm
from support.sweeps import grid_file, no_overlap_file, sweep

from msm_py.report.pages.texts import number, p_value, percent

MOST_SECONDS = 2.0


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("boards")
    file = grid_file(place, [-0.2, -0.3, -0.9], [0.2, 0.3])
    lake = tiny_lake(place / "lake", seed=8)
    found = sweep(file, no_overlap_file(place), lake=lake, place=place)
    assert "4 computed" in found.out, found.err
    return found


def sweep_id(done: Done) -> str:
    (record,) = (done.runs / ".sweeps").glob("*.json")
    return record.stem


def board(done: Done, *words: str) -> tuple[Path, Page]:
    told = msm("report", *words, place=done.runs.parent)
    assert told.code == 0, told.err
    assert told.out.startswith("leaderboard: ")
    file = ROOT / told.out.removeprefix("leaderboard: ").strip()
    return file, Page(file.read_text())


@pytest.fixture(scope="module")
def of_sweep(done: Done) -> tuple[Path, Page]:
    started = time.monotonic()
    file, page = board(done, "--sweep", "grid")
    assert time.monotonic() - started < MOST_SECONDS
    return file, page


def table(page: Page) -> list[dict[str, str]]:
    head = next(row for row in page.rows if row[:1] == ["place"])
    return [dict(zip(head, row, strict=True)) for row in page.rows if len(row) == len(head)][1:]


def test_a_sweep_shows_the_numbers_of_the_catalog(done: Done, of_sweep: tuple[Path, Page]) -> None:
    rows = table(of_sweep[1])
    with duckdb.connect(done.warehouse, read_only=True) as con:
        wanted = con.sql("""
            select
                catalog.run_id, sweep_statistics.deflated_sharpe, catalog.net_sharpe,
                catalog.net_cagr, sweep_statistics.is_tied_with_leader, low.value, high.value,
                v_leaderboard_all.spread_trade_edge
            from sweep_statistics
            inner join catalog using (run_id)
            inner join v_leaderboard_all using (run_id)
            inner join run_params as low
                on catalog.run_id = low.run_id and low.param = 'state_mapping.thresholds.low'
            inner join run_params as high
                on catalog.run_id = high.run_id and high.param = 'state_mapping.thresholds.high'
            order by sweep_statistics.deflated_sharpe desc nulls last, catalog.run_id
        """).fetchall()
    assert len(rows) == len(wanted) == 4
    for place, (row, expected) in enumerate(zip(rows, wanted, strict=True), 1):
        run_id, deflated, sharpe, cagr, is_tied, low, high, edge = expected
        assert row["place"] == str(place)
        assert len(row["run"]) >= 6
        assert run_id.rpartition("-")[2].startswith(row["run"])
        assert (row["deflated"], row["Sharpe"]) == (p_value(deflated), number(sharpe))
        assert row["CAGR"] == percent(cagr)
        assert row["tied"] == {None: "—", True: "yes", False: "no"}[is_tied]
        assert (row["low"], row["high"]) == (low, high)
        assert row["trade_edge"].rstrip("*") == percent(edge, 2)


def test_its_page_is_whole(done: Done, of_sweep: tuple[Path, Page]) -> None:
    file, page = of_sweep
    assert {"by_value", "parallel", "pair_1"} <= page.figures.keys()
    plots = [attrs for tag, attrs in page.tags if attrs.get("class") == "plot"]
    assert {attrs["data-spec"] for attrs in plots} == {f"{x}-spec" for x in page.figures}
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for attrs in plots:
        assert {attrs["aria-labelledby"], attrs["aria-describedby"]} <= ids
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "script" and attrs.get("type") != "application/json":
            assert (file.parent / str(attrs["src"])).is_file()
        assert not re.match(r"(https?:)?//", attrs.get("href") or attrs.get("src") or "")
    text = " ".join(page.texts)
    assert sweep_id(done) in text
    assert "4 complete, 3 failed or rejected" in text


def test_a_run_with_a_tear_sheet_is_a_link(done: Done) -> None:
    run = next(iter(sorted(done.runs.glob("grid*-*"))))
    assert msm("report", run.name, place=done.runs.parent).code == 0
    _, page = board(done, "--catalog")
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a" and "href" in attrs]
    assert [x for x in links if not str(x).startswith("#")] == [f"{run.name}/report.html"]
    assert "ratios" in page.figures
    assert len(table(page)) == 4


def test_leaderboards_are_no_strangers_in_the_runs_folder(done: Done) -> None:
    board(done, "--sweep", sweep_id(done))
    rebuilt = msm("catalog", "rebuild", place=done.runs.parent)
    assert rebuilt.code == 0
    assert "Left out" not in rebuilt.out + rebuilt.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "a page shows one run, one sweep, or the catalog"),
        (("--sweep", "grid", "--catalog"), "a page shows one run, one sweep, or the catalog"),
        (("--sweep", "nothing"), "there is no such sweep"),
        (("--sweep", "grid", "--page", "2"), "there is 1 page"),
    ],
)
def test_what_cannot_be_shown(done: Done, words: tuple[str, ...], told: str) -> None:
    shown = msm("report", *words, place=done.runs.parent)
    assert shown.code == 1
    assert told in shown.err
    assert not list(done.runs.glob("*.2.html"))


def test_a_run_that_was_just_deleted_is_not_listed(done: Done, tmp_path: Path) -> None:
    for name in ("runs", "warehouse"):
        shutil.copytree(done.runs.parent / name, tmp_path / name)
    shutil.rmtree(next(iter(sorted((tmp_path / "runs").glob("grid*-*")))))
    rebuilt = msm("catalog", "rebuild", place=tmp_path)
    assert rebuilt.code == 0
    shutil.rmtree(next(iter(sorted((tmp_path / "runs").glob("grid*-*")))))
    assert msm("report", "--catalog", place=tmp_path).code == 0
    assert len(table(Page((tmp_path / "runs" / "leaderboard.html").read_text()))) == 2
