"""What `msm run --null-markets` computes, keeps and leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml
from support.lakes import BASELINE, merged
from support.pipeline import Done, msm, own_caches

from msm_py.errors import Interrupted, MsmError
from msm_py.lake.sample import write_sample_lake
from msm_py.runner import null_markets
from msm_py.runner.executors import Workers
from msm_py.runner.null_markets import MarketEnded, MarketsBegun, MarketsStopped
from msm_py.settings import Places
from msm_py.store import cache, catalog_columns, warehouse, warehouse_tables

# what a record says of the days of a market
DAYS = SimpleNamespace(first_day=date(2024, 1, 1), n_before=31, pool_start=60)


@pytest.fixture(scope="module", autouse=True)
def caches_of_their_own() -> Iterator[None]:
    """What is in a cache, and what is left of it, is looked at here."""
    with own_caches():
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    write_sample_lake(path, n_assets=45, n_days=420, effect=0.006)
    return path


def run(place: Path, lake: Path, *options: str, **changes: Any) -> Done:
    spec = {
        "experiment_id": "planted",
        "features": [{"id": name, "weight": weight} for name, weight in BASELINE.items()],
        "target": {"horizons_days": [1, 5]},
        "backtest": {"walk_forward": False},
        "evaluation": {"bootstrap": {"n_boot": 99}},
    }
    place.mkdir(parents=True, exist_ok=True)
    file = place / "planted.yaml"
    file.write_text(yaml.safe_dump(merged(spec, changes)))
    return msm("run", str(file), "--lake", str(lake), *options, place=place)


@pytest.fixture(scope="module")
def done(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    found = run(tmp_path_factory.mktemp("null"), lake, "--null-markets", "2", "--jobs", "1")
    assert found.code == 0, found.err
    return found


def record_file(done: Done) -> Path:
    (file,) = (done.runs / ".null_markets").iterdir()
    return file


def record_of(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record_file(done).read_text())
    assert record_file(done).stem == found["run_id"] == done.folder("planted").name
    return found


def query(done: Done, sql: str) -> list[Any]:
    with duckdb.connect(done.warehouse, read_only=True) as con:
        return con.sql(sql).fetchall()


def test_every_null_market_is_computed_and_shown(done: Done) -> None:
    record = record_of(done)
    assert [market["number"] for market in record["markets"]] == [1, 2]
    assert {market["status"] for market in record["markets"]} == {"complete"}
    one, other = (market["figures"] for market in record["markets"])
    assert one != other
    own = null_markets.figures(done.folder("planted"))
    names: list[tuple[str, int | None]]
    names = [("spread", 1), ("spread", 5), ("edge_best", 1), ("edge_best", 5)]
    names += [("net_sharpe", None), ("net_sharpe_over_ungated", None)]
    for found in (one, other, own, record["summary"]):
        assert [(row["statistic"], row["horizon_days"]) for row in found] == names
    assert record["summary"] == null_markets.judge(own, record["markets"])
    assert all(row["n_markets"] + row["n_missing"] == 2 for row in record["summary"])
    run_id = record["run_id"]
    assert f"Null markets of {run_id}: 2, 2 to compute, about " in done.out
    assert (
        "With 2 of them a p is 0.333 at least: below 19 null markets none can reach 5%."
        in " ".join(done.out.split())
    )


def test_figures_of_a_run_are_those_of_its_warehouse(done: Done) -> None:
    figures = null_markets.figures(done.folder("planted"))
    for row in figures[:4]:
        where = f"edge = '{row['statistic']}' and horizon_days = {row['horizon_days']}"
        (found,) = query(done, f"select trade_edge, evidence from edges where {where}")
        assert row["value"] == (None if found[1] == "none" else found[0])
    (found,) = query(done, "select net_sharpe, net_sharpe - ungated_net_sharpe from catalog")
    assert [row["value"] for row in figures[4:]] == list(found)


def test_record_and_warehouse_agree(done: Done) -> None:
    record = record_of(done)
    names = warehouse_tables.ALL_TABLES["null_market_summary"].names[len(catalog_columns.RUN) : -1]
    rows = query(done, f"select {', '.join(names)} from null_market_summary")
    own = [{"n_failed": 0, **row} for row in record["summary"]]
    assert sorted(rows, key=repr) == sorted((tuple(x[n] for n in names) for x in own), key=repr)
    found = query(done, "select number, statistic, horizon_days, value from null_markets")
    expected = [
        (market["number"], *(row[name] for name in ("statistic", "horizon_days", "value")))
        for market in record["markets"]
        for row in market["figures"]
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_null_markets_are_in_no_catalog_and_leave_nothing_behind(done: Done) -> None:
    own = [(record_of(done)["run_id"],)]
    for table in ("catalog", "v_leaderboard"):
        assert query(done, f"select run_id from {table}") == own
    assert query(done, "select count(*) from sweeps") == [(0,)]
    left = sorted(x.name for x in done.runs.iterdir())
    assert left == [".lakes", ".null_markets", ".pages", own[0][0]]
    target = {x.name for x in (done.runs.parent / "target").iterdir()}
    assert target == {"cache", "partial_parse.msgpack"}
    # of the run itself: each market is a lake that nobody asks of again
    assert len(list((done.runs.parent / "target" / "cache").iterdir())) == len(cache.STAGES)


@pytest.fixture
def with_one(done: Done, tmp_path: Path) -> Done:
    """Return the run with the second of its null markets alone."""
    shutil.copytree(done.runs, tmp_path / "runs")
    found = Done(0, "", "", tmp_path / "runs", tmp_path / "warehouse" / "msm.duckdb")
    record = record_of(found)
    del record["markets"][0]
    record_file(found).write_text(json.dumps(record))
    return found


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_the_same_again_goes_on_and_says_the_same(
    jobs: str, done: Done, with_one: Done, lake: Path
) -> None:
    place = with_one.runs.parent
    found = run(place, lake, "--null-markets", "2", "--jobs", jobs)
    assert found.code == 0, found.err
    assert ": 2, 1 to compute, about " in found.out
    assert record_file(with_one).read_bytes() == record_file(done).read_bytes()
    report = done.out[done.out.index("Null markets ─") : done.out.index("tear sheet: ")]
    assert report in found.out
    assert msm("show", "planted", place=place).out.endswith(report)
    told: list[Any] = []  # more than are asked for stay, and nothing is computed
    compute(Places(lake, with_one.runs, with_one.warehouse), told, n_markets=1)
    assert [(x.n_markets, x.n_waiting) for x in told] == [(1, 0)]
    assert record_file(with_one).read_bytes() == record_file(done).read_bytes()


@pytest.fixture
def places(done: Done, lake: Path, tmp_path: Path) -> Places:
    """Return places with the run, and no null markets."""
    shutil.copytree(done.folder("planted"), tmp_path / "runs" / done.folder("planted").name)
    return Places(lake, tmp_path / "runs", tmp_path / "warehouse" / "msm.duckdb")


def compute(places: Places, told: list[Any], *, n_markets: int = 3) -> dict[str, Any]:
    """Compute null markets as `msm run --null-markets` does, in this process."""
    (run_id,) = (x.name for x in places.runs.iterdir() if x.name.startswith("planted"))
    return null_markets.compute(run_id, n_markets, places, lambda: Workers(1), told.append)


def test_failures_are_counted_and_tried_again(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MsmError("no basket", where="null")

    monkeypatch.setattr(null_markets, "_read_market", lambda *_: DAYS)
    monkeypatch.setattr(null_markets, "compute_market", fail)
    told: list[Any] = []
    record = compute(places, told)
    assert [(x.n_done, x.n_failed) for x in told if isinstance(x, MarketEnded)] == [
        *((1, 1), (2, 2)),
        (3, 3),
    ]
    assert [x["status"] for x in record["markets"]] == ["failed"] * 3
    assert {x["p_value"] for x in record["summary"]} == {None}
    error = null_markets.failure(record)
    assert error is not None
    assert "none of the null markets could be computed" in str(error)
    assert "no basket" in str(error)
    assert warehouse.publish(places.runs, places.warehouse)["null_market_summary"] == 6
    told.clear()
    compute(places, told)
    (begun,) = (x for x in told if isinstance(x, MarketsBegun))
    assert (begun.n_markets, begun.n_waiting) == (3, 3)


def test_what_was_computed_before_an_interrupt_is_kept(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_is_interrupted(_: object, __: object, specs: Any, ___: object) -> None:
        if specs[0].run_id == "null_2":
            raise Interrupted
        raise MsmError("no basket", where="null")

    monkeypatch.setattr(null_markets, "_read_market", lambda *_: DAYS)
    monkeypatch.setattr(null_markets, "compute_market", second_is_interrupted)
    told: list[Any] = []
    with pytest.raises(Interrupted):
        compute(places, told)
    assert told[-1] == MarketsStopped(1, 3)
    (file,) = (places.runs / ".null_markets").iterdir()
    assert [x["number"] for x in json.loads(file.read_text())["markets"]] == [1]


def test_the_record_goes_with_its_run(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = places.runs / ".null_markets" / "gone-0123456789.json"
    gone.parent.mkdir()
    gone.write_text("{}")
    assert warehouse.alarms(places.runs) == []
    monkeypatch.setattr(null_markets, "_read_market", lambda *_: DAYS)
    monkeypatch.setattr(null_markets, "compute_market", lambda *_: 1 / 0)
    compute(places, [])
    assert not gone.exists()


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        (
            ("--null-markets", "2"),
            {"state_mapping": {"placebo_rotation_days": 30}},
            "a placebo has no null markets",
        ),
        (("--jobs", "2"), {}, "only null markets are computed side by side"),
        (("--null-markets", "2", "--ray-address", "auto"), {}, "a Ray cluster is given, but not"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(
    options: tuple[str, ...], changes: dict[str, Any], message: str, lake: Path, tmp_path: Path
) -> None:
    refused = run(tmp_path, lake, *options, **changes)
    assert refused.code == 1
    assert message in refused.err
    assert not (tmp_path / "runs").exists()
