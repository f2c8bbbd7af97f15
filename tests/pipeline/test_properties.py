"""What no lake may break: changes that say nothing about the past, or nothing at all.

Small lakes with every blemish go through the whole graph, then the same lakes changed; what
changes are made is drawn. Each table of the database is held against what it was, every row and
column: to the last bit, but where prices are multiplied by what rounds them.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.graphs import TOLERANCE, Graph, Reading, build, differences, parted, until
from support.lakes import other_inputs, tiny_lake
from support.pipeline import EXCLUDED, contents, contents_apart_from_ids
from support.specs import ODD_SPECS, every_feature_spec, spec_of

from msm_py.lake import cutting
from msm_py.lake.exclusions import FILE as EXCLUDE_CSV
from msm_py.lake.opening import open_lake

ASSETS = ["BTC", "ETH", *(f"A{i:02}" for i in range(1, 9)), "USDX", "WETHX", "WUSDX", "EXCH"]
ALIASES = {"1000A04": "A04", "1000A05": "A05", "OLD5": "A05"}
EXCLUDED_BY_THE_EXPERIMENTS = "NOTME"
SEARCH = {
    "n_candidates": 4,
    "weights": {"btc_dominance": [-1.0, 1.0], "momentum": [-1.0, 1.0]},
    "thresholds": {"high": [0.05, 0.5]},
}

# how many examples: a build takes some seconds
FEW, MANY = 1, 4
EXAMPLES = pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def specs() -> list[dict[str, Any]]:
    """Return experiments that take every branch between them, and one that searches."""
    found = [spec_of(name, changes) for name, changes in ODD_SPECS.items()]
    found += [every_feature_spec(), spec_of("search", {"backtest": {"grid_search": SEARCH}})]
    for spec in found:
        # who ranks by volume asks for no market cap
        without_cap = ["Z_NO_CAP", "Z_SMALL"] if spec["experiment_id"] == "by_volume" else []
        spec["universe"]["exclude_assets"] = [EXCLUDED_BY_THE_EXPERIMENTS, *without_cap]
    return found


# --- Lakes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """What `tiny_lake` is asked for."""

    seed: int = 5
    n_days: int = 160
    early_rows: bool = False
    btc_gap_days: int = 0
    max_stale_days: int | None = None
    speaks_in_other_ways: bool = True

    def write(self, path: Path) -> Path:
        lake = tiny_lake(
            path,
            self.seed,
            n_days=self.n_days,
            early_rows=self.early_rows,
            btc_gap_days=self.btc_gap_days,
            max_stale_days=self.max_stale_days,
        )
        return other_inputs(lake) if self.speaks_in_other_ways else lake


def recipes(n: int) -> st.SearchStrategy[Recipe]:
    """Return one lake where few are asked for, so that what it gives is computed once."""
    if n == FEW:
        return st.just(Recipe())
    return st.builds(
        Recipe,
        seed=st.integers(0, 999),
        n_days=st.integers(150, 190),
        early_rows=st.booleans(),
        btc_gap_days=st.sampled_from([0, 2, 5]),
        max_stale_days=st.sampled_from([None, 1, 5]),
        speaks_in_other_ways=st.booleans(),
    )


@dataclass
class Lakes:
    """Lakes that were written, and what they gave."""

    root: Path
    known: dict[Recipe, Graph] = field(default_factory=dict)
    n_places: int = 0

    def place(self) -> Path:
        """Return a new folder."""
        self.n_places += 1
        place = self.root / str(self.n_places)
        place.mkdir()
        return place

    def graph(self, recipe: Recipe) -> Graph:
        """Return what a lake gives, as it stands."""
        if recipe not in self.known:
            place = self.place()
            self.known[recipe] = build(recipe.write(place / "lake"), specs(), place)
        return self.known[recipe]

    def changed(self, graph: Graph, change: Callable[[str, pa.Table], pa.Table]) -> Graph:
        """Return what a lake gives whose tables went through ``change``."""
        place = self.place()
        return build(rewritten(graph.lake, place / "lake", change), graph.experiments, place)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Lakes:
    return Lakes(tmp_path_factory.mktemp("lakes"))


def tables_of(lake: Path) -> dict[str, pa.Table]:
    found: dict[str, list[pa.Table]] = {}
    for file in sorted(lake.rglob("*.parquet")):
        name = file.relative_to(lake).parts[0].removesuffix(".parquet")
        found.setdefault(name, []).append(pq.read_table(file, partitioning=None))
    return {name: pa.concat_tables(parts) for name, parts in found.items()}


def rewritten(lake: Path, folder: Path, change: Callable[[str, pa.Table], pa.Table]) -> Path:
    folder.mkdir()
    shutil.copyfile(lake / "lake.yaml", folder / "lake.yaml")
    for name, table in tables_of(lake).items():
        pq.write_table(change(name, table), folder / f"{name}.parquet")
    return folder


def holds(n: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Try a property on examples, always the same; none is made smaller, which would take long."""

    def tried(check: Callable[..., None]) -> None:
        settings(
            max_examples=n,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(recipe=recipes(n), **drawn)(check))()

    return tried


# --- Nothing is known of later days --------------------------------------------------------------


def btc_close_before(lake: Path, n_days: int) -> date:
    """Return the last day with a BTC close among so many: with the last one the grid ends."""
    prices = tables_of(lake)["fact_price"]
    closes = prices.filter(
        pc.and_(pc.equal(prices["asset_id"], "BTC"), pc.is_finite(prices["close"]))
    )
    until = pc.less(closes["date"], date(2024, 1, 1) + timedelta(days=n_days))
    found: date = pc.max(closes["date"].filter(until)).as_py()
    return found


@EXAMPLES
@pytest.mark.parametrize("future", ["cut off", "other numbers"])
def test_the_future_changes_nothing(future: str, n: int, lakes: Lakes) -> None:
    @holds(n, share=st.floats(0.6, 0.97), seed=st.integers(0, 99))
    def check(recipe: Recipe, share: float, seed: int) -> None:
        whole = lakes.graph(recipe)
        last_day = btc_close_before(whole.lake, int(share * recipe.n_days))
        noise = seed if future == "other numbers" else None
        place = lakes.place()
        cutting.write_lake(open_lake(whole.lake), place / "lake", until=last_day, noise=noise)
        other = build(place / "lake", until(whole, last_day), place)
        assert parted(whole, other, last_day, with_noise=noise is not None) == []


def test_on_the_day_of_a_forced_exit_nobody_knows_whether_prices_come_back(lakes: Lakes) -> None:
    """A04 has no price from 2024-04-29 on, leaves the basket on 2024-05-02 and comes back later."""
    spec = spec_of("monthly", {"backtest": {"rebalance_frequency_days": 30}})
    last_day, place = date(2024, 5, 3), lakes.place()
    whole = build(tiny_lake(place / "lake", seed=3), [spec], place)
    cut = lakes.place()
    cutting.write_lake(open_lake(whole.lake), cut / "lake", until=last_day, noise=None)
    other = build(cut / "lake", until(whole, last_day), cut)
    assert parted(whole, other, last_day, with_noise=False) == []


# --- Nothing hangs on how a lake is written ------------------------------------------------------


def same_folders(left: Graph, right: Graph) -> None:
    for name, folder in left.folders.items():
        expected = contents_apart_from_ids(folder)
        found = contents_apart_from_ids(right.folders[name])
        assert [x for x in expected if expected[x] != found[x]] == [], name


@EXAMPLES
def test_the_order_of_assets_and_rows_and_the_number_of_files_change_nothing(
    n: int, lakes: Lakes
) -> None:
    known = [*ASSETS, *ALIASES]

    @holds(
        n,
        assets=st.permutations(known).filter(lambda x: x != known),
        days=st.sampled_from(["in no order", "backwards", "forwards"]),
        n_files=st.integers(2, 9),
        seed=st.integers(0, 99),
    )
    def check(recipe: Recipe, assets: Sequence[str], days: str, n_files: int, seed: int) -> None:
        graph = lakes.graph(recipe)
        place, rng = lakes.place(), np.random.default_rng(seed)
        for name, table in tables_of(graph.lake).items():
            places = pc.index_in(table["asset_id"], pa.array(assets)).to_numpy()
            second = rng.random(table.num_rows)
            if days != "in no order" and "date" in table.column_names:
                second = table["date"].cast(pa.int32()).to_numpy()
                second = -second if days == "backwards" else second
            ordered = table.take(np.lexsort((second, places)))
            own = rng.integers(n_files, size=table.num_rows)
            for number in range(n_files):
                part = ordered.filter(pa.array(own == number))
                if number % 2:  # columns are found by their names
                    part = part.select(part.column_names[::-1])
                folders = ["deep", f"part={number}"][: number % 3]
                file = place.joinpath("lake", name, *folders, f"{number}.parquet")
                file.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(part, file, row_group_size=int(rng.integers(7, 999)))
        shutil.copyfile(graph.lake / "lake.yaml", place / "lake" / "lake.yaml")
        other = build(place / "lake", graph.experiments, place)
        assert differences(graph, other) == []
        same_folders(graph, other)


# --- Nothing hangs on what assets are called -----------------------------------------------------

LETTERS = "ABCXYZabcxyz0189_.-"
NAMES = (
    st.lists(st.text(LETTERS, min_size=2, max_size=9), min_size=12, max_size=12, unique=True)
    .filter(lambda names: not EXCLUDED & {*names} and not {*ASSETS, *ALIASES} & {*names})
    .filter(lambda names: names != sorted(names))
)


@EXAMPLES
def test_names_of_assets_change_nothing(n: int, lakes: Lakes) -> None:
    """But where two are equally large: then names decide, and theirs keep their order here."""

    @holds(n, names=NAMES)
    def check(recipe: Recipe, names: Sequence[str]) -> None:
        new = dict(zip(ASSETS[2:], names, strict=True))
        new["A02"], new["A03"] = sorted((new["A02"], new["A03"]))
        raw = {**new, **{id_: f"{new[asset]}/{id_}" for id_, asset in ALIASES.items()}}

        def change(name: str, table: pa.Table) -> pa.Table:
            ids = [raw.get(x, x) for x in table["asset_id"].to_pylist()]
            place = table.column_names.index("asset_id")
            return table.set_column(place, "asset_id", pa.array(ids))

        graph = lakes.graph(recipe)
        place = lakes.place()
        lake = rewritten(graph.lake, place / "lake", change)
        known, _, aliases = (lake / "lake.yaml").read_text().partition("aliases:\n")
        found = [
            json.dumps({**alias, **{x: raw[alias[x]] for x in ("id", "asset_id")}}, default=str)
            for alias in yaml.safe_load(aliases) or []
        ]
        (lake / "lake.yaml").write_text(f"{known}aliases: [{', '.join(found)}]\n")
        other = build(lake, graph.experiments, place)
        back = Reading(ids={after: before for before, after in raw.items()})
        assert differences(graph, other, as_right=back) == []


# --- Nothing hangs on the unit of a price --------------------------------------------------------


@EXAMPLES
@pytest.mark.parametrize("kind", ["powers of two", "any"])
def test_prices_of_an_asset_may_have_any_unit(kind: str, n: int, lakes: Lakes) -> None:
    """Powers of two round nothing. Supplies change with prices: market caps are in dollars."""
    of_two = st.integers(-20, 20).map(lambda k: 2.0**k)
    one = of_two if kind == "powers of two" else st.floats(1e-3, 1e3)
    drawn = st.lists(one, min_size=len(ASSETS), max_size=len(ASSETS))

    @holds(n, factors=drawn.filter(lambda x: len(set(x)) > 5))
    def check(recipe: Recipe, factors: Sequence[float]) -> None:
        of_asset = dict(zip(ASSETS, factors, strict=True))

        def change(name: str, table: pa.Table) -> pa.Table:
            for column, sign in (("close", 1), ("circulating_supply", -1)):
                if column in table.column_names:
                    assets = [ALIASES.get(x, x) for x in table["asset_id"].to_pylist()]
                    factor = pa.array([of_asset[x] ** sign for x in assets])
                    place = table.column_names.index(column)
                    table = table.set_column(place, column, pc.multiply(table[column], factor))
            return table

        graph = lakes.graph(recipe)
        other = lakes.changed(graph, change)
        tolerance = 0.0 if kind == "powers of two" else TOLERANCE
        scaled = Reading(factors=of_asset)
        assert differences(graph, other, as_left=scaled, tolerance=tolerance) == []
        if tolerance == 0:
            same_folders(graph, other)


# --- Nothing hangs on assets that nobody holds ---------------------------------------------------

FLAGS = ("is_stable", "is_wrapped", "is_wrapped_stable", "is_exchange_token")
NEVER_HELD = {
    **{f"Z_{flag}": "has a flag" for flag in FLAGS},
    sorted(EXCLUDED - {*ASSETS})[7]: "is in the list of the project",
    "Z_OF_LAKE": "is in the list of the lake",
    EXCLUDED_BY_THE_EXPERIMENTS: "is in their own lists",
    "Z_SMALL": "has too small a market cap",
    "Z_NO_CAP": "has no market cap",
    "Z_STILL": "has too little volume",
    "Z_NO_PRICE": "has all but prices",
}


def with_others(lake: Path, folder: Path, of: Mapping[str, str], size: float) -> Path:
    """Write a lake with assets beside its own that are others once more, so much larger."""
    folder.mkdir()
    shutil.copyfile(lake / "lake.yaml", folder / "lake.yaml")
    with (folder / EXCLUDE_CSV).open("w", newline="") as text:
        csv.writer(text).writerows([("asset_id", "reason"), ("Z_OF_LAKE", "as we like it")])
    left_out = {
        ("Z_NO_CAP", "fact_marketcap"),
        ("Z_NO_CAP", "fact_supply"),
        ("Z_NO_PRICE", "fact_price"),
    }
    for name, table in tables_of(lake).items():
        tables = [table]
        for asset, model in of.items():
            own = table.filter(pc.equal(table["asset_id"], model))
            if (asset, name) in left_out or (asset.startswith("Z_") and name == "fact_supply"):
                continue
            for column in ("marketcap", "volume", "open_interest_usd"):
                if column in own.column_names:
                    factor = size
                    if (asset, column) == ("Z_SMALL", "marketcap"):
                        factor = 1e-12
                    if (asset, column) == ("Z_STILL", "volume"):
                        factor = 0.0
                    own = _with(own, column, pc.multiply(own[column], factor))
            if name == "dim_asset":
                for flag in FLAGS:
                    own = _with(own, flag, pa.array([asset == f"Z_{flag}"] * own.num_rows))
            tables.append(_with(own, "asset_id", pa.array([asset] * own.num_rows, pa.string())))
        pq.write_table(
            pa.concat_tables(tables, promote_options="permissive"), folder / f"{name}.parquet"
        )
    return folder


def _with(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


@EXAMPLES
def test_assets_that_nobody_may_hold_change_nothing(n: int, lakes: Lakes) -> None:
    models = st.lists(
        st.sampled_from(["BTC", "ETH", "A01", "A02", "A07"]),
        min_size=len(NEVER_HELD),
        max_size=len(NEVER_HELD),
    )

    @holds(n, models=models, size=st.sampled_from([100.0, 1.0, 0.5]))
    def check(recipe: Recipe, models: Sequence[str], size: float) -> None:
        graph = lakes.graph(recipe)
        place = lakes.place()
        of = dict(zip(NEVER_HELD, models, strict=True))
        lake = with_others(graph.lake, place / "lake", of, size)
        other = build(lake, graph.experiments, place)
        own = Reading(without_assets=NEVER_HELD)
        # of rows, whosever they are
        counts = ("lake_tables", "row_counts", "dropped_rows", "quality_days", "quality_findings")
        assert differences(graph, other, as_left=own, as_right=own, apart_from=counts) == []


# --- Nothing hangs on other experiments ----------------------------------------------------------

N_SPECS = len(ODD_SPECS) + 2


@EXAMPLES
def test_alone_or_with_others_is_the_same(n: int, lakes: Lakes) -> None:
    @holds(n, chosen=st.lists(st.integers(0, N_SPECS - 1), min_size=1, max_size=2, unique=True))
    def check(recipe: Recipe, chosen: Sequence[int]) -> None:
        graph = lakes.graph(recipe)
        other = build(graph.lake, [graph.experiments[x] for x in chosen], lakes.place())
        for name, folder in other.folders.items():
            assert folder.name == graph.folders[name].name
            assert contents(folder) == contents(graph.folders[name])
