"""dim_listing: aliases by the first day, rows that cannot be used, what the check says."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml
from support.lakes import tiny_lake

from msm_py.lake.check import check_lake
from msm_py.lake.loading import load
from msm_py.lake.opening import open_lake


def with_listings(place: Path, rows: list[dict[str, Any]], **config: Any) -> Path:
    lake = tiny_lake(place / "lake")
    pd.DataFrame(rows).to_parquet(lake / "dim_listing.parquet", index=False)
    given = yaml.safe_load((lake / "lake.yaml").read_text()) | config
    (lake / "lake.yaml").write_text(yaml.safe_dump(given))
    return lake


def row(asset: str, listed: str | None, delisted: str | None = None) -> dict[str, Any]:
    days = [None if x is None else date.fromisoformat(x) for x in (listed, delisted)]
    return {"asset_id": asset, "exchange": "X", "listed": days[0], "delisted": days[1]}


def test_a_listing_is_of_the_asset_of_its_first_day(tmp_path: Path) -> None:
    aliases = [
        {"id": "1000A01", "asset_id": "A01", "multiple": 1000},
        {"id": "OLD", "asset_id": "A02", "until": "2024-03-01"},
    ]
    rows = [
        row("1000A01", "2024-01-01"),
        row("OLD", "2024-02-01", "2024-03-05"),
        row("OLD", "2024-03-02"),
        row("A03", None),
    ]
    lake = with_listings(tmp_path, rows, aliases=aliases)
    con = duckdb.connect()
    load(con, open_lake(lake))
    found = con.execute(
        "select asset_id, instrument_id, listed::varchar, unusable from lake.dim_listing order by 1"
    ).fetchall()
    assert found == [
        ("A01", "1000A01", "2024-01-01", None),
        ("A02", "OLD", "2024-02-01", None),
        ("A03", None, None, "missing key"),
        ("OLD", None, "2024-03-02", None),
    ]


def test_the_check_names_perpetuals_that_end_before_they_begin(tmp_path: Path) -> None:
    lake = with_listings(
        tmp_path, [row("A01", "2024-01-02", "2024-01-02"), row("A02", "2024-01-01")]
    )
    items = {(x.table, x.check): x for x in check_lake(open_lake(lake)).items}
    assert items["dim_listing", "listings"].verdict == "warn"
    assert "such as A01 on X, 2024-01-02 to 2024-01-02" in items["dim_listing", "listings"].detail
    assert items["dim_listing", "exchanges"].detail == "X 2 assets"
    assert items["dim_listing", "duplicates"].verdict == "ok"
