"""Null markets: lakes in which a run's states tell nothing, drawn from the days of a real one.

A null market has the assets, listing days and days of a lake, but what happens on its day ``t`` is
what happened on another day of the lake, to all assets and in all tables at once. Days are drawn in
circular blocks, so that volatility clusters, funding and volumes last, and features follow past
returns as they do. Levels (close, market cap, volume, open interest) are chained from those of the
first day.

What is drawn of a day: the log changes of closes, market caps and open interest, volumes relative
to the median of their 30 days before, funding rates. Blocks alone would keep what a state says
about the days after it within its block, which of an edge that lasts a few days is nearly all.
So what the run's states foretell of a day (`foretold_returns`) is taken out of the returns of all
alts first, as bootstraps of predictive regressions impose their null [1]_. So is what each alt
gained more, or less, than the basket over all days (`own_drifts`): who happened to gain would gain
in every null market, rise into the basket and go on gaining there.

An asset that was not yet listed, or no longer, on a drawn day moves as the basket of that day did:
by the mean of the largest alts. Left without a value its level would stand still and it would drop
out of the market for the block, so that market caps and volumes of all alts would jump at its ends;
with the median of alts it would fall, because returns are skewed. A true gap stays a gap.

References
----------
.. [1] Kilian, L. (1999). Exchange rates and monetary fundamentals: what do we learn from
   long-horizon regressions? Journal of Applied Econometrics 14(5).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msm_py._typing import Bools, Floats, Ints
from msm_py.lake.lake_yaml import LAKE_YAML, LakeSettings
from msm_py.stats.blocks import FEWEST_BLOCKS

BLOCK_DAYS: Final = 20
VOLUME_DAYS: Final = 30
OPEN_INTEREST_STALE_DAYS: Final = 7
EPOCH: Final = date(1970, 1, 1)
Keys = tuple[tuple[str | None, ...], ...]

# table of the lake, model that cleans it, columns of the key, the number in the model and the lake
_STAGED: Final = {
    "fact_price": ("stg_prices", 1, "close", "close"),
    "fact_marketcap": ("asset_marketcaps", 1, "marketcap_usd", "marketcap"),
    "fact_volume": ("stg_volumes", 1, "volume_usd", "volume"),
    "fact_funding": ("stg_funding", 3, "funding_rate_8h", "funding_rate"),
    "fact_open_interest": ("stg_open_interest", 3, "open_interest_usd", "open_interest_usd"),
}
_KEY: Final = ("asset_id", "instrument_id", "exchange")
CANDIDATES: Final = "candidate_assets"
MODELS: Final = (CANDIDATES, *(model for model, *_ in _STAGED.values()))
"""The models that `read_market` reads."""


@dataclass(frozen=True)
class Series:
    """One table as an array.

    Parameters
    ----------
    keys
        What identifies a row: asset, or asset, instrument and exchange.
    values
        (keys, days), NaN where the lake has no row.
    """

    keys: Keys
    values: Floats

    @property
    def assets(self) -> list[str]:
        """Return the asset of every row."""
        return [str(key[0]) for key in self.keys]


@dataclass(frozen=True)
class Market:
    """The cleaned tables of a lake over some days.

    Parameters
    ----------
    first_day
        The day of the arrays' first column.
    tables
        By name of the lake's table. All have the same days.
    settings
        Of the lake. Rates are decimal fractions of eight hours already.
    n_before
        Days at the beginning that a null market keeps as they were and does not write, but for the
        last of them, whose levels it starts from.
    pool_start
        The column from which days are drawn.
    majors, excluded
        Assets that are no alts.
    n_basket
        How many of the largest alts stand in for an asset that was not there.
    foretold
        (days,), what is taken out of the return of every alt on a day, a decimal fraction.
    drifts
        From `own_drifts`: what is taken out of an alt's log changes on every day; 0 where it is
        not named.
    """

    first_day: date
    tables: Mapping[str, Series]
    settings: LakeSettings
    n_before: int
    pool_start: int
    majors: frozenset[str]
    excluded: frozenset[str]
    n_basket: int
    foretold: Floats
    drifts: Mapping[str, float]


def read_market(
    con: duckdb.DuckDBPyConnection,
    settings: LakeSettings,
    *,
    first_day: date,
    last_day: date,
    needed: Collection[str],
    majors: Collection[str],
    excluded: Collection[str],
    n_basket: int,
    foretold: Mapping[date, float],
) -> Market:
    """Read what null markets are drawn from.

    Parameters
    ----------
    con
        Of a database that holds the models `MODELS`.
    settings
        The lake's.
    first_day, last_day
        The days that a null market has. It begins later when the lake does.
    needed
        Tables whose days are drawn only from where all of them have begun.
    majors, excluded, n_basket
        See `Market`.
    foretold
        What was foretold of a day; only such days are drawn.

    Raises
    ------
    ValueError
        When there are fewer than 8 blocks of days to draw from.
    """
    begins = {name: _span(con, name)[0] for name in _STAGED}
    known = [begins[name] for name in ("fact_price", "fact_marketcap", "fact_volume")]
    first_day = max(first_day, *(day for day in known if day is not None))
    axis_start = first_day.toordinal() - VOLUME_DAYS
    n_days = last_day.toordinal() - axis_start + 1
    # a change needs the day before it
    pool_day = max(
        *(first_day, min(foretold) - timedelta(1)),
        *(day for name in needed if (day := begins[name]) is not None),
    )
    pool_start = pool_day.toordinal() + 1 - axis_start
    days = map(date.fromordinal, range(axis_start, axis_start + n_days))
    if n_days - pool_start < FEWEST_BLOCKS * BLOCK_DAYS:
        raise ValueError(
            f"{max(n_days - pool_start, 0)} days, {FEWEST_BLOCKS * BLOCK_DAYS} are needed"
        )
    market = Market(
        first_day=date.fromordinal(axis_start),
        tables={name: _read(con, name, axis_start, n_days) for name in _STAGED},
        settings=settings,
        n_before=VOLUME_DAYS + 1,
        pool_start=pool_start,
        majors=frozenset(majors),
        excluded=frozenset(excluded),
        n_basket=n_basket,
        foretold=np.array([foretold.get(day, 0.0) for day in days]),
        drifts={},
    )
    return replace(market, drifts=own_drifts(market))


def own_drifts(market: Market) -> dict[str, float]:
    """Return by how much an alt's mean return is above that of the basket, as a log change a day.

    Over the days that are drawn from: what is left of all alts has one mean return, the basket's.

    Parameters
    ----------
    market
        The real one, nothing taken out.
    """
    close, stale = market.tables["fact_price"], market.settings.max_stale_days
    growth = np.exp(_without_foretold(market, close, stale))[:, market.pool_start :]
    basket = _mean(growth, _members(market)[:, market.pool_start :])
    if not np.isfinite(basket).any():
        return {}
    common = float(np.log(np.nanmean(basket)))
    counted = np.isfinite(growth)
    n_days = counted.sum(axis=1)
    mean = np.where(counted, growth, 0.0).sum(axis=1) / np.maximum(n_days, 1)
    return {
        asset: float(np.round(np.log(own) - common, 12))
        for asset, own, n in zip(close.assets, mean, n_days, strict=True)
        if n and asset not in market.majors
    }


def foretold_returns(
    y: Floats, states: Ints, scores: Floats, horizons: Collection[int], *, lag_days: int = 0
) -> Floats:
    """Return what the states and scores before a day say about its relative return.

    It is the fit of a regression of ``y(t)`` on a constant and, for every horizon ``h`` and state,
    the number of days in that state among the ``h`` days before ``t``, and the sum of their scores,
    less its mean. What is left of ``y`` has the same mean over ``h`` days after every state, ends
    of the sample apart: the edges of the sample are 0 at each horizon. The scores are there because
    a null market is in another state than the day that it draws where a cut lies between.

    Parameters
    ----------
    y
        (days,) returns of alts over the benchmark; a day without one counts 0 and is foretold 0.
    states
        (days,) number of the state of each day.
    scores
        (days,) score of each day; one that is missing counts 0.
    horizons
        Over which edges are 0; one day is always among them.
    lag_days
        Days from a decision to its trade: states act so much later.

    Returns
    -------
    Floats
        (days,), rounded to 12 decimals, so that it does not hang on the bits of a machine's solver.

    Examples
    --------
    >>> y, states = np.array([np.nan, 3.0, 1.0, -1.0, -3.0]), np.array([1, 1, 0, 0, 0])
    >>> foretold_returns(y, states, np.zeros(5), [1]).tolist()  # 2.0 after state 1, else -2.0
    [0.0, 2.0, 2.0, -2.0, -2.0]
    """
    known, columns = np.isfinite(y), [np.ones(y.size)]
    end = np.maximum(np.arange(y.size) - lag_days, 0)
    for series in (*(states == state for state in np.unique(states)), np.nan_to_num(scores)):
        total = np.concatenate([[0.0], np.cumsum(series)])
        columns += [total[end] - total[np.maximum(end - h, 0)] for h in sorted({1, *horizons})]
    x = np.column_stack(columns)
    fit, *_ = np.linalg.lstsq(x[known], y[known], rcond=1e-10)
    found = np.where(known, x @ fit - y[known].mean(), 0.0)
    return np.asarray(np.round(found, 12))


def drawn_days(market: Market, *, seed: tuple[int, ...]) -> Ints:
    """Return the column that each day of a null market is drawn from: circular blocks.

    Parameters
    ----------
    market
        What is drawn from.
    seed
        Equal seeds give equal days.

    Returns
    -------
    Ints
        (days,), the first ``n_before`` themselves.
    """
    n_days = market.tables["fact_price"].values.shape[1]
    n_drawn, n_pool = n_days - market.n_before, n_days - market.pool_start
    rng = np.random.default_rng(seed)
    starts = rng.integers(n_pool, size=-(-n_drawn // BLOCK_DAYS))
    offsets = (starts[:, None] + np.arange(BLOCK_DAYS)).ravel()[:n_drawn] % n_pool
    return np.concatenate([np.arange(market.n_before), market.pool_start + offsets])


def null_market(market: Market, days: Ints) -> Market:
    """Return the market in which every day is another one.

    Parameters
    ----------
    market
        The real one.
    days
        From `drawn_days`; the days themselves give the market itself, but for what follows a gap
        that outlasts staleness.

    Returns
    -------
    Market
        Of the same keys and days. A series has values from its own first to its own last day only,
        and starts from its own first level.
    """
    tables, stale = market.tables, market.settings.max_stale_days
    close, marketcap, volume = (tables[f"fact_{x}"] for x in ("price", "marketcap", "volume"))
    funding, interest = tables["fact_funding"], tables["fact_open_interest"]
    members = _members(market)
    growth = _without_foretold(market, close, stale)
    drawn_growth = _drawn(close, growth, np.log(_mean(np.exp(growth), members)), days)
    by_asset = dict(zip(close.assets, drawn_growth, strict=True))
    nothing = np.full(days.size, np.nan)
    # an asset whose market cap begins later than its price has that of its price until then
    own_growth = np.array([by_asset.get(asset, nothing) for asset in marketcap.assets])
    ratios = _volume_ratios(volume.values)
    interest_growth = _log_changes(interest.values, OPEN_INTEREST_STALE_DAYS)
    return replace(
        market,
        tables={
            "fact_price": _chained(close, drawn_growth, market.n_before),
            "fact_marketcap": _chained(
                marketcap,
                _drawn(marketcap, _without_foretold(market, marketcap, stale), own_growth, days),
                market.n_before,
            ),
            "fact_volume": _with_volumes(
                volume,
                _drawn(volume, ratios, _mean(ratios, _rows(members, close, volume)), days),
                market.n_before,
            ),
            "fact_funding": _with_rates(
                funding,
                _mean(funding.values, _rows(members, close, funding)),
                days,
                market.n_before,
            ),
            "fact_open_interest": _chained(
                interest,
                _drawn(
                    interest,
                    interest_growth,
                    _mean(interest_growth, _rows(members, close, interest)),
                    days,
                ),
                market.n_before,
            ),
        },
    )


def write_lake(market: Market, folder: Path, name: str) -> None:
    """Write a market as a lake; equal markets give equal bytes.

    Only assets that some universe can hold are in it, so it has no table of excluded ones.

    Parameters
    ----------
    market
        From `null_market`.
    folder
        Made.
    name
        The lake's name.
    """
    folder.mkdir()
    first = (market.first_day - EPOCH).days
    for table, (_, n_keys, _, column) in _STAGED.items():
        series = market.tables[table]
        values = series.values[:, market.n_before - 1 :]
        row, day = np.nonzero(np.isfinite(values))
        keys = pa.array(row.astype(np.int32))
        columns: dict[str, Any] = {
            key: pa.DictionaryArray.from_arrays(
                keys, pa.array([x[place] for x in series.keys], pa.string())
            ).cast(pa.string())
            for place, key in enumerate(_KEY[:n_keys])
        }
        dates = (first + market.n_before - 1 + day).astype(np.int32)
        columns["date"] = pa.array(dates, pa.int32()).cast(pa.date32())
        columns[column] = values[row, day]
        pq.write_table(pa.table(columns), folder / f"{table}.parquet")
    (folder / LAKE_YAML).write_text(json.dumps(_settings(market.settings, name)))


# --- What is drawn of a day ----------------------------------------------------------------------


def _log_changes(values: Floats, stale_days: int) -> Floats:
    """Return log changes since the last value, missing when that is older than staleness."""
    usable = np.where(values > 0, values, np.nan)
    before = _carried(usable, stale_days)[:, :-1]
    changes = np.full(values.shape, np.nan)
    changes[:, 1:] = np.log(usable[:, 1:] / before)
    return changes


def _without_foretold(market: Market, series: Series, stale_days: int) -> Floats:
    """Return log changes without what was foretold of the alts and without their own drifts."""
    is_alt = ~np.isin(series.assets, sorted(market.majors))
    taken = np.where(is_alt[:, None], np.log1p(market.foretold), 0.0)
    drifts = np.array([[market.drifts.get(asset, 0.0)] for asset in series.assets])
    return np.asarray(_log_changes(series.values, stale_days) - taken - drifts)


def _volume_ratios(volume: Floats) -> Floats:
    """Return volumes relative to the median of the 30 days before, days without volume apart."""
    ratios = np.full(volume.shape, np.nan)
    for day in range(1, volume.shape[1]):
        ratios[:, day] = volume[:, day] / _typical(volume[:, max(0, day - VOLUME_DAYS) : day])
    return ratios


def _typical(volume: Floats) -> Floats:
    """Return the median over days of the volumes above 0, NaN without any."""
    ordered = np.sort(np.where(volume > 0, volume, np.nan), axis=1)  # NaN last
    n = np.isfinite(ordered).sum(axis=1)
    rows, last = np.arange(len(ordered)), np.maximum(n - 1, 0)
    return np.asarray((ordered[rows, last // 2] + ordered[rows, (last + 1) // 2]) / 2)


def _drawn(series: Series, changes: Floats, stand_in: Floats, days: Ints) -> Floats:
    """Return the changes of drawn days; ``stand_in`` where an asset was not there.

    Parameters
    ----------
    series
        The levels that change.
    changes
        (keys, days).
    stand_in
        (days,) of the real days, or (keys, days) of the drawn ones.
    days
        The drawn days.
    """
    first, last = _life(series.values)
    was_there = (days > first[:, None]) & (days <= last[:, None])
    other = stand_in[days] if stand_in.ndim == 1 else stand_in
    return np.where(was_there, changes[:, days], other)


def _members(market: Market) -> Bools:
    """Return the largest alts of each day, by market cap of the day before, that have a return."""
    close, marketcap = market.tables["fact_price"], market.tables["fact_marketcap"]
    stale = market.settings.max_stale_days
    caps = dict(zip(marketcap.assets, _carried(marketcap.values, stale), strict=True))
    nothing = np.full(close.values.shape[1], np.nan)
    size = np.array([caps.get(asset, nothing) for asset in close.assets])
    size = np.concatenate([np.full((len(size), 1), np.nan), size[:, :-1]], axis=1)
    no_alts = np.isin(close.assets, sorted(market.majors | market.excluded))
    size[no_alts] = np.nan
    size[np.isnan(_log_changes(close.values, stale))] = np.nan
    order = np.argsort(np.where(np.isnan(size), np.inf, -size), axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(order))[:, None], axis=0)
    return np.asarray((rank < market.n_basket) & ~np.isnan(size))


def _rows(members: Bools, close: Series, series: Series) -> Bools:
    """Return members as rows of another table."""
    by_asset = dict(zip(close.assets, members, strict=True))
    nobody = np.zeros(members.shape[1], bool)
    rows = [by_asset.get(asset, nobody) for asset in series.assets]
    return np.array(rows, bool).reshape(len(rows), members.shape[1])


def _mean(values: Floats, members: Bools) -> Floats:
    """Return the mean over members of each day, NaN where none has a value."""
    counted = members & np.isfinite(values)
    n = counted.sum(axis=0)
    total = np.where(counted, values, 0.0).sum(axis=0)
    return np.asarray(np.where(n > 0, total / np.maximum(n, 1), np.nan))


# --- What a null market has on its days ----------------------------------------------------------


def _chained(series: Series, changes: Floats, n_before: int) -> Series:
    """Return levels chained from the first one by log changes; no change, no row."""
    values = series.values
    first, last = _life(values)
    day = np.arange(values.shape[1])
    start = np.maximum(first, n_before - 1)[:, None]
    moves = (day > start) & (day <= last[:, None]) & np.isfinite(changes)
    base = _carried(values, values.shape[1])[np.arange(len(values)), start[:, 0]]
    total = np.cumsum(np.where(moves, changes, 0.0), axis=1)
    with np.errstate(over="ignore"):  # such a row is dropped as out of range
        levels = base[:, None] * np.exp(total)
    return replace(series, values=np.where(moves, levels, np.where(day <= start, values, np.nan)))


def _with_volumes(series: Series, ratios: Floats, n_before: int) -> Series:
    """Return volumes that have drawn ratios to the median of their own 30 days before."""
    values = series.values.copy()
    first, last = _life(values)
    values[:, n_before:] = np.nan
    typical = np.full(len(values), np.nan)
    for day in range(1, values.shape[1]):
        median = _typical(values[:, max(0, day - VOLUME_DAYS) : day])
        typical = np.where(np.isfinite(median), median, typical)
        if day >= n_before:
            drawn = np.where(first == day, series.values[:, day], typical * ratios[:, day])
            values[:, day] = np.where((first <= day) & (day <= last), drawn, np.nan)
    return replace(series, values=values)


def _with_rates(series: Series, stand_in: Floats, days: Ints, n_before: int) -> Series:
    """Return the rates of drawn days, those of ``stand_in`` (days,) where there were none."""
    values = series.values
    first, last = (x[:, None] for x in _life(values))
    was_there = (days >= first) & (days <= last)
    day = np.arange(values.shape[1])
    drawn = np.where(was_there, values[:, days], stand_in[days])
    is_listed = (day >= first) & (day <= last)
    return replace(
        series, values=np.where(day < n_before, values, np.where(is_listed, drawn, np.nan))
    )


def _life(values: Floats) -> tuple[Ints, Ints]:
    """Return the columns of the first and of the last value of each row."""
    is_there = np.isfinite(values)
    n_days = values.shape[1]
    return is_there.argmax(axis=1), n_days - 1 - is_there[:, ::-1].argmax(axis=1)


def _carried(values: Floats, stale_days: int) -> Floats:
    """Return values carried forward for so many days."""
    day = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isfinite(values), day, -1), axis=1)
    held = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where((last >= 0) & (day - last <= stale_days), held, np.nan)


# --- The lake ------------------------------------------------------------------------------------


def _span(con: duckdb.DuckDBPyConnection, name: str) -> tuple[date | None, date | None]:
    model, *_ = _STAGED[name]
    found: tuple[date | None, date | None] = con.execute(
        f"select min(date), max(date) from {model} semi join {CANDIDATES} using (asset_id)"
    ).fetchall()[0]
    return found


def _read(con: duckdb.DuckDBPyConnection, name: str, axis_start: int, n_days: int) -> Series:
    """Return a table as an array, without keys that have no row on any of the days."""
    model, n_keys, value, _ = _STAGED[name]
    key = ", ".join(_KEY[:n_keys])
    rows = con.sql(
        f"select {key}, dense_rank() over (order by {key}) - 1 as row, "
        "date_diff('day', $first, date) as day, "
        f"{value} as value from {model} semi join {CANDIDATES} using (asset_id) "
        "where date >= $first and date < $first + $n::integer order by row, day",
        params={"first": date.fromordinal(axis_start), "n": n_days},
    ).to_arrow_table()
    row, day = (rows[column].to_numpy().astype(np.int64) for column in ("row", "day"))
    _, places = np.unique(row, return_index=True)
    columns = [rows[column].take(pa.array(places)).to_pylist() for column in _KEY[:n_keys]]
    values = np.full((len(places), n_days), np.nan)
    values[row, day] = rows["value"].to_numpy()
    return Series(tuple(zip(*columns, strict=True)), values)


def _settings(settings: LakeSettings, name: str) -> dict[str, Any]:
    """Return the lake.yaml of a null market: of ids and rates nothing is left to say."""
    return {
        "name": name,
        "max_stale_days": settings.max_stale_days,
        "funding": {"interval_hours": 8},
    }
