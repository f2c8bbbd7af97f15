"""A seeded lake with a planted, documented edge: small, quick to write, blemished like a real one.

The hidden regime ``s(t)`` is +1 (majors), 0 (neutral) or -1 (alts). Extremes last 15 to 23 days,
neutral stretches 8 to 14, so that a window of 2.5 years sees more than ten of each extreme. The
intensity ``g(t) = mean(s(t), s(t-1), s(t-2))`` shows in what can be observed:

====================  ============================================================================
feature               how a majors regime shows (an alts regime is its mirror image)
====================  ============================================================================
funding_skew          funding of alts rises above that of the majors (crowded longs)
funding_heating       follows from it
liquidity             volume of alts rises
volatility_spread     beta of alts to the market rises
oi_risk               open interest of BTC builds up
btc_dominance         through the planted edge alone: alts that fall behind lose share
alt_breadth           hardly: it sees what prices do on the day
momentum              through the planted edge alone, and against the sign of its baseline weight
====================  ============================================================================

The planted edge: on day t every alt gets the extra return ``-effect * g(t-5)``. So **in the majors
regime alts fall behind BTC over the following days, in the alts regime they run ahead**: edge_best
is negative (good for the trade: long majors, short alts), edge_worst positive, spread negative.
With the seed, effect and window that experiments are shipped with, the baseline and its variant
with the signs of the trade find it in the WEAK states; the STRONG ones do not occur in them.

Without the plant each asset's expected return is the same on every day whatever happened before
(shocks are symmetric, means are set for simple returns, which Y compounds), so no state tells
anything about forward returns and p-values are those of the null.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msm_py._typing import Bools, Floats, Ints
from msm_py.errors import MsmError
from msm_py.lake.lake_yaml import LAKE_YAML

DEFAULT_EFFECT: Final = 0.004
MARKER: Final = "# written by: msm lake sample"
README: Final = "README.md"
_START: Final = date(2022, 1, 1)
_MAX_STALE_DAYS: Final = 3
_DRIFT: Final = 0.0004  # of every asset, so that alts do not fade away within four years
_LAG_DAYS: Final = 5  # from the intensity of a regime to its planted return
_VENUES: Final = ("AlphaX", "BetaX", "HourlyX")
_SPECIAL: Final = {
    "BTC": "",
    "ETH": "",
    "USDA": "is_stable",
    "USDB": "is_stable",
    "WBTC": "is_wrapped",
    "STETH": "is_wrapped",
    "WUSDA": "is_wrapped_stable",
    "EXCH1": "is_exchange_token",
    "EXCH2": "is_exchange_token",
}
_FLAGS: Final = ("is_stable", "is_wrapped", "is_wrapped_stable", "is_exchange_token")
_MIN_ASSETS: Final = 45
_MIN_DAYS: Final = 150


@dataclass(frozen=True)
class SampleLake:
    """The content of a sample lake, in memory.

    Parameters
    ----------
    tables
        One Arrow table per lake table, rows by asset and date.
    lake_yaml
        The text of lake.yaml.
    regime
        The hidden regime of each day from the first one: +1 majors, 0 neutral, -1 alts. It is not
        written: whoever studies the lake has to find it.
    """

    tables: dict[str, pa.Table]
    lake_yaml: str
    regime: Ints


def write_sample_lake(
    directory: str | Path,
    *,
    seed: int = 7,
    planted_edge: bool = True,
    effect: float = DEFAULT_EFFECT,
    n_assets: int = 80,
    n_days: int = 4 * 365 + 1,
    start: date = _START,
) -> Path:
    """Write a sample lake: whole or not at all, equal to the byte for equal arguments.

    Parameters
    ----------
    directory
        Where to write it. It may be absent, empty, or an earlier sample lake, which is replaced.
    seed
        Seed of everything that is random.
    planted_edge
        Whether forward returns depend on the hidden regime; everything else stays the same.
    effect
        Daily relative return of alts within an extreme regime, decimal fraction, >= 0.
    n_assets
        Number of assets, at least 45 (short baskets of 20 must always fill).
    n_days
        Number of days, at least 150.
    start
        The first day.

    Returns
    -------
    Path
        The directory, absolute.

    Raises
    ------
    MsmError
        When the directory holds anything that this function did not write, or an argument is out
        of range.
    """
    target = Path(directory).absolute()
    content = sample_lake(
        seed=seed,
        planted_edge=planted_edge,
        effect=effect,
        n_assets=n_assets,
        n_days=n_days,
        start=start,
    )
    _check_target(target, content.tables)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    before = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        beside.mkdir(parents=True)
        for name, table in content.tables.items():
            pq.write_table(table, beside / f"{name}.parquet")
        (beside / LAKE_YAML).write_text(content.lake_yaml, encoding="utf-8")
        (beside / README).write_text(_readme(seed, planted_edge, effect), encoding="utf-8")
        if target.exists():
            target.rename(before)
        beside.rename(target)
    except OSError as error:
        if before.exists() and not target.exists():
            before.rename(target)
        raise MsmError(
            "the sample lake cannot be written", where=str(target), received=str(error)
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    return target


def sample_lake(
    *,
    seed: int = 7,
    planted_edge: bool = True,
    effect: float = DEFAULT_EFFECT,
    n_assets: int = 80,
    n_days: int = 4 * 365 + 1,
    start: date = _START,
) -> SampleLake:
    """Return the content of a sample lake without writing it.

    Parameters are those of ``write_sample_lake``. Values are rounded to seven significant digits,
    so that they do not depend on the last bits of a machine's mathematics.

    Returns
    -------
    SampleLake
        Its tables, its lake.yaml and the hidden regime.

    Raises
    ------
    MsmError
        When an argument is out of range.

    Examples
    --------
    >>> lake = sample_lake(n_assets=45, n_days=150)
    >>> sorted(set(lake.regime.tolist()))
    [-1, 0, 1]
    >>> lake.tables["fact_price"].column_names
    ['asset_id', 'date', 'close']
    """
    for name, value, least in (
        ("n_assets", n_assets, _MIN_ASSETS),
        ("n_days", n_days, _MIN_DAYS),
        ("seed", seed, 0),
        ("effect", effect, 0.0),
    ):
        if not value >= least:
            raise MsmError(
                f"{name} of a sample lake is too small",
                where=name,
                received=value,
                remedy=f"give at least {least}",
            )
    # One stream for each part: a change in one part leaves the numbers of the others alone.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7)]
    assets = [*_SPECIAL, *(f"ALT{i:02d}" for i in range(1, n_assets - len(_SPECIAL) + 1))]
    regime = _regime(streams[0], n_days)
    intensity = _trailing_mean(regime.astype(float), 3)
    planted = -effect * _lagged(intensity, _LAG_DAYS) if planted_edge else np.zeros(n_days)
    returns = _returns(streams[1], assets, intensity, planted)
    listed = _listed(streams[2], assets, n_days)
    close, marketcap = _prices(streams[3], assets, returns, listed)
    volume = _volume(streams[4], assets, marketcap, intensity)
    interest, funding = _derivatives(streams[5], assets, marketcap, intensity)
    switch = n_days * 3 // 4
    written = funding.copy()
    written[:2, :, switch:] *= 100.0  # HourlyX stays with decimal fractions
    tables = _Tables(assets, start, streams[6])
    there = listed & _gaps(streams[2], assets, n_days)
    has_cap = there & _cap_known(streams[2], assets, listed)
    return SampleLake(
        tables={
            "fact_price": tables.daily(
                "close", np.where(there, close, np.nan), bad=(0.0, -1.0, np.nan, np.inf)
            ),
            "fact_marketcap": tables.daily(
                "marketcap", np.where(has_cap, marketcap, np.nan), bad=(0.0, np.nan)
            ),
            "fact_volume": tables.daily(
                "volume", np.where(there, volume, np.nan), bad=(-5.0, np.inf)
            ),
            "fact_funding": tables.by_venue(
                "funding_rate", np.where(listed, written, np.nan), bad=(np.nan,)
            ),
            "fact_open_interest": tables.by_venue(
                "open_interest_usd", np.where(listed, interest, np.nan), bad=(-1.0, np.nan)
            ),
            "dim_asset": _dim_asset(assets),
        },
        lake_yaml=_lake_yaml(seed, planted_edge, effect, start + timedelta(days=switch)),
        regime=regime,
    )


def _regime(rng: np.random.Generator, n_days: int) -> Ints:
    """Return the hidden regime of each day: neutral, extreme, neutral, ..., extremes in pairs."""
    parts: list[Ints] = []
    while sum(map(len, parts)) < n_days:
        for side in rng.permutation([-1, 1]):
            parts.append(np.zeros(rng.integers(8, 15), np.int64))
            parts.append(np.full(rng.integers(15, 24), side, np.int64))
    return np.concatenate(parts)[:n_days]


def _returns(
    rng: np.random.Generator, assets: list[str], intensity: Floats, planted: Floats
) -> Floats:
    """Return simple daily returns (assets, days).

    Nothing but ``planted`` moves an expected return: shocks are symmetric, and betas act on a
    market shock of mean zero.
    """
    n, days = len(assets), intensity.size
    calm = np.exp(0.1 * _ar1(_normal(rng, days), 0.97))
    market = 0.014 * calm * _fat_tails(rng, (days,))
    common = 0.0045 * _fat_tails(rng, (days,)) + planted
    own = rng.uniform(0.022, 0.036, (n, 1)) * _fat_tails(rng, (n, days))
    returns = _DRIFT + (1.15 + 0.4 * intensity) * market + common + own
    at = {name: i for i, name in enumerate(assets)}
    returns[at["BTC"]] = _DRIFT + market
    returns[at["ETH"]] = _DRIFT + 1.1 * market + 0.4 * own[at["ETH"]]
    for name, of in (("WBTC", "BTC"), ("STETH", "ETH")):
        returns[at[name]] = returns[at[of]]
    for name in ("USDA", "USDB", "WUSDA"):
        returns[at[name]] = 0.0
    returns[:, 0] = 0.0
    return np.maximum(returns, -0.6)


def _listed(rng: np.random.Generator, assets: list[str], n_days: int) -> Bools:
    """Return when each asset is listed (assets, days): a third of alts come late, a tenth end."""
    n = len(assets)
    kind = rng.random(n)
    first = np.where(kind < 0.3, rng.integers(1, n_days * 6 // 10, n), 0)
    last = np.where(kind > 0.9, rng.integers(n_days * 7 // 10, n_days - 10, n), n_days)
    first[: len(_SPECIAL)], last[: len(_SPECIAL)] = 0, n_days
    day = np.arange(n_days)
    return (day >= first[:, None]) & (day < last[:, None])


def _gaps(rng: np.random.Generator, assets: list[str], n_days: int) -> Bools:
    """Return False where a day is missing: short holes in all alts, long ones in six of them."""
    there = np.ones((len(assets), n_days), bool)
    alts = np.arange(len(_SPECIAL), len(assets))
    for length in (1, 2, _MAX_STALE_DAYS):
        starts = rng.random((alts.size, n_days)) < 0.0007
        for shift in range(length):
            there[alts] &= ~np.roll(starts, shift, axis=1)
    for asset in rng.choice(alts, 6, replace=False):
        at = int(rng.integers(n_days // 10, n_days * 9 // 10))
        there[asset, at : at + int(rng.integers(5, 21))] = False
    return there


def _cap_known(rng: np.random.Generator, assets: list[str], listed: Bools) -> Bools:
    """Return where a market cap is known: for a sixth of alts only some weeks after listing."""
    wait = np.where(rng.random(len(assets)) < 1 / 6, rng.integers(10, 60, len(assets)), 0)
    wait[: len(_SPECIAL)] = 0
    return np.asarray(np.cumsum(listed, axis=1) > wait[:, None])


def _prices(
    rng: np.random.Generator, assets: list[str], returns: Floats, listed: Bools
) -> tuple[Floats, Floats]:
    """Return closes and market caps in USD (assets, days)."""
    n, days = len(assets), returns.shape[1]
    born = np.argmax(listed, axis=1)
    growth = np.cumprod(1.0 + returns, axis=1)
    growth /= growth[np.arange(n), born][:, None]
    cap = np.exp(rng.normal(np.log(1.5e9), 0.7, n))
    price = np.exp(rng.uniform(np.log(0.01), np.log(100.0), n))
    for name, p, c in (
        ("BTC", 4.0e4, 7.5e11),
        ("ETH", 3.0e3, 3.5e11),
        ("WBTC", 4.0e4, 1.0e10),
        ("STETH", 3.0e3, 1.5e10),
        ("USDA", 1.0, 8.0e10),
        ("USDB", 1.0, 3.0e10),
        ("WUSDA", 1.0, 2.0e9),
    ):
        price[assets.index(name)], cap[assets.index(name)] = p, c
    close = price[:, None] * growth
    yearly = rng.uniform(0.0, 0.08, n)  # growth of supply
    supply = (cap / price)[:, None] * np.exp(yearly[:, None] * np.arange(days) / 365.0)
    marketcap = close * supply
    # A vendor's misprint: one close ten times too high, of the alt that was smallest at its birth.
    small = len(_SPECIAL) + int(np.argmin(cap[len(_SPECIAL) :]))
    at = born[small] + (days - born[small]) // 3
    close[small, at] *= 10.0
    return close, marketcap


def _volume(
    rng: np.random.Generator, assets: list[str], marketcap: Floats, intensity: Floats
) -> Floats:
    """Return volumes in USD (assets, days), those of alts high in the majors regime."""
    n, days = marketcap.shape
    base = marketcap**0.5 * 3e4 * rng.uniform(0.02, 0.15, (n, 1))
    common = 0.08 * _ar1(_normal(rng, days), 0.8)
    heat = np.broadcast_to(0.33 * intensity, (n, days)).copy()
    heat[[assets.index("BTC"), assets.index("ETH")]] *= 0.3
    return base * np.exp(common + heat + 0.3 * rng.standard_normal((n, days)))


def _derivatives(
    rng: np.random.Generator, assets: list[str], marketcap: Floats, intensity: Floats
) -> tuple[Floats, Floats]:
    """Return open interest in USD and decimal funding rates per interval (venues, assets, days).

    NaN where a venue does not list an asset or did not report. Stablecoins and wrapped assets have
    neither; a third of alts have funding without any open interest.
    """
    n, days = marketcap.shape
    major = np.isin(assets, ["BTC", "ETH"])
    traded = np.array(
        [_SPECIAL.get(a, "is_exchange_token") in ("", "is_exchange_token") for a in assets]
    )
    venue = rng.random((len(_VENUES), n)) < np.array([1.0, 0.6, 0.35])[:, None]
    venue = (venue | major) & traded
    share = rng.uniform(0.2, 1.0, (len(_VENUES), n, 1)) * np.array([1.0, 0.5, 0.2])[:, None, None]
    wander = np.exp(0.05 * _ar1(_normal(rng, n, days), 0.9))
    built = np.zeros(days)
    for t in range(1, days):
        built[t] = 0.92 * built[t - 1] + 0.05 * intensity[t]
    level = 0.02 * marketcap * wander
    level[assets.index("BTC")] *= np.exp(built)
    interest = share * level
    common = 1.0 + 0.25 * _ar1(_normal(rng, days), 0.9)
    mood = 0.2 * _ar1(_normal(rng, days), 0.7)
    crowd = np.where(major[:, None], 0.0, 0.85 * intensity + mood)
    spread = 0.4 * rng.standard_normal((len(_VENUES), n, days))
    spread[:, major] *= 0.2
    funding = 1e-4 * (common + crowd + spread)
    funding[2] /= 8.0  # HourlyX pays every hour
    funding[~venue] = np.nan
    interest[~venue | ((rng.random(n) < 1 / 3) & ~major)] = np.nan
    interest[(rng.random(interest.shape) < 0.01) & ~major[:, None]] = np.nan
    funding[(rng.random(funding.shape) < 0.004) & ~major[:, None]] = np.nan
    outage = days // 3
    funding[1, :, outage : outage + 5] = np.nan
    return interest, funding


class _Tables:
    """Turns dense arrays into Arrow tables, with the blemishes of real rows."""

    def __init__(self, assets: list[str], start: date, rng: np.random.Generator) -> None:
        self.assets = assets
        self.first_day = (start - date(1970, 1, 1)).days
        self.rng = rng

    def daily(self, name: str, values: Floats, *, bad: Iterable[float]) -> pa.Table:
        """Return the rows of (assets, days) values; NaN means no row."""
        asset, day = np.nonzero(~np.isnan(values))
        row, numbers = self._blemished(values[asset, day], asset, bad)
        return pa.table(
            {
                "asset_id": _text(asset[row], self.assets),
                "date": self._dates(day[row]),
                name: numbers,
            }
        )

    def by_venue(self, name: str, values: Floats, *, bad: Iterable[float]) -> pa.Table:
        """Return the rows of (venues, assets, days) values; NaN means no row."""
        by_asset = values.transpose(1, 0, 2)
        asset, venue, day = np.nonzero(~np.isnan(by_asset))
        row, numbers = self._blemished(by_asset[asset, venue, day], asset, bad)
        return pa.table(
            {
                "asset_id": _text(asset[row], self.assets),
                "instrument_id": _text(asset[row], [f"{a}-PERP" for a in self.assets]),
                "exchange": _text(venue[row], list(_VENUES)),
                "date": self._dates(day[row]),
                name: numbers,
            }
        )

    def _blemished(self, values: Floats, asset: Ints, bad: Iterable[float]) -> tuple[Ints, Floats]:
        """Return row numbers (some twice) and values, of which a few are impossible."""
        values = _seven_digits(values)
        impossible = list(bad)
        alts = np.flatnonzero(asset >= len(_SPECIAL))
        chosen = self.rng.choice(alts, len(impossible) + 10, replace=False)
        values[chosen[: len(impossible)]] = impossible
        twice = np.ones(values.size, np.int64)
        twice[chosen[len(impossible) :]] = 2
        row = np.repeat(np.arange(values.size), twice)
        return row, values[row]

    def _dates(self, day: Ints) -> pa.Array:
        return pa.array((self.first_day + day).astype(np.int32), pa.int32()).cast(pa.date32())


def _dim_asset(assets: list[str]) -> pa.Table:
    """Return the table of assets and their flags."""
    kinds = [_SPECIAL.get(asset, "") for asset in assets]
    return pa.table(
        {
            "asset_id": assets,
            "symbol": assets,
            "name": [f"Sample asset {asset}" for asset in assets],
            **{flag: [kind == flag for kind in kinds] for flag in _FLAGS},
        }
    )


def _text(index: Ints, words: list[str]) -> pa.Array:
    """Return words[index] as an Arrow string array."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), words).cast(pa.string())


def _seven_digits(values: Floats) -> Floats:
    """Return values rounded to seven significant digits; zero stays zero."""
    size = np.abs(np.where(values == 0.0, 1.0, values))
    scale = 10.0 ** (6.0 - np.floor(np.log10(size)))
    return np.asarray(np.round(values * scale) / scale)


def _ar1(shocks: Floats, persistence: float) -> Floats:
    """Return an AR(1) series of variance one along the last axis, from standard normal shocks."""
    out = shocks.copy()
    fresh = np.sqrt(1.0 - persistence**2)
    for t in range(1, shocks.shape[-1]):
        out[..., t] = persistence * out[..., t - 1] + fresh * shocks[..., t]
    return out


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    """Return standard normal shocks."""
    return rng.standard_normal(shape)


def _fat_tails(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return symmetric shocks of variance near one: Student's t with 5 degrees, cut at 6."""
    return np.asarray(np.clip(rng.standard_t(5, shape) / np.sqrt(5 / 3), -6.0, 6.0))


def _lagged(values: Floats, n_days: int) -> Floats:
    """Return the values of n days ago, the first ones 0."""
    return np.concatenate([np.zeros(n_days), values[: values.size - n_days]])


def _trailing_mean(values: Floats, n: int) -> Floats:
    """Return the mean of the last n values, those before the first counting 0."""
    sums = np.cumsum(np.concatenate([np.zeros(n), values]))
    return np.asarray((sums[n:] - sums[:-n]) / n)


def _about(seed: int, planted_edge: bool, effect: float) -> str:
    """Return what was planted, in one sentence."""
    if not planted_edge:
        return f"seed {seed}, no edge planted: no state tells anything about forward returns"
    return (
        f"seed {seed}, edge planted with effect {effect:g} a day: in the majors regime alts fall "
        "behind BTC over the following days, in the alts regime they run ahead"
    )


def _lake_yaml(seed: int, planted_edge: bool, effect: float, switch: date) -> str:
    """Return the text of lake.yaml."""
    return f"""{MARKER}
# {_about(seed, planted_edge, effect)}
name: msm_sample_lake
max_stale_days: {_MAX_STALE_DAYS}
funding:
  interval_hours: 8
  units:
    - {{until: {switch - timedelta(days=1)}, unit: decimal}}    # inclusive
    - {{from: {switch}, unit: percent}}
  sources:
    - {{exchange: {_VENUES[2]}, interval_hours: 1, units: [{{unit: decimal}}]}}
"""


def _readme(seed: int, planted_edge: bool, effect: float) -> str:
    """Return the text of the lake's README."""
    return f"""# A sample lake: invented data

{_about(seed, planted_edge, effect)}.

Blemishes, on purpose: assets that are listed late, that end, that have gaps shorter and longer than
max_stale_days; stable, wrapped and exchange tokens; market caps that start weeks after the price;
three venues of funding, two of which change from decimal fractions to percent (lake.yaml says so),
one with hourly rates; open interest of some assets only; a few rows twice, a few impossible values,
one close that is ten times too high.
"""


def _check_target(target: Path, tables: Iterable[str]) -> None:
    """Raise unless the target is absent, empty, or holds a sample lake and nothing else."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise MsmError("a sample lake needs a folder of its own", where=str(target))
    present = {entry.name for entry in target.iterdir()}
    config = target / LAKE_YAML
    ours = config.is_file() and config.read_text(errors="replace").startswith(MARKER)
    foreign = present - {f"{name}.parquet" for name in tables} - {LAKE_YAML, README}
    if present and (foreign or not ours):
        raise MsmError(
            "the folder is not a sample lake, so it is not overwritten",
            where=str(target),
            received=", ".join(sorted(foreign or present)[:12]),
            remedy="name a folder that is absent or empty",
        )
