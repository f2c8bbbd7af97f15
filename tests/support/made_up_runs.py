"""Run folders that no run has written, the warehouse made of them, and whether it is sound."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from support.lakes import tiny_spec

from msm_py._typing import Row
from msm_py.store import (
    layout,
    parquet_tables,
    run_folder,
    scratch,
    warehouse,
    warehouse_tables,
)
from msm_py.store.shared_files import PanelFiles, RowsByKey

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(4)]


# --- A made-up run -------------------------------------------------------------------------------


def doubles(names: tuple[str, ...], value: float = 0.5) -> dict[str, list[float]]:
    return {name: [value] * len(DAYS) for name in names}


def panel_rows(key: str = "p", weight: float = 1.0) -> tuple[RowsByKey, RowsByKey, RowsByKey]:
    """Return baskets, features and eligibility of one panel."""
    baskets = {
        "panel_id": [key] * len(DAYS),
        "date": DAYS,
        "asset_id": ["AAA"] * len(DAYS),
        "rank": pa.array([1] * len(DAYS), pa.int32()),
        **doubles(("marketcap_usd", "weight"), weight),
    }
    features = {
        "panel_id": [key] * len(DAYS),
        "date": DAYS,
        "feature_id": ["momentum"] * len(DAYS),
        **doubles(("raw_value", "z_score"), weight),
    }
    eligibility = {
        "panel_id": [key],
        "asset_id": ["AAA"],
        "reason": ["eligible"],
        "n_days": pa.array([len(DAYS)], pa.int32()),
        "first_date": DAYS[:1],
        "last_date": DAYS[-1:],
    }
    return (
        RowsByKey(pa.table(baskets), "panel_id", ["date"]),
        RowsByKey(pa.table(features), "panel_id", ["date"]),
        RowsByKey(pa.table(eligibility), "panel_id", ["asset_id"]),
    )


def panel_files(scratch: Path, *, weight: float = 1.0) -> dict[str, tuple[PanelFiles, str]]:
    scratch.mkdir(parents=True, exist_ok=True)
    baskets, features, eligibility = panel_rows(weight=weight)
    return {
        layout.BASKET: (PanelFiles("b", baskets, layout.BASKET_COLUMNS, scratch), "p"),
        layout.FEATURES: (PanelFiles("f", features, layout.FEATURES_COLUMNS, scratch), "p"),
        layout.ELIGIBILITY: (
            PanelFiles("e", eligibility, layout.ELIGIBILITY_COLUMNS, scratch),
            "p",
        ),
    }


def run_files(
    run_id: str,
    panels: dict[str, tuple[PanelFiles, str]],
    sharpe: float = 1.0,
    *,
    day: int = 1,
    entry: Row | None = None,
    spec: Row | None = None,
) -> dict[str, Any]:
    """Return what stands in the other files of a small run, made on a day of May 2024."""
    timeseries = {
        "date": DAYS,
        **doubles(("score", "feature_coverage")),
        "regime": ["BALANCED"] * len(DAYS),
        "regime_age_days": pa.array(range(len(DAYS)), pa.int32()),
    }
    returns = {
        "date": DAYS,
        **doubles(tuple(x for x in layout.RETURNS_COLUMNS[1:-1] if x != "held_regime")),
        "held_regime": [None, None, "BALANCED", "BALANCED"],
        "is_test_day": [True] * len(DAYS),
    }
    attribution = {
        "leg": ["long", "short", "short"],
        "asset_id": ["BTC", "AAA", "AAA"],
        "regime": ["BALANCED", "BALANCED", None],
        "n_days": pa.array([2, 2, 0], pa.int32()),
        **{name: [0.5, 0.25, 0.125] for name in layout.ATTRIBUTION_COLUMNS[4:]},
    }
    state_paths = {
        "regime": ["BALANCED"] * 2,
        "day_number": pa.array([0, 1], pa.int32()),
        "n_entries": pa.array([1, 1], pa.int32()),
        "mean": [0.0, 0.5],
        "ci_low": pa.nulls(2, pa.float64()),
        "ci_high": pa.nulls(2, pa.float64()),
    }
    finding = {
        **{"check_name": "price_spike", "severity": "warn", "subject": "AAA", "place": 1},
        **{"first_day": DAYS[1], "last_day": DAYS[1], "n_days": 1},
        **{"value": 2.5, "limit_value": 2.0, "detail": None},
    }
    stability = {"n_days": 4, "n_spells": 1, "total_switches": 0, "switches_per_year": 0.0}
    shares = {"regime": "BALANCED", "n_days": 4, "n_spells": 1, "pct": 100.0}
    return {
        layout.MANIFEST: {
            "run_id": run_id,
            "spec": {**tiny_spec(), "experiment_id": run_id.rpartition("-")[0], **(spec or {})},
            "finished_at": f"2024-05-{day:02}T12:00:00.000+00:00",
            "git_commit": None,
            "git_dirty": None,
            "duration_seconds": 1.5,
        },
        layout.METRICS: {
            "stability": {
                **stability,
                "avg_regime_duration_days": 4.0,
                "regime_distribution": [shares],
                "regime_transitions": [],
            },
            "warnings": ["Made up."],
        },
        layout.REGIME_EVALUATION: {
            "regime_statistics": [{"horizon_days": 1, "regime": "BALANCED", "n": 4}],
            "edges": [{"horizon_days": 1, "edge": "spread", "estimate": None}],
        },
        layout.REGIME_METRICS: "regime,position_scale,n_days,total_net\nBALANCED,0.0,4,\n",
        layout.REGIME_TIMESERIES: pa.table(timeseries),
        layout.RETURNS: pa.table(returns),
        layout.ATTRIBUTION: pa.table(attribution),
        layout.STATE_PATHS: pa.table(state_paths),
        layout.QUALITY: {"checks": {}, "findings": [finding]},
        layout.CATALOG_ENTRY: {
            "title": "Made up",
            "net_sharpe": sharpe,
            "n_boot": 999,
            "n_days": 4,
            "first_date": DAYS[0],
            "last_date": DAYS[-1],
            "basket_panel": panels[layout.BASKET][0].content_id("p"),
            "feature_panel": panels[layout.FEATURES][0].content_id("p"),
            "eligibility_panel": panels[layout.ELIGIBILITY][0].content_id("p"),
            **(entry or {}),
        },
    }


def write_made_up_run(
    runs: Path,
    run_id: str,
    *,
    sharpe: float = 1.0,
    weight: float = 1.0,
    replace: bool = False,
    **says: Any,
) -> bool:
    panels = panel_files(runs.parent / "scratch" / run_id, weight=weight)
    runs.mkdir(parents=True, exist_ok=True)
    with scratch.folder(runs) as own:
        files = run_files(run_id, panels, sharpe, **says)
        return run_folder.write_run(run_id, own, files, panels, replace=replace)


OWN_FILES = ("msm.duckdb", "msm.duckdb.lock", "msm.duckdb.stamp")
ALL_FILES = sorted(
    (
        layout.MANIFEST,
        layout.METRICS,
        layout.REGIME_EVALUATION,
        layout.REGIME_METRICS,
        layout.REGIME_TIMESERIES,
        layout.RETURNS,
        layout.ATTRIBUTION,
        layout.STATE_PATHS,
        layout.QUALITY,
        layout.BASKET,
        layout.FEATURES,
        layout.ELIGIBILITY,
        layout.CATALOG_ENTRY,
    )
)


def names(folder: Path) -> list[str]:
    """Return everything in a folder, hidden or not."""
    return sorted(entry.name for entry in folder.iterdir())


def full_disk(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# what DuckDB 1.x can open: the version number in the file's header
V1_STORAGE = 64


def storage_version(file: Path) -> int:
    header = file.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    return int.from_bytes(header[12:20], "little")


def published(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(file, read_only=True) as con:
        return con.execute(query).fetchall()


def catalog(file: Path) -> list[tuple[Any, ...]]:
    return published(file, "select run_id, net_sharpe from catalog order by run_id")


def publish(place: Path) -> dict[str, int]:
    return warehouse.publish(place / "runs", place / "wh" / "msm.duckdb")


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def assert_sound(place: Path, expected: list[tuple[Any, ...]]) -> None:
    file = place / "wh" / "msm.duckdb"
    assert catalog(file) == expected
    assert storage_version(file) == V1_STORAGE
    assert names(place / "wh") == sorted(["msm", *OWN_FILES])
    tables = place / "wh" / "msm"
    assert names(tables) == sorted([*parquet_tables.IN_PARTS, *WHOLE_FILES])
    for table in warehouse_tables.ALL_TABLES:
        beside = parquet(tables, table)
        assert published(file, f"select count(*) from {table}") == [(beside.num_rows,)]
        assert beside.column_names == warehouse_tables.ALL_TABLES[table].names


WHOLE_FILES = tuple(f"{table}.parquet" for table in parquet_tables.WHOLE)


def parquet(folder: Path, table: str) -> pa.Table:
    """Return what lies beside a warehouse of one of its tables."""
    in_parts = table in parquet_tables.IN_PARTS
    return pq.read_table(folder / (table if in_parts else f"{table}.parquet"))


def everything_published(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a warehouse, sorted, and those of the Parquet beside it."""
    found = {}
    for table in warehouse_tables.ALL_TABLES:
        rows = published(place / "wh" / "msm.duckdb", f"select * from {table}")
        beside = parquet(place / "wh" / "msm", table).to_pylist()
        assert sorted(map(repr, rows)) == sorted(repr(tuple(x.values())) for x in beside)
        found[table] = sorted(rows, key=repr)
    return found


def contents_as_rebuilt(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what `everything_published` would after making the warehouse anew, elsewhere."""
    again = place / "again"
    shutil.rmtree(again, ignore_errors=True)
    warehouse.publish(place / "runs", again / "wh" / "msm.duckdb", anew=True)
    return everything_published(again)
