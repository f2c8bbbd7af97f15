"""Views that answer the usual questions, on made-up runs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.made_up_runs import DAYS, publish, published, write_made_up_run

from msm_py.store import layout
from msm_py.store.warehouse_views import VIEWS

OLD, NEW, PLACEBO = "a-0000000001", "a-0000000002", "a-0000000003"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("views")
    write_made_up_run(place / "runs", OLD, day=1)
    old = place / "runs" / OLD  # as an older version left it
    (old / layout.ATTRIBUTION).unlink()
    (old / layout.STATE_PATHS).unlink()
    (old / layout.QUALITY).unlink()
    manifest = json.loads((old / layout.MANIFEST).read_bytes())
    del manifest["files"]
    (old / layout.MANIFEST).write_text(json.dumps(manifest))
    write_made_up_run(place / "runs", NEW, day=2)
    write_made_up_run(place / "runs", PLACEBO, day=3, entry={"is_placebo": True})
    publish(place)
    return place / "wh" / "msm.duckdb"


@pytest.mark.parametrize("name", [name for name in VIEWS if not name.endswith("_all")])
def test_newest_runs_and_all_runs_without_placebos(file: Path, name: str) -> None:
    assert published(file, f"select distinct run_id from {name}") == [(NEW,)]
    runs = [(NEW,)] if name == "v_attribution" else [(OLD,), (NEW,)]
    assert published(file, f"select distinct run_id from {name}_all order by 1") == runs


def test_equity(file: Path) -> None:
    """Every return of the made-up runs is 0.5."""
    assert published(
        file, "select date, equity_net, equity_ungated, equity_btc from v_equity order by 1"
    ) == [(day, 0.5, pytest.approx(1.5**n), pytest.approx(1.5**n)) for n, day in enumerate(DAYS, 1)]


def test_monthly_returns(file: Path) -> None:
    query = "select month, n_days, net_return, ungated_return, btc_return from v_monthly_returns"
    assert published(file, query) == [(date(2024, 1, 1), 4, *[1.5**4 - 1] * 3)]


def test_state_returns(file: Path) -> None:
    query = "select regime, state_order, n_days, pct, n_held_days, total_net from v_state_returns"
    assert published(file, query) == [("BALANCED", 3, 4, 100.0, 4, None)]


def test_basket_now(file: Path) -> None:
    query = "select date, asset_id, rank, weight, regime, position_scale from v_basket_now"
    assert published(file, query) == [(DAYS[-1], "AAA", 1, 1.0, "BALANCED", 0.0)]


def test_attribution(file: Path) -> None:
    query = "select leg, asset_id, n_days, gross, net, place from v_attribution order by place"
    assert published(file, query) == [
        ("long", "BTC", 2, 0.5, 0.5, 1),
        ("short", "AAA", 2, 0.375, 0.375, 2),
    ]
    assert published(
        file, f"select regime, state_order, net from attribution where run_id = '{NEW}' order by 3"
    ) == [(None, None, 0.125), ("BALANCED", 3, 0.25), ("BALANCED", 3, 0.5)]
    paths = f"select day_number, mean from state_paths where run_id = '{NEW}' order by 1"
    assert published(file, paths) == [(0, 0.0), (1, 0.5)]


def test_what_checks_of_the_data_found(file: Path) -> None:
    """The run that has no quality.json is of an older version, and is there all the same."""
    query = "select run_id, check_name, subject, first_day, value, is_latest from run_quality"
    found = [("price_spike", "AAA", DAYS[1], 2.5)]
    assert published(file, f"{query} where run_id = '{NEW}'") == [(NEW, *found[0], True)]
    assert published(file, f"{query} where run_id = '{OLD}'") == []
