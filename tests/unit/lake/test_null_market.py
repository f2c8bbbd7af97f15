"""Null markets: joint days, chained levels, listing days, and states that tell nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm

from msm_py._typing import Floats, Ints
from msm_py.lake import null_market as nm
from msm_py.lake.lake_yaml import FundingUnit, LakeSettings
from msm_py.lake.null_market import Market, Series
from msm_py.lake.opening import open_lake

N_DAYS, N_BEFORE, POOL = 400, 31, 60
ASSETS = ("BTC", "ETH", *"ABCDEF")
LATE, ENDS, GAPPY = ASSETS.index("C"), ASSETS.index("D"), ASSETS.index("E")
LISTED, ENDED = 250, 300
BASKET = 3


def unit(exchange: str | None, hours: float) -> FundingUnit:
    return FundingUnit(exchange, None, None, "decimal", hours, 1.0)


def made_up(seed: int = 1, size: float = 0.03) -> Market:
    """Return a market with an asset that is listed late, one that ends and one with a gap."""
    rng = np.random.default_rng(seed)
    shape = (len(ASSETS), N_DAYS)
    there = np.ones(shape, bool)
    there[LATE, :LISTED] = False
    there[ENDS, ENDED + 1 :] = False
    there[GAPPY, 200:202] = False

    def walk(level: float) -> Floats:
        path = level * np.exp(np.cumsum(size * rng.standard_normal(shape), axis=1))
        return np.where(there, path, np.nan)

    close = walk(100.0)
    supply = 1e6 * np.arange(len(ASSETS), 0, -1)[:, None]
    volume = np.where(there, 1e6 * np.exp(10 * size * rng.standard_normal(shape)), np.nan)
    rates = np.where(there, 1e-4 * (1 + 30 * size * rng.standard_normal(shape)), np.nan)
    by_asset = tuple((asset,) for asset in ASSETS)
    by_venue = tuple((asset, f"{asset}-PERP", "X" if asset < "C" else "Y") for asset in ASSETS)
    return Market(
        first_day=date(2024, 1, 1),
        tables={
            "fact_price": Series(by_asset, close),
            "fact_marketcap": Series(by_asset, close * supply),
            "fact_volume": Series(by_asset, volume),
            "fact_funding": Series(by_venue, rates),
            "fact_open_interest": Series(by_venue, walk(1e7)),
        },
        settings=LakeSettings("real", 3, (unit(None, 8.0),)),
        n_before=N_BEFORE,
        pool_start=POOL,
        majors=frozenset({"BTC", "ETH"}),
        excluded=frozenset({"F"}),
        n_basket=BASKET,
        foretold=np.zeros(N_DAYS),
        drifts={},
    )


@pytest.fixture(scope="module")
def market() -> Market:
    return made_up()


@pytest.fixture(scope="module")
def days(market: Market) -> Ints:
    return nm.drawn_days(market, seed=(42, 1))


@pytest.fixture(scope="module")
def null(market: Market, days: Ints) -> Market:
    return nm.null_market(market, days)


def growth(values: Floats, day: int, before: int | None = None) -> Floats:
    found: Floats = values[:, day] / values[:, day - 1 if before is None else before]
    return found


# --- Days ----------------------------------------------------------------------------------------


def test_days_are_drawn_in_circular_blocks_of_20(market: Market, days: Ints) -> None:
    assert days[:N_BEFORE].tolist() == list(range(N_BEFORE))
    drawn, n_pool = days[N_BEFORE:], N_DAYS - POOL
    assert drawn.min() >= POOL
    assert drawn.max() < N_DAYS
    for first in range(0, drawn.size, 20):
        block = drawn[first : first + 20]
        expected = [POOL + (block[0] - POOL + step) % n_pool for step in range(block.size)]
        assert block.tolist() == expected
    many = np.concatenate([nm.drawn_days(market, seed=(42, k))[N_BEFORE:] for k in range(300)])
    counts = np.bincount(many - POOL, minlength=n_pool)
    assert counts.min() > 0.7 * counts.mean()  # ends of the pool are drawn as often as the rest


def test_equal_seeds_give_equal_days_and_other_numbers_others(market: Market, days: Ints) -> None:
    assert nm.drawn_days(market, seed=(42, 1)).tolist() == days.tolist()
    assert nm.drawn_days(market, seed=(42, 2)).tolist() != days.tolist()
    assert nm.drawn_days(market, seed=(43, 1)).tolist() != days.tolist()


# --- What a day holds ----------------------------------------------------------------------------


def test_all_assets_and_tables_have_the_same_day(market: Market, null: Market, days: Ints) -> None:
    whole = [0, 1, 2, 3]  # assets with every row
    for table in ("fact_price", "fact_marketcap", "fact_open_interest"):
        real, drawn = market.tables[table].values[whole], null.tables[table].values[whole]
        for day in range(N_BEFORE, N_DAYS):
            assert growth(drawn, day) == pytest.approx(growth(real, days[day]), rel=1e-12)
    rates = (x.tables["fact_funding"].values[whole] for x in (market, null))
    real, drawn = rates
    assert drawn[:, N_BEFORE:].tolist() == real[:, days[N_BEFORE:]].tolist()
    real, drawn = (x.tables["fact_volume"].values[whole] for x in (market, null))
    for day in range(N_BEFORE, N_DAYS):
        own, other = (
            values[:, at] / np.median(values[:, at - 30 : at], axis=1)
            for values, at in ((drawn, day), (real, days[day]))
        )
        assert own == pytest.approx(other, rel=1e-12)


def test_levels_are_chained_from_the_first_day(market: Market, null: Market, days: Ints) -> None:
    real, drawn = (x.tables["fact_price"].values[0] for x in (market, null))
    level = real[N_BEFORE - 1]
    for day in range(N_BEFORE, N_DAYS):
        level *= real[days[day]] / real[days[day] - 1]
        assert drawn[day] == pytest.approx(level, rel=1e-10)


def test_listing_days_and_first_levels_are_kept(market: Market, null: Market) -> None:
    for name, table in null.tables.items():
        real, drawn = market.tables[name].values, table.values
        assert np.flatnonzero(np.isfinite(drawn[LATE]))[0] == LISTED
        assert np.flatnonzero(np.isfinite(drawn[ENDS]))[-1] == ENDED
        assert np.isfinite(drawn[LATE, LISTED:]).all()
        if name != "fact_funding":  # a rate has no level
            assert drawn[LATE, LISTED] == real[LATE, LISTED]


def test_an_asset_that_was_not_there_moves_as_the_basket(
    market: Market, null: Market, days: Ints
) -> None:
    close, caps = (market.tables[x].values for x in ("fact_price", "fact_marketcap"))
    drawn = null.tables["fact_price"].values
    rates = market.tables["fact_funding"].values
    n_seen = 0
    for day in range(LISTED + 1, N_DAYS):
        at = days[day]
        if at > LISTED or at in (200, 201, 202):  # it was there; a gap has another day before
            continue
        alts = [i for i, x in enumerate(ASSETS) if x not in ("BTC", "ETH", "F")]
        present = [i for i in alts if np.isfinite(close[i, at]) and np.isfinite(close[i, at - 1])]
        largest = sorted(present, key=lambda i: -caps[i, at - 1])[:BASKET]
        mean = np.mean([close[i, at] / close[i, at - 1] for i in largest])
        assert drawn[LATE, day] / drawn[LATE, day - 1] == pytest.approx(mean, rel=1e-10)
        if at < LISTED:
            found = null.tables["fact_funding"].values[LATE, day]
            assert found == pytest.approx(np.mean(rates[largest, at]), rel=1e-10)
        n_seen += 1
    assert n_seen > 20


def test_a_gap_stays_a_gap(market: Market, null: Market, days: Ints) -> None:
    real, drawn = (x.tables["fact_price"].values[GAPPY] for x in (market, null))
    gaps = np.flatnonzero(np.isin(days, [200, 201]))
    assert gaps.size, "the seed draws them"
    assert np.isnan(drawn[gaps]).all()
    (after,) = (x for x in np.flatnonzero(days == 202) if days[x - 3] == 199)
    assert drawn[after] / drawn[after - 3] == pytest.approx(real[202] / real[199], rel=1e-12)


def test_the_days_themselves_give_the_market_itself(market: Market) -> None:
    same = nm.null_market(market, np.arange(N_DAYS))
    for name, table in same.tables.items():
        real = market.tables[name].values
        assert np.isfinite(table.values).tolist() == np.isfinite(real).tolist()
        np.testing.assert_allclose(table.values, real, rtol=1e-11)


def test_a_market_without_variation_is_left_alone(days: Ints) -> None:
    still = made_up(size=0.0)
    for name, table in nm.null_market(still, days).tables.items():
        real = still.tables[name].values
        both = np.isfinite(table.values) & np.isfinite(real)
        np.testing.assert_allclose(table.values[both], real[both], rtol=1e-12)


def test_what_is_foretold_is_taken_from_alts_alone(market: Market, days: Ints) -> None:
    foretold = np.linspace(-0.01, 0.02, N_DAYS)
    with_it = nm.null_market(market, days)
    without = nm.null_market(replace(market, foretold=foretold), days)
    for table in ("fact_price", "fact_marketcap"):
        one, other = (x.tables[table].values for x in (with_it, without))
        assert one[:2].tolist() == other[:2].tolist()
        for day in range(N_BEFORE, N_DAYS):
            expected = growth(one, day)[2:4] / (1 + foretold[days[day]])
            assert growth(other, day)[2:4] == pytest.approx(expected, rel=1e-10)


def test_no_alt_is_a_born_winner(market: Market) -> None:
    """What is left of every alt has one mean return: that of the largest alts of each day."""
    left = replace(market, drifts=nm.own_drifts(market))
    close, caps = (market.tables[x].values for x in ("fact_price", "fact_marketcap"))
    assert not set(left.drifts) & market.majors
    basket = []
    for day in range(POOL, N_DAYS):
        alts = [
            (-caps[row, day - 1], row)
            for row, asset in enumerate(ASSETS)
            if asset not in market.majors | market.excluded
            and np.isfinite(close[row, day - 1 : day + 1]).all()
        ]
        basket.append(
            np.mean([close[row, day] / close[row, day - 1] for _, row in sorted(alts)[:BASKET]])
        )
    growth_left = np.exp(nm._without_foretold(left, market.tables["fact_price"], 3))[:, POOL:]
    for row, asset in enumerate(ASSETS):
        if asset in left.drifts:
            assert np.nanmean(growth_left[row]) == pytest.approx(np.mean(basket), rel=1e-9)
    one, other = (nm.null_market(x, nm.drawn_days(x, seed=(1, 1))) for x in (market, left))
    before, after = (x.tables["fact_price"].values[:2, -1] for x in (one, other))
    assert before.tolist() == after.tolist(), "majors keep their own"


# --- What states foretell ------------------------------------------------------------------------


def persistent(seed: int, n: int = 600) -> tuple[Floats, Ints, Floats]:
    rng = np.random.default_rng(seed)
    scores = np.zeros(n)
    for day in range(1, n):
        scores[day] = 0.95 * scores[day - 1] + 0.3 * rng.standard_normal()
    states = np.digitize(scores, [-0.5, 0.5])
    y = 0.02 * rng.standard_normal(n)
    y[1:] += 0.01 * (states[:-1] - 1)
    y[0] = np.nan
    return y, states, scores


@pytest.mark.parametrize("lag", [0, 2])
def test_what_is_left_has_no_edge_at_any_horizon(lag: int) -> None:
    y, states, scores = persistent(3)
    left = y - nm.foretold_returns(y, states, scores, [5, 20], lag_days=lag)
    mean = np.nanmean(left)
    assert mean == pytest.approx(np.nanmean(y), abs=1e-11)
    for horizon in (1, 5, 20):
        for state in (0, 1, 2):
            for values, is_zero in ((left, True), (y, False)):
                total = 0.0
                for day in np.flatnonzero(states == state).tolist():
                    after = values[max(day + lag + 1, 1) : day + lag + horizon + 1]
                    total += float((after - mean).sum())
                assert (abs(total) < 1e-8) == is_zero


def test_what_is_foretold_is_a_least_squares_fit() -> None:
    y, states, scores = persistent(5, 200)
    rows = []
    for day in range(1, y.size):
        row = [1.0]
        for horizon in (1, 5):
            before = range(max(0, day - horizon), day)
            row += [sum(states[x] == state for x in before) for state in (0, 1)]
            row += [sum(scores[x] for x in before)]
            # of one day there is always one: with the constant, the third state follows
            row += [sum(states[x] == 2 for x in before)] if horizon > 1 else []
        rows.append(row)
    fitted = sm.OLS(y[1:], np.array(rows)).fit().fittedvalues - y[1:].mean()
    found = nm.foretold_returns(y, states, scores, [5])
    assert found[1:] == pytest.approx(fitted, abs=1e-11)
    assert found[0] == 0.0


# --- Lakes ---------------------------------------------------------------------------------------


def test_a_null_lake_keeps_the_contract_and_is_the_same_byte_for_byte(
    market: Market, days: Ints, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        nm.write_lake(nm.null_market(market, days), tmp_path / name, "null_1")
    other = nm.drawn_days(market, seed=(42, 2))
    nm.write_lake(nm.null_market(market, other), tmp_path / "c", "null_1")
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    for file in files:
        content = {x: (tmp_path / x / file).read_bytes() for x in "abc"}
        assert content["a"] == content["b"]
        assert (content["a"] == content["c"]) == (file == "lake.yaml")
    lake = open_lake(tmp_path / "a")
    assert lake.settings.max_stale_days == 3
    hours = {x.exchange: (x.unit, x.interval_hours) for x in lake.settings.funding_units}
    assert hours == {None: ("decimal", 8.0)}
    price = pq.read_table(tmp_path / "a" / "fact_price.parquet")
    assert min(price["date"].to_pylist()) == date(2024, 1, 1) + timedelta(N_BEFORE - 1)
    assert (
        price.num_rows
        == np.isfinite(
            nm.null_market(market, days).tables["fact_price"].values[:, N_BEFORE - 1 :]
        ).sum()
    )


# --- What is read --------------------------------------------------------------------------------

SETTINGS = LakeSettings("real", 3, (unit(None, 8.0),))


@pytest.fixture
def staged() -> duckdb.DuckDBPyConnection:
    """Return the models that are read: BTC and A over 300 days, funding of A from day 50 on."""
    con = duckdb.connect()
    con.execute("create table candidate_assets as select unnest(['BTC', 'A']) as asset_id")
    con.execute(
        "create table days as select asset_id, date '2024-01-01' + n::integer as date, n from "
        "(select unnest(['BTC', 'A', 'STABLE']) as asset_id), range(300) as r(n)"
    )
    for model, column in (
        ("stg_prices", "close"),
        ("asset_marketcaps", "marketcap_usd"),
        ("stg_volumes", "volume_usd"),
    ):
        con.execute(f"create table {model} as select asset_id, date, n + 1.0 as {column} from days")
    for model, column in (
        ("stg_funding", "funding_rate_8h"),
        ("stg_open_interest", "open_interest_usd"),
    ):
        con.execute(
            f"create table {model} as select asset_id, 'p' as instrument_id, null::varchar as "
            f"exchange, date, n + 1.0 as {column} from days where asset_id = 'A' and n >= 50"
        )
    return con


Reader = Callable[..., Market]


@pytest.fixture
def read(staged: duckdb.DuckDBPyConnection) -> Reader:
    def reader(last: int = 299, first: int = 10, needed: tuple[str, ...] = ()) -> Market:
        day = date(2024, 1, 1)
        return nm.read_market(
            staged,
            SETTINGS,
            first_day=day - timedelta(5),
            last_day=day + timedelta(last),
            needed=needed,
            majors=["BTC"],
            excluded=[],
            n_basket=1,
            foretold={day + timedelta(x): x / 1e4 for x in range(first, last + 1)},
        )

    return reader


def test_days_are_read_as_columns(read: Reader) -> None:
    market = read()
    assert market.first_day == date(2023, 12, 2)  # 30 days before the lake begins
    assert market.tables["fact_price"].assets == ["A", "BTC"]  # candidates alone
    for table in ("fact_price", "fact_marketcap", "fact_volume"):
        values = market.tables[table].values
        assert np.isnan(values[:, :30]).all()
        assert values[:, 30:].tolist() == [list(np.arange(1.0, 301.0))] * 2
    assert market.tables["fact_funding"].keys == (("A", "p", None),)
    assert np.flatnonzero(np.isfinite(market.tables["fact_funding"].values[0]))[0] == 80
    assert market.pool_start == 30 + 10  # the first day that is foretold
    assert market.foretold[40] == 10 / 1e4
    assert market.foretold[:40].tolist() == [0.0] * 40


def test_days_are_drawn_from_where_all_that_is_needed_has_begun(read: Reader) -> None:
    assert read(needed=("fact_funding",)).pool_start == 30 + 51  # the first one has no day before


def test_too_few_days_are_refused(read: Reader) -> None:
    assert read(last=169).pool_start == 40
    with pytest.raises(ValueError, match="159 days, 160 are needed"):
        read(last=168)
