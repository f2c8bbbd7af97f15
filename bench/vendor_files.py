"""Many invented CSV files of prices, market caps and volumes, an asset a file: for `bench.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FIRST = "2024-01-01"
PANDAS = """
import sys
from pathlib import Path
import pandas as pd

raw, out = Path(sys.argv[1]), Path(sys.argv[2])
rows = pd.concat(pd.read_csv(file) for file in sorted(raw.glob("*.csv")))
rows["date"] = pd.to_datetime(rows["date"]).dt.date
out.mkdir(parents=True)
for table, column in (("price", "close"), ("marketcap", "marketcap"), ("volume", "volume")):
    one = rows[["asset_id", "date", column]].sort_values(["asset_id", "date"])
    one.to_parquet(out / f"fact_{table}.parquet", index=False)
"""
"""The least that makes a lake of them: no checks, no history, all rows in memory."""


def write_files(raw: Path, n_assets: int, n_days: int) -> int:
    """Write a file per asset and return the number of rows."""
    raw.mkdir(parents=True)
    dates = pd.date_range(FIRST, periods=n_days).strftime("%Y-%m-%d")
    for i in range(n_assets):
        asset = ("BTC", "ETH")[i] if i < 2 else f"C{i:04}"
        rng = np.random.default_rng([0, i])
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.03, n_days)))
        rows = pd.DataFrame({"asset_id": asset, "date": dates, "close": close})
        rows["marketcap"] = close * (1e9 if i < 2 else 1e7)
        rows["volume"] = 1e7 * rng.uniform(0.5, 2, n_days)
        rows.to_csv(raw / f"{asset}.csv", index=False)
    return n_assets * n_days


def write_day(raw: Path, n_assets: int, after: int) -> int:
    """Write one file with the day after the others of some of the assets; return its rows."""
    files = sorted(raw.glob("*.csv"))[:n_assets]
    day = str((pd.Timestamp(FIRST) + pd.Timedelta(days=after)).date())
    lasts = [file.read_text().splitlines()[-1].split(",") for file in files]
    rows = [",".join([asset, day, *numbers]) for asset, _, *numbers in lasts]
    text = "asset_id,date,close,marketcap,volume\n" + "\n".join(rows) + "\n"
    (raw / "of-one-day.csv").write_text(text)
    return len(rows)
