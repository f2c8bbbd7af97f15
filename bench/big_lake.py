"""A generated lake of any size, to measure with: thousands of assets over years, in a few seconds.

    python bench/big_lake.py DIR --assets 5000 --days 3650

It is as irregular as a real one where that costs time: assets are listed late, end, and have gaps;
some market caps start later than their prices; market caps fall off by rank like a power law, so
that a few hundred alts are large enough to trade; a few hundred assets have funding and open
interest, on one to three exchanges. Nothing is planted in it, and the numbers mean nothing.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

START = date(2016, 1, 1)
EXCHANGES = ("Alpha", "Beta", "Gamma")
BLOCK = 250  # assets in memory, and in a row group
DAILY = {"fact_price": "close", "fact_marketcap": "marketcap", "fact_volume": "volume"}
BY_EXCHANGE = {"fact_funding": "funding_rate", "fact_open_interest": "open_interest_usd"}


def write_big_lake(
    directory: Path,
    *,
    n_assets: int = 5_000,
    n_days: int = 3_650,
    n_with_derivatives: int = 400,
    seed: int = 1,
) -> int:
    """Write a lake into a folder, the same bytes for the same arguments.

    Parameters
    ----------
    directory
        The folder, created where absent.
    n_assets
        Number of assets; the first is BTC, the second ETH.
    n_days
        Number of days from ``START`` on.
    n_with_derivatives
        How many assets have funding and open interest, the largest ones.
    seed
        Seed of everything random.

    Returns
    -------
    int
        Rows of the three daily tables and the two by exchange together.
    """
    rng = np.random.default_rng(seed)
    names = ["BTC", "ETH", *(f"A{i:05d}" for i in range(2, n_assets))]
    market = 0.0005 + 0.02 * rng.standard_t(5, n_days)
    mood = np.cumsum(rng.normal(0, 1e-5, n_days))
    directory.mkdir(parents=True, exist_ok=True)
    n_rows = 0
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(pq.ParquetWriter(directory / f"{name}.parquet", schema))
            for name, schema in _schemas().items()
        }
        for first in range(0, n_assets, BLOCK):
            block = range(first, min(first + BLOCK, n_assets))
            close, marketcap, volume = _daily(rng, np.array(block), market)
            tables = {
                name: _rows(names, block, {column: values})
                for (name, column), values in zip(
                    DAILY.items(), (close, marketcap, volume), strict=True
                )
            }
            traded = [i for i in block if i < n_with_derivatives]
            if traded:
                held = marketcap[: len(traded)]
                for name, values in _derivatives(rng, held, mood).items():
                    tables[name] = _rows(names, traded, {BY_EXCHANGE[name]: values})
            for name, table in tables.items():
                writers[name].write_table(table, row_group_size=table.num_rows or None)
                n_rows += table.num_rows
    flags = np.arange(n_assets) % 97
    pq.write_table(
        pa.table(
            {
                "asset_id": names,
                "is_stable": flags == 11,
                "is_wrapped": flags == 23,
                "is_wrapped_stable": flags == 41,
                "is_exchange_token": flags == 59,
            }
        ),
        directory / "dim_asset.parquet",
    )
    (directory / "lake.yaml").write_text(
        "name: big_lake\nmax_stale_days: 3\nfunding:\n  interval_hours: 8\n"
        "  units: [{unit: decimal}]\n",
        encoding="utf-8",
    )
    return n_rows


def _daily(
    rng: np.random.Generator, rank: npt.NDArray[np.int64], market: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return closes, market caps and volumes (assets, days), NaN where there is no row."""
    n, days = rank.size, market.size
    major = (rank < 2)[:, None]
    own = rng.standard_t(5, (n, days)) * np.where(major, 0.008, 0.03)
    log_return = rng.uniform(0.7, 1.3, (n, 1)) * market + own
    # every asset keeps its size over the years, else the small ones outgrow the large
    level = np.cumsum(log_return, axis=1)
    level -= np.linspace(0, 1, days) * level[:, -1:] * 0.9
    growth: Floats = np.exp(level)
    close: Floats = 10 ** rng.uniform(-3, 3, (n, 1)) * growth
    marketcap: Floats = 1e12 * (rank[:, None] + 1.0) ** -1.55 * growth
    volume: Floats = marketcap * np.exp(rng.normal(-3, 0.6, (n, days)))
    there = _listed(rng, rank, days) | major
    known = there & ((np.cumsum(there, axis=1) > rng.integers(-60, 60, (n, 1))) | major)
    close[~there] = np.nan
    marketcap[~known] = np.nan
    volume[~there] = np.nan
    return close, marketcap, volume


def _listed(rng: np.random.Generator, rank: npt.NDArray[np.int64], days: int) -> Bools:
    """Return when assets have rows: a fifth listed late, a tenth ended, short and long gaps."""
    n = rank.size
    kind = rng.random(n)
    first = np.where(kind < 0.2, rng.integers(0, days * 9 // 10, n), 0)
    last = np.where(kind > 0.9, rng.integers(days // 10, days, n), days)
    day = np.arange(days)
    there = (day >= first[:, None]) & (day < last[:, None])
    there &= rng.random((n, days)) > 0.002
    for i in range(0, n, 5):
        at = int(rng.integers(0, days))
        there[i, at : at + int(rng.integers(2, 15))] = False
    return np.asarray(there)


def _derivatives(rng: np.random.Generator, marketcap: Floats, mood: Floats) -> dict[str, Floats]:
    """Return funding and open interest (assets, exchanges, days), NaN where there is no row."""
    n, days = marketcap.shape
    n_exchanges = np.asarray(rng.integers(1, len(EXCHANGES) + 1, size=n))
    on = np.arange(len(EXCHANGES)) < n_exchanges[:, None]
    on[:2] = True
    shape = (n, len(EXCHANGES), days)
    since = np.asarray(rng.integers(0, days // 2, size=n))
    since[:2] = 0
    there = on[:, :, None] & (np.arange(days) >= since[:, None, None])
    funding = 1e-4 + mood + 1e-4 * rng.standard_normal(shape)
    share = rng.uniform(0.005, 0.02, (n, len(EXCHANGES), 1))
    interest = share * marketcap[:, None, :] * np.exp(0.1 * rng.standard_normal(shape))
    funding[~there | (rng.random(shape) < 0.005)] = np.nan
    interest[~there | (rng.random(shape) < 0.01)] = np.nan
    return {"fact_funding": funding, "fact_open_interest": interest}


def _schemas() -> dict[str, pa.Schema]:
    key = {"asset_id": pa.string(), "date": pa.date32()}
    venue = {"instrument_id": pa.string(), "exchange": pa.string()}
    return {
        **{name: pa.schema({**key, column: pa.float64()}) for name, column in DAILY.items()},
        **{
            name: pa.schema({**key, **venue, column: pa.float64()})
            for name, column in BY_EXCHANGE.items()
        },
    }


def _rows(names: list[str], block: range | list[int], column: dict[str, Floats]) -> pa.Table:
    """Return the rows of (assets, days) or (assets, exchanges, days) values that are not NaN."""
    ((name, values),) = column.items()
    asset, *venue, day = np.nonzero(~np.isnan(values))
    origin = (START - date(1970, 1, 1)).days
    columns = {
        "asset_id": _text(asset, [names[i] for i in block]),
        "date": pa.array((origin + day).astype(np.int32)).cast(pa.date32()),
    }
    if venue:
        columns["instrument_id"] = _text(asset, [f"{names[i]}-PERP" for i in block])
        columns["exchange"] = _text(venue[0], list(EXCHANGES))
    return pa.table({**columns, name: values[(asset, *venue, day)]})


def _text(index: npt.NDArray[np.int64], words: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), words).cast(pa.string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--assets", type=int, default=5_000)
    parser.add_argument("--days", type=int, default=3_650)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        write_big_lake(given.directory, n_assets=given.assets, n_days=given.days, seed=given.seed),
        "rows",
    )
