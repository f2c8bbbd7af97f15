"""Which run is the latest of its kind, in every table; queries of the docs that go by it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.made_up_runs import publish, published, write_made_up_run
from support.pipeline import ROOT

from msm_py.store.warehouse_tables import ALL_TABLES, OF_RUNS, RUN_TABLES

OLD, NEW, OTHER = "msm_v1_baseline-0000000001", "msm_v1_baseline-0000000002", "a-0000000003"


def latest(place: Path, query: str = "select run_id from catalog where is_latest") -> list[str]:
    return sorted(row[0] for row in published(place / "wh" / "msm.duckdb", query))


def test_the_newest_run_is_the_latest_and_steps_back_when_it_is_gone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_made_up_run(runs, OLD, day=1)
    write_made_up_run(runs, OTHER, day=1)
    publish(tmp_path)
    assert latest(tmp_path) == [OTHER, OLD]

    write_made_up_run(runs, NEW, day=2)
    publish(tmp_path)
    assert latest(tmp_path) == [OTHER, NEW]
    for table in RUN_TABLES.keys() & OF_RUNS:
        found = published(
            tmp_path / "wh" / "msm.duckdb",
            f"select distinct run_id, experiment_id, is_latest from {table} order by 1",
        )
        if found:
            assert found == [
                (OTHER, "a", True),
                (OLD, "msm_v1_baseline", False),
                (NEW, "msm_v1_baseline", True),
            ], table

    for file in (runs / NEW).iterdir():
        file.unlink()
    (runs / NEW).rmdir()
    publish(tmp_path)
    assert latest(tmp_path) == [OTHER, OLD]
    assert latest(tmp_path, "select distinct run_id from daily where is_latest") == [OTHER, OLD]


@pytest.mark.parametrize(
    "apart",
    [
        {"spec": {"window": {"start": "2024-01-01", "end": None}}},
        {"spec": {"window": {"start": None, "end": "2024-01-04"}}},
        {"entry": {"lake_name": "another"}},
        {"entry": {"is_look": True}},
        {"entry": {"is_placebo": True}},
    ],
)
def test_what_asks_something_else_replaces_nothing(tmp_path: Path, apart: dict[str, Any]) -> None:
    write_made_up_run(tmp_path / "runs", OLD, day=1)
    write_made_up_run(tmp_path / "runs", NEW, day=2, **apart)
    publish(tmp_path)
    assert latest(tmp_path) == [OLD, NEW]


def test_an_open_window_that_grew_with_the_lake_is_the_same_window(tmp_path: Path) -> None:
    write_made_up_run(tmp_path / "runs", OLD, day=1)
    write_made_up_run(tmp_path / "runs", NEW, day=2, entry={"last_date": date(2024, 1, 5)})
    publish(tmp_path)
    assert latest(tmp_path) == [NEW]


def test_views_show_the_newest_and_those_of_all_show_all(tmp_path: Path) -> None:
    for place, run_id in enumerate((OLD, NEW, OTHER), start=1):
        write_made_up_run(tmp_path / "runs", run_id, day=place, sharpe=float(-place))
    window = {"start": "2024-01-01", "end": None}
    write_made_up_run(tmp_path / "runs", "a-0000000004", day=1, spec={"window": window})
    publish(tmp_path)
    file = tmp_path / "wh" / "msm.duckdb"

    board = published(file, "select place, run_id from v_leaderboard order by 1")
    assert board == [(1, "a-0000000004"), (2, NEW), (3, OTHER)]
    assert len(published(file, "select run_id from v_leaderboard_all")) == 4
    assert latest(tmp_path, "select run_id from v_latest_state") == [OTHER, NEW]
    assert len(published(file, "select run_id from v_latest_state_all")) == 4


def test_a_table_of_records_knows_the_runs_too() -> None:
    names = ("run_id", "experiment_id", "title", "is_latest")
    assert all(set(names) <= set(ALL_TABLES[table].names) for table in OF_RUNS)


RECIPES = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "bi.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def once_and_twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two warehouses: in the second one, experiments were run again with other data and code."""
    places = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("twice")
    for place in places:
        for name in ("msm_v1_baseline", "msm_v1_trade_signs"):
            for day in (2,) if place == places[0] else (1, 2):
                run_id = f"{name}-000000000{day}"
                write_made_up_run(place / "runs", run_id, day=day, weight=1.0 / day)
        publish(place)
    return places


@pytest.mark.parametrize("query", RECIPES)
def test_a_query_of_the_docs_gives_no_row_twice(
    once_and_twice: tuple[Path, Path], query: str
) -> None:
    once, twice = (published(place / "wh" / "msm.duckdb", query) for place in once_and_twice)
    assert twice == once
    assert len(set(twice)) == len(twice)


def test_the_docs_have_queries() -> None:
    assert len(RECIPES) >= 9
    assert not any("like" in query for query in RECIPES)
    assert duckdb.extract_statements(";".join(RECIPES))
