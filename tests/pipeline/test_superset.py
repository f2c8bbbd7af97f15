"""The dashboard in Superset and a browser: the catalog's numbers, and a run that was just made."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.lakes import tiny_lake
from support.pipeline import ROOT, Done, run_experiments
from support.specs import spec_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEMO = ROOT / "docs" / "examples" / "superset" / "demo.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(
        not (ROOT / ".venv-superset" / "installed").exists(),
        reason="there is no .venv-superset: `make test-all` makes it",
    ),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=1)


@pytest.fixture(scope="module")
def done(lake: Path) -> Done:
    found = run_experiments(
        [spec_of("first", {}), spec_of("second", {"backtest": {"costs": {"taker_fee_bps": 5}}})],
        lake,
        lake.parent,
    )
    assert found.code == 0, found.err
    return found


@pytest.fixture(scope="module")
def page(done: Done) -> Iterator[Any]:
    """A browser that has opened the dashboard."""
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = demo
    spec.loader.exec_module(demo)
    home = done.runs.parent / "superset"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with demo.running(home, port) as address, playwright.sync_playwright() as browsers:
        bundle = home / "bundle.zip"
        demo.write_bundle(bundle, done.warehouse)
        demo.import_dashboard(address, demo.password_of(home), bundle)
        browser = browsers.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport={"width": 1400, "height": 4000})
        opened.set_default_timeout(WAIT_MS)
        elsewhere: list[str] = []
        opened.on("requestfinished", lambda x: elsewhere.append(x.url))
        opened.goto(f"{address}/login/")
        opened.fill("#username", demo.USER)
        opened.fill("#password", demo.password_of(home))
        opened.keyboard.press("Enter")
        opened.wait_for_url("**/superset/welcome/**")
        opened.goto(f"{address}/superset/dashboard/{demo.SLUG}/")
        yield opened
        assert [x for x in elsewhere if not x.startswith((address, "data:", "blob:"))] == []
        browser.close()


def rows_of(page: Any, chart: str) -> list[list[str]]:
    """Return the texts of a table of the dashboard."""
    place = page.locator(".dashboard-component-chart-holder", has_text=chart)
    place.locator("tbody tr").first.wait_for()
    return [row.locator("td").all_inner_texts() for row in place.locator("tbody tr").all()]


def test_the_dashboard_shows_the_numbers_of_the_catalog(page: Any, done: Done) -> None:
    with duckdb.connect(done.warehouse, read_only=True) as con:
        wanted = con.sql("""
            select place, title, deflated_sharpe, net_sharpe, net_cagr, spread_trade_edge, run_id
            from v_leaderboard order by place
        """).fetchall()
        members = con.sql("select count(*) from v_basket_now where experiment_id = 'first'")
        n_members = members.fetchall()[0][0]
    found = rows_of(page, "Leaderboard")
    assert len(found) == len(wanted) == 2
    for cells, (place, title, deflated, sharpe, cagr, edge, run_id) in zip(
        found, wanted, strict=True
    ):
        assert cells[:2] == [str(place), title]
        assert cells[2:4] == [_shown(deflated, ".3f"), _shown(sharpe, ".2f")]
        assert cells[6] == _shown(cagr, ".1%")
        assert cells[8] == _shown(edge, "+.2%")
        assert cells[13] == run_id
    assert len(rows_of(page, "State at the last close")) == 2
    assert len(rows_of(page, "The short basket now")) == n_members
    assert page.locator(".dashboard-component-chart-holder canvas").count() >= 6
    assert page.get_by_text("Error", exact=False).count() == 0


def _shown(value: float | None, form: str) -> str:
    return "N/A" if value is None else format(value, form)


def test_a_run_appears_once_it_is_published(page: Any, done: Done, lake: Path) -> None:
    again = run_experiments(
        [spec_of("third", {"backtest": {"costs": {"taker_fee_bps": 9}}})], lake, lake.parent
    )
    assert again.code == 0, again.err
    page.reload()
    place = page.locator(".dashboard-component-chart-holder", has_text="Leaderboard")
    place.locator("tbody tr").nth(2).wait_for()
    with duckdb.connect(done.warehouse, read_only=True) as con:
        ids = [row[0] for row in con.sql("select run_id from v_leaderboard").fetchall()]
    assert sorted(row[13] for row in rows_of(page, "Leaderboard")) == sorted(ids)
    assert len(ids) == 3
