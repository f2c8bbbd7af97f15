"""The lake check: each blemish on a lake that has it, and on one that has not."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from msm_py.errors import MsmError
from msm_py.lake.check import LakeReport, check_lake
from msm_py.lake.check_items import Item
from msm_py.lake.contract import TABLES
from msm_py.lake.opening import open_lake
from msm_py.lake.sample import write_sample_lake
from msm_py.report.lake_report import lake_report

N_DAYS = 120
START = date(2024, 1, 1)
VALUES = {
    "fact_price": 100.0,
    "fact_marketcap": 1e9,
    "fact_volume": 1e6,
    "fact_funding": 1e-4,
    "fact_open_interest": 1e7,
}
PITFALLS = ("stray dates", "asset ids", "daily closes", "pegs")
FEW_ALTS = ("fact_price", "what runs have")  # four are no basket of twenty
Rows = dict[tuple[str, int], list[float]]


class Maker:
    """A clean lake of six assets, to be spoilt by changing `rows[table][asset, day]`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.assets = ["BTC", "ETH", "A1", "A2", "A3", "A4"]
        self.lake_yaml = ""
        self.flagged: list[str] = []
        self.exchange: dict[str, str] = {}
        self.hours: dict[tuple[str, int], float] = {}
        self.sums: dict[tuple[str, int], float] = {}
        self.rows: dict[str, Rows] = {
            table: {key: [value] for key in itertools.product(self.assets, range(N_DAYS))}
            for table, value in VALUES.items()
        }
        for asset in self.assets:
            self.move_price(asset)

    def move_price(self, asset: str, moves: Iterable[float] | None = None) -> None:
        """Let a price move and its market cap with it, by log changes: by default of a seed."""
        if moves is None:
            moves = np.random.default_rng(list(asset.encode())).normal(0, 0.02, N_DAYS)
        for day, move in enumerate(np.cumsum(list(moves))):
            self.rows["fact_price"][asset, day] = [100.0 * float(np.exp(move))]
            self.rows["fact_marketcap"][asset, day] = [1e9 * float(np.exp(move))]

    def moves(self, asset: str) -> np.ndarray:
        """Return the log changes of a price, 0 on the first day."""
        price = [self.rows["fact_price"][asset, day][0] for day in range(N_DAYS)]
        return np.diff(np.log(price), prepend=np.log(price[0]))

    def check(self) -> dict[tuple[str, str], Item]:
        for table, rows in self.rows.items():
            flat = [
                (a, START + timedelta(days=d), x) for (a, d), values in rows.items() for x in values
            ]
            columns = {
                "asset_id": [row[0] for row in flat],
                "date": [row[1] for row in flat],
                TABLES[table].numbers[-1]: pa.array([row[2] for row in flat], pa.float64()),
            }
            if table == "fact_funding":
                keys = [(row[0], (row[1] - START).days) for row in flat]
                if self.exchange:
                    columns["exchange"] = [self.exchange[row[0]] for row in flat]
                for column, known in (
                    ("interval_hours", self.hours),
                    ("funding_rate_1d_sum", self.sums),
                ):
                    if known:
                        columns[column] = pa.array([known.get(key) for key in keys], pa.float64())
            pq.write_table(pa.table(columns), self.folder / f"{table}.parquet")
        dim = {"asset_id": self.assets, "is_stable": [x in self.flagged for x in self.assets]}
        pq.write_table(pa.table(dim), self.folder / "dim_asset.parquet")
        (self.folder / "lake.yaml").write_text(self.lake_yaml)
        return by_check(check_lake(open_lake(self.folder)))


def by_check(report: LakeReport) -> dict[tuple[str, str], Item]:
    items = {(item.table, item.check): item for item in report.items}
    assert len(items) == len(report.items)
    return items


def verdicts(items: Mapping[tuple[str, str], Item], verdict: str) -> list[tuple[str, str]]:
    return [key for key, item in items.items() if item.verdict == verdict]


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_clean_lake_has_nothing_but_ok(maker: Maker) -> None:
    items = maker.check()
    depth = ("fact_open_interest", "depth")  # 120 days are no long history
    assert verdicts(items, "warn") == [FEW_ALTS, depth]
    assert verdicts(items, "fail") == []
    assert items["fact_price", "rows"].detail == "720 rows, 6 assets, 2024-01-01 to 2024-04-29"
    assert items["fact_price", "assets by year"].detail == "2024: 6 (6 a day)"
    assert {table for table, _ in items} == set(TABLES)


def test_a_flagged_row_without_an_id_flags_nothing(maker: Maker) -> None:
    maker.check()
    dim = {"asset_id": [*maker.assets, None], "is_stable": [*(False for _ in maker.assets), True]}
    pq.write_table(pa.table(dim), maker.folder / "dim_asset.parquet")
    items = by_check(check_lake(open_lake(maker.folder)))
    assert items["dim_asset", "flags"].detail.startswith("0 is_stable")


def test_absent_optional_tables_are_reported(maker: Maker) -> None:
    maker.check()
    for name in ("fact_funding", "fact_open_interest", "dim_asset"):
        (maker.folder / f"{name}.parquet").unlink()
    items = by_check(check_lake(open_lake(maker.folder)))
    assert verdicts(items, "warn") == [
        FEW_ALTS,
        ("fact_funding", "rows"),
        ("fact_open_interest", "rows"),
        ("dim_asset", "rows"),
    ]


def test_duplicates_that_agree_and_that_do_not(maker: Maker) -> None:
    maker.rows["fact_price"]["A1", 3] = [100.0, 100.0, 100.0]
    maker.rows["fact_volume"]["A1", 3] = [1e6, 2e6]
    items = maker.check()
    assert items["fact_price", "duplicates"].verdict == "warn"
    assert items["fact_price", "duplicates"].detail.startswith("2 surplus rows")
    assert items["fact_volume", "duplicates"].verdict == "fail"
    assert "A1, 2024-01-04" in items["fact_volume", "duplicates"].detail


def test_a_duplicate_that_is_impossible_conflicts_with_nothing(maker: Maker) -> None:
    maker.rows["fact_price"]["A1", 3] = [100.0, 0.0]
    items = maker.check()
    assert items["fact_price", "duplicates"].verdict == "ok"
    assert (
        items["fact_price", "impossible values"].detail == "1 not positive (first: A1 2024-01-04)"
    )


@pytest.mark.parametrize(
    ("table", "value", "reason"),
    [
        ("fact_price", 0.0, "not positive"),
        ("fact_price", -1.0, "not positive"),
        ("fact_marketcap", np.nan, "not a number"),
        ("fact_volume", np.inf, "infinite"),
        ("fact_volume", -1.0, "negative"),
        ("fact_funding", -np.inf, "infinite"),
        ("fact_open_interest", -1.0, "negative"),
        ("fact_price", None, "missing value"),
    ],
)
def test_impossible_values_by_reason(
    maker: Maker, table: str, value: float | None, reason: str
) -> None:
    maker.rows[table]["A2", 10] = [value]  # type: ignore[list-item]
    item = maker.check()[table, "impossible values"]
    assert item.verdict == "warn"
    assert item.detail == f"1 {reason} (first: A2 2024-01-11)"


@pytest.mark.parametrize(
    ("table", "value"),
    [("fact_volume", 0.0), ("fact_open_interest", 0.0), ("fact_funding", -1e-4)],
)
def test_values_that_look_odd_and_are_possible(maker: Maker, table: str, value: float) -> None:
    maker.rows[table]["A2", 10] = [value]
    assert maker.check()[table, "impossible values"].verdict == "ok"


def test_gaps_count_beyond_what_is_carried(maker: Maker) -> None:
    for day in (20, 21, 22):  # three days are carried
        del maker.rows["fact_price"]["A1", day]
    for day in (40, 41, 42, 43):
        del maker.rows["fact_price"]["A2", day]
    item = maker.check()["fact_price", "gaps of assets"]
    assert item.verdict == "warn"
    assert item.detail.startswith("1 in 1 assets longer than the 3 days")
    assert "A2 4 days from 2024-02-10" in item.detail
    maker.lake_yaml = "max_stale_days: 4"
    assert maker.check()["fact_price", "gaps of assets"].verdict == "ok"


def test_days_that_a_whole_table_lacks(maker: Maker) -> None:
    for asset, day in itertools.product(maker.assets, range(50, 60)):
        del maker.rows["fact_open_interest"][asset, day]
    items = maker.check()
    item = items["fact_open_interest", "days without rows"]
    assert (item.verdict, item.detail) == ("warn", "10 days: 2024-02-20 to 2024-02-29")
    assert items["fact_price", "days without rows"].verdict == "ok"


def test_jumps_are_listed_worst_first(maker: Maker) -> None:
    for day, close in ((29, 100.0), (30, 299.0)):  # +199%: a market can do that
        maker.rows["fact_price"]["A1", day] = [close]
    for day, close in ((30, 100.0), (31, 10_000.0), (32, 100.0)):
        maker.rows["fact_price"]["A2", day] = [close]
    item = maker.check()["fact_price", "jumps"]
    assert item.verdict == "warn"
    assert "2 one-day moves" in item.detail
    assert "A2 2024-02-01 +9,900%, A2 2024-02-02 -99%" in item.detail


def test_assets_that_end(maker: Maker) -> None:
    for table in maker.rows:
        for day in range(100, N_DAYS):
            del maker.rows[table]["A3", day]
    item = maker.check()["fact_price", "assets that end"]
    assert item.verdict == "warn"
    assert "2024-04: 1 (A3)" in item.detail


def test_breadth_and_supply_jumps(maker: Maker) -> None:
    many = [f"M{i:02d}" for i in range(40)]
    maker.assets += many
    for table, asset, day in itertools.product(VALUES, many, range(N_DAYS)):
        if table != "fact_marketcap" or day >= 60:
            maker.rows[table][asset, day] = [VALUES[table]]
    for day, cap in ((89, 1e9), (90, 1.6e9), (91, 1e9)):
        maker.rows["fact_price"]["A1", day] = [100.0]
        maker.rows["fact_marketcap"]["A1", day] = [cap]
    items = maker.check()
    assert "2024-03-01: 6 -> 46" in items["fact_marketcap", "breadth"].detail
    assert items["fact_price", "breadth"].verdict == "ok"
    assert "A1 2024-03-31 1.6x, A1 2024-04-01 0.625x" in items["fact_marketcap", "jumps"].detail


def test_volume_of_many_assets_shifts(maker: Maker) -> None:
    many = [f"M{i:02d}" for i in range(40)]
    maker.assets += many
    for table, asset, day in itertools.product(VALUES, many, range(N_DAYS)):
        maker.rows[table][asset, day] = [VALUES[table]]
    for asset, day in itertools.product(many[:10], range(60, N_DAYS)):
        maker.rows["fact_volume"][asset, day] = [1e5]
    item = maker.check()["fact_volume", "level"]
    assert item.verdict == "warn"
    assert "of 46 assets" in item.detail
    assert "2024-02-2" in item.detail or "2024-03-0" in item.detail
    for asset, day in itertools.product(maker.assets, range(60, N_DAYS)):
        maker.rows["fact_volume"][asset, day] = [1e5]  # the whole market: no venue's doing
    assert maker.check()["fact_volume", "level"].verdict == "ok"


def test_undeclared_switch_fails_with_the_lines_to_add(maker: Maker) -> None:
    for asset, day in itertools.product(maker.assets, range(45, N_DAYS)):
        maker.rows["fact_funding"][asset, day] = [1e-2]
    items = maker.check()
    assert verdicts(items, "fail") == [("fact_funding", "unit")]
    item = items["fact_funding", "unit"]
    assert "100x between 2024-01 and 2024-02, on 2024-02-15" in item.detail
    assert item.remedy is not None
    lines = item.remedy.split("needs\n")[1]
    assert "{until: 2024-02-14, unit: decimal}" in lines
    assert "{from: 2024-02-15, unit: percent}" in lines
    maker.lake_yaml = lines
    item = maker.check()["fact_funding", "unit"]
    assert item.verdict == "ok"
    assert "declared decimal until 2024-02-14, percent from 2024-02-15" in item.detail


def test_switch_of_one_exchange_there_and_back(maker: Maker) -> None:
    maker.exchange = {asset: "X" if asset in ("A1", "A2") else "Y" for asset in maker.assets}
    for asset, day in itertools.product(["A1", "A2"], range(31, 60)):
        maker.rows["fact_funding"][asset, day] = [1.0]  # basis points, February
    item = maker.check()["fact_funding", "unit"]
    assert item.verdict == "fail"
    assert item.remedy is not None
    maker.lake_yaml = item.remedy.split("needs\n")[1]
    assert maker.lake_yaml == (
        "funding:\n  sources:\n    - exchange: X\n      units:\n"
        "        - {until: 2024-01-31, unit: decimal}\n"
        "        - {from: 2024-02-01, until: 2024-02-29, unit: bps}\n"
        "        - {from: 2024-03-01, unit: decimal}"
    )
    assert maker.check()["fact_funding", "unit"].verdict == "ok"


def test_rates_that_are_percent_all_along(maker: Maker) -> None:
    for key in maker.rows["fact_funding"]:
        maker.rows["fact_funding"][key] = [1e-2]
    assert maker.check()["fact_funding", "unit"].verdict == "fail"
    maker.lake_yaml = "funding: {units: [{unit: percent}]}"
    assert maker.check()["fact_funding", "unit"].verdict == "ok"


def test_wild_rates_and_sources_that_no_row_has(maker: Maker) -> None:
    maker.rows["fact_funding"]["A1", 7] = [-0.5]
    maker.rows["fact_funding"]["A1", 8] = [0.03]  # where venues cap
    maker.lake_yaml = "funding: {sources: [{exchange: Hyper, interval_hours: 1}]}"
    items = maker.check()
    assert "A1 2024-01-08 -150.0%" in items["fact_funding", "wild rates"].detail
    assert items["fact_funding", "wild rates"].detail.startswith("1 beyond 9% a day")
    assert "Hyper" in items["fact_funding", "sources of lake.yaml"].detail


def test_rates_are_judged_by_the_day(maker: Maker) -> None:
    """A basis point an hour is 0.24% a day; changes of interval are named, the latest first."""
    for day in range(N_DAYS):
        maker.hours["A1", day] = 1.0 if day < 60 else 4.0
        maker.hours["A2", day] = 8.0
    maker.rows["fact_funding"]["A1", 7] = [0.004]  # 9.6% a day
    items = maker.check()
    assert items["fact_funding", "unit"].verdict == "ok"
    assert items["fact_funding", "wild rates"].detail.startswith("1 beyond 9% a day")
    assert "A1 2024-01-08 +9.6%" in items["fact_funding", "wild rates"].detail
    assert items["fact_funding", "intervals"].detail == (
        "instruments by their own interval: 1 of 1h, 1 of 4h, 1 of 8h; 480 rows have the interval "
        "of lake.yaml (8h); 1 changed it, at last A1 1h to 4h on 2024-03-01"
    )


@pytest.mark.parametrize(("share", "is_told"), [(1.0, False), (1 / 3, True)])
def test_a_mean_in_place_of_a_sum(maker: Maker, share: float, is_told: bool) -> None:
    for day in range(N_DAYS):
        maker.hours["A1", day], maker.sums["A1", day] = 8.0, 3e-4 * share
    items = maker.check()
    assert ("fact_funding", "sums of days") in items or not is_told
    if is_told:
        item = items["fact_funding", "sums of days"]
        assert item.verdict == "warn"
        assert "0.33 of funding_rate x 24 / interval_hours" in item.detail
    assert items["fact_funding", "intervals"].detail.startswith("120 rows are sums of a day")


def rename(maker: Maker, old: str, new: str, tables: Iterable[str], first: int = 0) -> None:
    """Give an asset another id from a day on."""
    for table in tables:
        for day in range(first, N_DAYS):
            if (old, day) in maker.rows[table]:
                maker.rows[table][new, day] = maker.rows[table].pop((old, day))


def test_multiples_that_nobody_declared(maker: Maker) -> None:
    """By price where there is one; 1000A4 and 10000A3 have none, kA9 has no A9 beside it."""
    rename(maker, "A4", "1000A4", ["fact_open_interest"])
    rename(maker, "A3", "10000A3", ["fact_funding"])
    rename(maker, "A2", "kA9", ["fact_funding"])
    for day in range(N_DAYS):
        close = maker.rows["fact_price"]["A1", day][0]
        maker.rows["fact_price"]["1MA1", day] = [1e6 * close]
        maker.rows["fact_price"]["100A2", day] = [3 * close]
    item = maker.check()["fact_price", "multiples"]
    assert item.verdict == "warn"
    assert item.remedy is not None
    assert item.remedy.splitlines()[1:] == [
        "aliases:",
        "  - {id: 10000A3, asset_id: A3, multiple: 10000}",
        "  - {id: 1000A4, asset_id: A4, multiple: 1000}",
        "  - {id: 1MA1, asset_id: A1, multiple: 1000000}",
    ]
    assert "1MA1 of A1 (price 1e+06x on 120 days)" in item.detail
    maker.lake_yaml = "\n".join(item.remedy.splitlines()[1:3])
    items = maker.check()
    assert items["fact_price", "aliases"].verdict == "ok"
    assert "10000A3" not in items["fact_price", "multiples"].detail


def test_renames_that_nobody_declared(maker: Maker) -> None:
    rename(maker, "A1", "B1", ["fact_price", "fact_marketcap"], first=70)
    del maker.rows["fact_price"]["B1", 70]
    for day in range(60, N_DAYS):  # both ids of A2 for a while
        maker.rows["fact_price"]["B2", day] = maker.rows["fact_price"]["A2", day]
        if day >= 90:
            del maker.rows["fact_price"]["A2", day]
    rename(maker, "A3", "B3", ["fact_price"], first=70)  # at another price
    for day in range(70, N_DAYS):
        maker.rows["fact_price"]["B3", day][0] *= 1.2
    item = maker.check()["fact_price", "renames"]
    assert item.verdict == "warn"
    assert item.remedy is not None
    assert item.remedy.splitlines()[1:] == [
        "aliases:",
        "  - {id: A2, asset_id: B2, until: 2024-02-29}",
        "  - {id: A1, asset_id: B1}",
    ]
    assert "A1 of B1 (ends 2024-03-10, the other begins 2024-03-12" in item.detail
    assert "A2 of B2 (from 2024-03-01 on both are there, 0.00% apart on 30 days)" in item.detail


def test_aliases_of_ids_that_no_table_has(maker: Maker) -> None:
    maker.lake_yaml = "aliases: [{id: A1, asset_id: X}, {id: a2, asset_id: A2}]"
    item = maker.check()["fact_price", "aliases"]
    assert (item.verdict, item.detail) == (
        "warn",
        "1 of the 2 ids that lake.yaml names are in no table: a2",
    )


def test_supplies_make_market_caps_and_are_held_against_them(maker: Maker) -> None:
    """A1 has supplies alone, every thirty days; those of A2 are twice what its caps say."""
    maker.rows["fact_supply"] = {}
    for day in range(N_DAYS):
        del maker.rows["fact_marketcap"]["A1", day]
        maker.rows["fact_supply"]["A2", day] = [2e7]
        if day % 30 == 0:
            maker.rows["fact_supply"]["A1", day] = [1e7]
    items = maker.check()
    assert items["fact_supply", "market caps"].detail == (
        "120 of 720 market caps (16.7%), of 1 assets, are close times supply"
    )
    assert items["fact_supply", "fit"].verdict == "warn"
    assert items["fact_supply", "fit"].detail.endswith("1 assets: A2 0.5x")
    assert items["fact_supply", "gaps of assets"].verdict == "ok"


def test_tables_that_do_not_overlap(maker: Maker) -> None:
    for day in range(N_DAYS):
        del maker.rows["fact_marketcap"]["A4", day]
        maker.rows["fact_volume"]["B9", day] = [1.0]
    for asset, day in itertools.product(maker.assets, range(10)):
        del maker.rows["fact_funding"][asset, day]
    items = maker.check()
    assert "1 priced assets are not in it: A4" in items["fact_marketcap", "overlap"].detail
    assert "1 assets have no price: B9" in items["fact_volume", "overlap"].detail
    assert "it begins 10 days after BTC" in items["fact_funding", "overlap"].detail


@pytest.mark.parametrize(
    ("is_kept", "share", "told"),
    [
        (lambda day: (START + timedelta(days=day)).isoweekday() < 6, "72%", " (weekdays only)"),
        (lambda day: day % 4 == 0, "26%", ""),
    ],
)
def test_closes_on_some_days_only(
    maker: Maker, is_kept: Callable[[int], bool], share: str, told: str
) -> None:
    def thin(asset: str) -> None:
        for day in itertools.filterfalse(is_kept, range(N_DAYS)):
            del maker.rows["fact_price"][asset, day]

    thin("A1")
    item = maker.check()["fact_price", "daily closes"]
    assert item.verdict == "warn"
    assert item.detail.startswith("1 of 6 assets")
    expected = f"A1 on {share} of the days of a quarter{told}, such as from 2024-"
    assert expected in item.detail, item.detail
    for asset in ("A2", "A3"):  # most of the four alts
        thin(asset)
    assert maker.check()["fact_price", "daily closes"].verdict == "fail"


@pytest.mark.parametrize("major", ["BTC", "ETH"])
def test_a_major_without_daily_closes_fails(maker: Maker, major: str) -> None:
    for day in range(1, N_DAYS - 1):
        if day % 7 == 0:  # 13% of all days
            del maker.rows["fact_price"][major, day]
    item = maker.check()["fact_price", "daily closes"]
    assert item.verdict == "fail"
    assert f"{major} on 8" in item.detail
    assert "% of the days of a quarter, such as from 2024-" in item.detail
    assert "every calendar day" in (item.remedy or "")


@pytest.mark.parametrize("asset", ["BTC", "A1"])
def test_closes_that_become_sparse_late_in_a_long_history(maker: Maker, asset: str) -> None:
    """Over all days 96% are there; in the last quarter the weekends are missing."""
    n_days = 800
    for table in VALUES:
        value = VALUES[table]
        maker.rows[table] = {key: [value] for key in itertools.product(maker.assets, range(n_days))}
    for day in range(700, n_days):
        if (START + timedelta(days=day)).isoweekday() > 5:
            del maker.rows["fact_price"][asset, day]
    item = maker.check()["fact_price", "daily closes"]
    assert item.verdict == ("fail" if asset == "BTC" else "warn")
    assert f"{asset} on 7" in item.detail
    assert "(weekdays only), such as from 202" in item.detail


def test_one_long_hole_is_no_habit(maker: Maker) -> None:
    for day in range(30, 80):
        del maker.rows["fact_price"]["A1", day]
    for day in (10, 50, 90):
        del maker.rows["fact_price"]["BTC", day]
    assert maker.check()["fact_price", "daily closes"].verdict == "ok"


@pytest.mark.parametrize(
    "table", ["fact_marketcap", "fact_volume", "fact_funding", "fact_open_interest"]
)
def test_ids_that_differ_in_case_only(maker: Maker, table: str) -> None:
    for day in range(N_DAYS):
        maker.rows[table]["btc", day] = maker.rows[table].pop(("BTC", day))
    item = maker.check()["fact_price", "asset ids"]
    assert item.verdict == "fail"
    assert "one asset under more than one id: BTC (" in item.detail
    assert item.detail.endswith(f"beside btc ({table})")
    assert "case-sensitive" in (item.remedy or "")


def test_ids_that_differ_in_case_within_one_table_or_by_a_space(maker: Maker) -> None:
    maker.rows["fact_price"]["a1", 5] = [1.0]
    maker.rows["fact_price"]["A2 ", 5] = [1.0]
    detail = maker.check()["fact_price", "asset ids"].detail
    assert "beside a1 (fact_price)" in detail
    assert "beside A2  (fact_price)" in detail


def test_ids_that_differ_in_case_from_the_projects_list(maker: Maker) -> None:
    maker.assets.append("usdt")
    for table in VALUES:
        maker.rows[table]["usdt", 5] = [1.0]
    item = maker.check()["fact_price", "asset ids"]
    assert item.verdict == "fail"
    assert "beside USDT (seeds/excluded_assets.csv)" in item.detail
    maker.flagged = ["usdt"]  # then nobody needs the list
    assert maker.check()["fact_price", "asset ids"].verdict == "ok"


def test_a_btc_row_far_in_the_future(maker: Maker) -> None:
    far = (date(2099, 12, 31) - START).days
    maker.rows["fact_price"]["BTC", far] = [100.0]
    items = maker.check()
    item = items["fact_price", "stray dates"]
    assert item.verdict == "fail"
    assert "1 of BTC (2099-12-31)" in item.detail
    assert "(2024-01-01 to 2024-04-29)" in item.detail
    assert f"would have {far + 1:,} days" in (item.remedy or "")
    others = {*verdicts(items, "fail"), *verdicts(items, "warn")} - {FEW_ALTS}
    others = {key for key in others if key[1] != "depth"}
    assert others == {("fact_price", "stray dates")}, "other items are about the rest"


@pytest.mark.parametrize("table", list(VALUES))
def test_rows_of_others_far_away(maker: Maker, table: str) -> None:
    maker.rows[table]["A1", -19_000] = maker.rows[table]["A1", 0]
    item = maker.check()[table, "stray dates"]
    assert item.verdict == "warn"
    assert "more than a year away from the other rows (2024-01-01 to 2024-04-29): " in item.detail
    assert f"1 of A1 ({START - timedelta(19_000)})" in item.detail


def test_a_year_long_hole_in_the_midst_is_no_stray(maker: Maker) -> None:
    for asset, day in itertools.product(maker.assets, range(60, N_DAYS)):
        maker.rows["fact_volume"][asset, day + 500] = maker.rows["fact_volume"].pop((asset, day))
    items = maker.check()
    assert items["fact_volume", "stray dates"].verdict == "ok"
    assert items["fact_volume", "days without rows"].verdict == "warn"


@pytest.mark.parametrize("n_days", [2**31 - 1, 2**31 - 2, -(2**31), 2_932_896, 2_932_897])
@pytest.mark.parametrize("table", list(VALUES))
def test_dates_at_the_end_of_the_calendar(maker: Maker, table: str, n_days: int) -> None:
    maker.check()
    file = maker.folder / f"{table}.parquet"
    rows = pq.read_table(file)
    dates = rows["date"].cast(pa.int32()).to_pylist()
    for asset in ("BTC", "A1"):
        dates[rows["asset_id"].to_pylist().index(asset)] = n_days
    changed = pa.array(dates, pa.int32()).cast(pa.date32())
    pq.write_table(rows.set_column(1, "date", changed), file)
    item = by_check(check_lake(open_lake(maker.folder)))[table, "impossible values"]
    assert item.verdict == "warn"
    assert item.detail.startswith("2 impossible date (first: ")


def test_btc_beyond_the_calendar_alone(maker: Maker) -> None:
    maker.check()
    file = maker.folder / "fact_price.parquet"
    rows = pq.read_table(file)
    ends = pa.array([2**31 - 1] * len(rows), pa.int32()).cast(pa.date32())
    pq.write_table(rows.set_column(1, "date", ends), file)
    with pytest.raises(MsmError, match="no usable price of BTC"):
        open_lake(maker.folder)


@pytest.mark.parametrize("table", list(VALUES))
def test_values_that_alternate_between_extremes(maker: Maker, table: str) -> None:
    for day in range(N_DAYS):
        maker.rows[table]["A1", day] = [9e14 if day % 2 else 1e-12]
    items = maker.check()
    if table == "fact_price":
        assert items[table, "jumps"].verdict == "fail", "a run stops at such a rise"
        assert "119 one-day moves" in items[table, "jumps"].detail
        assert "A1 2024-01-03 1.11e-27x" in items[table, "jumps"].detail


@pytest.mark.parametrize("table", ["fact_volume", "fact_marketcap", "fact_funding"])
def test_a_table_of_values_out_of_range_fails(maker: Maker, table: str) -> None:
    for asset, day in itertools.product(maker.assets[2:], range(N_DAYS)):
        maker.rows[table][asset, day] = [9.9e17]
    item = maker.check()[table, "impossible values"]
    assert item.verdict == "fail"
    assert item.detail.startswith("67% of the rows are dropped: 480 out of range")


@pytest.mark.parametrize("peg", ["USD", "BTC", "ETH"])
@pytest.mark.parametrize("yearly", [0.0, 0.04])
def test_large_assets_that_follow_something(maker: Maker, peg: str, yearly: float) -> None:
    noise = np.random.default_rng(3).normal(0, 5e-4, N_DAYS)
    followed = np.zeros(N_DAYS) if peg == "USD" else maker.moves(peg)
    maker.move_price("A1", followed + noise + yearly / 365)
    item = maker.check()["fact_price", "pegs"]
    assert item.verdict == "warn"
    assert f"large, following USD, gold, BTC or ETH, and not excluded: A1 ({peg}," in (item.detail)
    assert (item.remedy or "").endswith('universe:\n  exclude_assets: ["A1"]')
    maker.flagged = ["A1"]
    assert maker.check()["fact_price", "pegs"].verdict == "ok"


def test_pegged_and_small_or_listed_or_young_is_nothing_to_tell(maker: Maker) -> None:
    for day in range(N_DAYS):
        maker.rows["fact_price"]["A1", day] = [1.0]
        maker.rows["fact_marketcap"]["A1", day] = [4e7]
        for table in VALUES:
            maker.rows[table]["USDT", day] = [1e9]
            if day < 60:  # 59 changes
                maker.rows[table]["A5", day] = [1e9]
    assert maker.check()["fact_price", "pegs"].verdict == "ok"


def test_data_that_cannot_be_read_is_one_clear_error(maker: Maker) -> None:
    maker.check()
    lake = open_lake(maker.folder)
    (maker.folder / "fact_volume.parquet").unlink()
    with pytest.raises(MsmError, match="a file of fact_volume cannot be read"):
        check_lake(lake)


def test_exit_code_and_table(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", n_assets=45, n_days=400)
    report = check_lake(open_lake(lake))
    assert (report.verdict, report.exit_code) == ("warn", 0)
    (lake / "lake.yaml").unlink()
    report = check_lake(open_lake(lake))
    assert (report.verdict, report.exit_code) == ("fail", 1)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(lake_report(report))
    shown = console.export_text()
    assert "fact_funding" in shown
    assert "- exchange: AlphaX" in shown


def test_the_check_changes_nothing(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", n_assets=45, n_days=200)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in lake.iterdir()}
    check_lake(open_lake(lake))
    after = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in lake.iterdir()}
    assert after == before


def test_a_check_keeps_to_the_limits_and_spills_where_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(write_sample_lake(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSM_THREADS", "1")
    monkeypatch.setenv("MSM_MEMORY_LIMIT", "100MB")
    check_lake(lake)
    assert [entry.name for entry in tmp_path.iterdir()] == ["lake"]
    monkeypatch.setenv("MSM_MEMORY_LIMIT", "5MB")
    with pytest.raises(MsmError, match=r"cannot be checked(.|\n)*MSM_MEMORY_LIMIT"):
        check_lake(lake)


def test_sample_lake_has_the_blemishes_of_its_readme(tmp_path: Path) -> None:
    items = by_check(check_lake(open_lake(write_sample_lake(tmp_path / "lake"))))
    assert verdicts(items, "fail") == []
    assert all(item.verdict == "ok" for key, item in items.items() if key[1] in PITFALLS)
    for name in VALUES:
        assert items[name, "duplicates"].detail.startswith("10 surplus rows")
    assert items["fact_price", "impossible values"].detail.count("first:") == 3
    assert items["fact_price", "gaps of assets"].detail.startswith("6 in 6 assets")
    assert items["fact_price", "jumps"].detail.startswith("2 one-day moves")
    assert items["fact_price", "assets that end"].verdict == "warn"
    assert "percent from" in items["fact_funding", "unit"].detail
    assert items["fact_funding", "unit"].verdict == "ok"
    assert items["dim_asset", "flags"].detail == (
        "2 is_stable, 2 is_wrapped, 1 is_wrapped_stable, 2 is_exchange_token"
    )


def test_real_lake_has_the_blemishes_of_its_readme(real_lake: Path, tmp_path: Path) -> None:
    report = check_lake(open_lake(real_lake))
    items = by_check(report)
    assert report.exit_code == 0
    found = {key: item for key, item in items.items() if key[1] in PITFALLS}
    sparse = found.pop(("fact_price", "daily closes"))
    assert sparse.detail.startswith("1 of 660 assets have a close on some days only: HIVE on 71%")
    assert all(item.verdict == "ok" for item in found.values())
    assert items["fact_price", "rows"].detail.startswith("500,948 rows, 660 assets, 2021-01-01 to")
    assert items["fact_funding", "rows"].detail.startswith("300,850 rows, 510 assets, 2023-04-19")
    assert "percent from 2026-01-13" in items["fact_funding", "unit"].detail
    assert items["fact_funding", "wild rates"].detail.startswith("2 beyond 9% a day")
    assert "{id: 1000SHIB, asset_id: SHIB, multiple: 1000}" in (
        items["fact_price", "multiples"].remedy or ""
    )
    assert "{id: EOS, asset_id: A, until: 2025-05-27}" in (
        items["fact_price", "renames"].remedy or ""
    )
    assert "2026-01-28: 166 -> 506" in items["fact_marketcap", "breadth"].detail
    assert items["fact_marketcap", "jumps"].verdict == "warn"
    assert "around 2025-11-13" in items["fact_volume", "level"].detail
    assert "2025-10-28 to 2026-02-19" in items["fact_open_interest", "days without rows"].detail
    assert "at most 1 instrument an asset" in items["fact_open_interest", "depth"].detail
    assert items["fact_price", "assets that end"].verdict == "warn"
    assert "TAO 2023-03-06" in items["fact_price", "jumps"].detail
    assert "SHIB 2021-01-30" in items["fact_price", "jumps"].detail
    assert "11 is_stable, 1 is_wrapped, 8 is_exchange" in items["dim_asset", "flags"].detail


def test_real_lake_without_its_lake_yaml(real_lake: Path, tmp_path: Path) -> None:
    for file in real_lake.glob("*.parquet"):
        (tmp_path / file.name).symlink_to(file)
    item = by_check(check_lake(open_lake(tmp_path)))["fact_funding", "unit"]
    assert item.verdict == "fail"
    assert item.remedy is not None
    assert "{until: 2026-01-12, unit: decimal}" in item.remedy
    assert "{from: 2026-01-13, unit: percent}" in item.remedy


# --- What runs have ------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "words"), [(1e-3, "thousands"), (1e-6, "millions")])
def test_market_caps_in_another_scale_are_named_with_what_runs_have(
    maker: Maker, factor: float, words: str
) -> None:
    caps = maker.rows["fact_marketcap"]
    maker.rows["fact_marketcap"] = {key: [value[0] * factor] for key, value in caps.items()}
    items = maker.check()
    scale, reach = items["fact_marketcap", "scale"], items[FEW_ALTS]
    assert scale.verdict == reach.verdict == "fail"
    assert f"market caps are in {words} of USD" in scale.detail
    assert f"multiply them by {1 / factor:,.0f}" in str(scale.remedy)
    assert "0 of 4 alts ever reach min_mcap_usd (50,000,000)" in reach.detail
    assert "baskets are empty and runs stay flat" in str(reach.remedy)


def test_bitcoin_is_told_to_be_btc(maker: Maker) -> None:
    caps = maker.rows["fact_marketcap"]
    maker.rows["fact_marketcap"] = {
        ("bitcoin" if asset == "BTC" else asset, day): x for (asset, day), x in caps.items()
    }
    item = maker.check()["fact_marketcap", "majors"]
    assert item.verdict == "fail"
    assert item.detail == "no row of BTC: btc_dominance has no value"
    assert "rename bitcoin to BTC" in str(item.remedy)


def test_a_table_that_lacks_a_major_warns(maker: Maker) -> None:
    rates = maker.rows["fact_funding"]
    maker.rows["fact_funding"] = {key: x for key, x in rates.items() if key[0] != "ETH"}
    item = maker.check()["fact_funding", "majors"]
    assert (item.verdict, item.remedy) == ("warn", "add ETH to the table")


def test_what_runs_have_is_counted_by_year(maker: Maker) -> None:
    maker.flagged = ["A4"]
    for day in range(N_DAYS):
        maker.rows["fact_marketcap"]["A3", day] = [4e7]
        if day > 10:
            maker.rows["fact_volume"]["A2", day] = [10.0]
    item = maker.check()[FEW_ALTS]
    assert item.detail == (
        "2 of 3 alts ever reach min_mcap_usd (50,000,000); eligible on the median day of a year, "
        "with volume: 2024: 1"
    )
    assert "baskets of 20 are never full" in str(item.remedy)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "json", "feather"])
@pytest.mark.parametrize("table", ["fact_price", "fact_funding"])
def test_a_table_in_another_form_is_refused(maker: Maker, table: str, form: str) -> None:
    maker.check()
    (maker.folder / f"{table}.parquet").rename(maker.folder / f"{table}.{form}")
    with pytest.raises(MsmError, match=f"the table {table} is not Parquet") as caught:
        open_lake(maker.folder)
    assert caught.value.where == str(maker.folder / f"{table}.{form}")
    assert f"write it as {table}.parquet" in str(caught.value.remedy)


def test_a_summary_comes_first_and_last_and_what_is_well_on_request(maker: Maker) -> None:
    maker.check()
    report = check_lake(open_lake(maker.folder))
    for every in (False, True):
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(lake_report(report, every=every))
        lines = console.export_text().splitlines()
        summary = f"Lake {maker.folder.name} can be used; read what the check warns of"
        assert " ".join(lines[:2]).startswith(summary)
        assert summary in " ".join(lines[-3:])
        assert ("stray dates: none" in "\n".join(lines)) == every
        assert all(len(line) <= 80 for line in lines)
        assert "fact_price" in lines[2]


# --- Tables of other days ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shift", "word", "remedy"), [(1, "late", "add -1"), (-1, "early", "add 1")]
)
def test_market_caps_of_another_day_are_found(
    maker: Maker, shift: int, word: str, remedy: str
) -> None:
    caps = maker.rows["fact_marketcap"]
    maker.rows["fact_marketcap"] = {
        (asset, day + shift): value for (asset, day), value in caps.items()
    }
    item = maker.check()["fact_marketcap", "alignment"]
    assert item.verdict == "fail"
    assert f"its rows are dated a day too {word}" in item.detail
    assert ("see the future" in item.detail) == (word == "early")
    assert str(item.remedy).startswith(remedy)


@pytest.mark.parametrize("table", ["fact_marketcap", "fact_volume", "fact_open_interest"])
@pytest.mark.parametrize("shift", [-1, 1])
def test_the_real_lake_shifted_by_a_day_is_found(
    real_lake: Path, tmp_path: Path, table: str, shift: int
) -> None:
    for file in real_lake.glob("*"):
        (tmp_path / file.name).symlink_to(file)
    frame = pq.read_table(real_lake / f"{table}.parquet").to_pandas()
    frame["date"] = [day + timedelta(days=shift) for day in frame["date"]]
    (tmp_path / f"{table}.parquet").unlink()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / f"{table}.parquet")
    items = by_check(check_lake(open_lake(tmp_path)))
    found = {key for key, item in items.items() if key[1] == "alignment" and item.verdict == "fail"}
    assert found == {(table, "alignment")}
    assert items[table, "alignment"].remedy == (
        f"add {-shift} to its dates; if it is prices that are dated wrong, shift them"
    )


def test_an_asset_that_follows_gold_is_named(maker: Maker) -> None:
    maker.assets += ["PAXG", "GOLDISH"]
    for asset in ("PAXG", "GOLDISH"):
        for table, value in VALUES.items():
            for day in range(N_DAYS):
                maker.rows[table][asset, day] = [value]
        maker.move_price(asset)
    maker.move_price("GOLDISH", maker.moves("PAXG") + 1e-5)
    item = maker.check()["fact_price", "pegs"]
    assert "GOLDISH (gold, median move 0.00% a day)" in item.detail
    assert "PAXG (" not in item.detail
    assert "exclude.csv" in str(item.remedy)
