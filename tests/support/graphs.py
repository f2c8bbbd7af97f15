"""The whole graph on a lake, kept as a database, and where two such databases differ."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from support.pipeline import ROOT, in_project

from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.experiment.schema import Experiment
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import dated_tables, invocation, lookahead
from msm_py.settings import DATABASE_FILE, Places
from msm_py.store.origin import code_fingerprint

TOLERANCE = 1e-12
"""Of a number that is larger than 1, relative; else absolute: returns, rates, z-scores, weights."""
OF_THE_LAKE = frozenset({"experiments", "lake"})
"""Tables that say which files were read and what was asked, and hold no number of a market."""


@dataclass(frozen=True)
class Graph:
    """What one invocation computed.

    Parameters
    ----------
    lake
        The lake.
    experiments
        What was asked.
    database
        All models.
    folders
        The run folders, by experiment.
    order
        The models in the order in which they were built.
    """

    lake: Path
    experiments: Sequence[Experiment]
    database: Path
    folders: Mapping[str, Path]
    order: Sequence[str]


def build(lake: Path, specs: Sequence[Mapping[str, Any] | Experiment], place: Path) -> Graph:
    """Build all models but those that publish, and keep the database below ``place``."""
    experiments = [x if isinstance(x, Experiment) else from_resolved(x) for x in specs]
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    runs = [ResolvedRun.of(x, data, code) for x in experiments]
    places = Places(lake, place / "runs", place / "warehouse.duckdb")
    order: list[str] = []
    kept = place / DATABASE_FILE  # views name their database
    with (
        in_project(place),
        invocation.built_without(
            runs, places, ["warehouse+"], progress=lambda node: order.append(node.name)
        ) as built,
    ):
        shutil.copyfile(built, kept)
    with duckdb.connect(kept, read_only=True) as con:
        failed = con.sql("select * from run_artifacts where status <> 'complete'").fetchall()
    assert failed == []
    folders = {x.experiment.experiment_id: places.runs / x.run_id for x in runs}
    return Graph(lake, experiments, kept, folders, order)


# --- Up to a day ---------------------------------------------------------------------------------


def until(graph: Graph, last_day: Any) -> list[Experiment]:
    """Return a graph's experiments, their windows not beyond a day."""
    return [lookahead.until(x, last_day) for x in graph.experiments]


def parted(whole: Graph, other: Graph, last_day: Any, *, with_noise: bool) -> list[str]:
    """Return where two graphs part up to a day, as `msm check-lookahead` finds it."""
    ids = {
        other.folders[name].name: whole.folders[name].name
        for name in whole.folders.keys() & other.folders.keys()
    }
    sides = lookahead.Sides(whole.database, other.database, ids, whole.order, _declared())
    lag = max(x.backtest.execution_lag_days for x in whole.experiments)
    done = lookahead.compare(sides, last_day, lag, with_noise=with_noise)
    assert min(done.n_rows[name] for name in ("z_scores", "states", "daily_returns")) > 50
    return [str(parting) for parting in done.partings]


@cache
def _declared() -> dict[str, dated_tables.Declared]:
    return dated_tables.declarations(ROOT / "models")


# --- Everything ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How a database is read before it is compared.

    Parameters
    ----------
    ids
        What assets are called instead.
    factors
        What prices of assets are multiplied with.
    without_assets
        Whose rows are left out.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    without_assets: Collection[str] = ()

    def of(self, table: str, columns: Mapping[str, str]) -> str:
        """Return the query of a table of columns, given with their types."""
        listed = ", ".join(self._column(table, name, columns) for name in columns)
        gone = ", ".join(f"'{asset}'" for asset in self.without_assets)
        where = f" where asset_id not in ({gone})" if gone and "asset_id" in columns else ""
        return f'select {listed} from "{table}"{where} order by all'

    def _column(self, table: str, name: str, columns: Mapping[str, str]) -> str:
        price = (table, name) == ("universe_days", "btc_close")
        if self.factors and (price or (name in PRICES and "asset_id" in columns)):
            owner = "'BTC'" if price else "asset_id"
            return f'"{name}" {PRICES.get(name, "*")} {self._factor(owner)} as "{name}"'
        if self.ids and name == "asset_trades":
            changed = dated_tables.renamed("asset_id", self.ids).removesuffix(' as "asset_id"')
            changed = changed.replace('"asset_id"', "trade.asset_id")
            return (
                f"list_sort(list_transform({name}, lambda trade: struct_pack(asset_id := {changed},"
                f" turnover := trade.turnover, impact_cost := trade.impact_cost,"
                f" participation_per_usd := trade.participation_per_usd))) as {name}"
            )
        return dated_tables.renamed(name, self.ids if name.endswith("_id") else {})

    def _factor(self, owner: str) -> str:
        cases = " ".join(f"when '{asset}' then {x!r}::double" for asset, x in self.factors.items())
        return f"(case {owner} {cases} else 1.0::double end)"


PRICES = {"close": "*", "entry_close": "*", "circulating_supply": "/"}
"""Columns with the scale of a price, and how that enters."""


def differences(
    left: Graph,
    right: Graph,
    *,
    as_left: Reading = Reading(),  # frozen
    as_right: Reading = Reading(),
    tolerance: float = 0.0,
    apart_from: Collection[str] = (),
) -> list[str]:
    """Return in what tables of two graphs differ, every row and column, whatever their order.

    Parameters
    ----------
    left, right
        Graphs of the same experiments.
    as_left, as_right
        How they are read.
    tolerance
        How far apart numbers may be; 0: not by one bit.
    apart_from
        Tables that are not compared.
    """
    found: list[str] = []
    with ExitStack() as stack:
        a = stack.enter_context(duckdb.connect(left.database, read_only=True))
        b = stack.enter_context(duckdb.connect(right.database, read_only=True))
        runs = {right.folders[x].name: left.folders[x].name for x in left.folders}
        same = lookahead.same_ids(lookahead.strategies_of(a), lookahead.strategies_of(b), runs)
        as_right = Reading({**same, **as_right.ids}, as_right.factors, as_right.without_assets)
        tables = {name: x for name, x in _columns(a).items() if name not in OF_THE_LAKE}
        assert tables.keys() == _columns(b).keys() - OF_THE_LAKE
        for name, columns in tables.items():
            if name not in apart_from:
                one = a.sql(as_left.of(name, columns)).to_arrow_table()
                another = b.sql(as_right.of(name, columns)).to_arrow_table()
                if not one.equals(another):
                    found += _rests(name, one, another, tolerance)
    return found


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in con.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where schema_name = 'main' and not internal order by table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = type_
    return found


def _rests(name: str, left: pa.Table, right: pa.Table, tolerance: float) -> list[str]:
    """Return how rows differ that are on one side only, as the same key tells them together."""
    columns = ", ".join(f'"{x}"' for x in left.column_names)
    with duckdb.connect() as con:
        con.register("a", left)
        con.register("b", right)
        rests = [
            con.sql(f"select {columns} from {one} except all select {columns} from {other}")
            .to_arrow_table()
            .to_pylist()
            for one, other in (("a", "b"), ("b", "a"))
        ]
    if rests == [[], []]:
        return []
    known = _declared().get(name, dated_tables.Declared())
    key = [x for x in known.grain or left.column_names if x in left.column_names]
    key = [x for x in key if not _has_numbers(left.schema.field(x).type)]
    pairs: dict[str, list[list[Any]]] = {}
    for side, rest in enumerate(rests):
        for row in rest:
            pairs.setdefault(str([row[x] for x in key]), [[], []])[side].append(row)
    found = []
    for what, (ones, others) in pairs.items():
        if len(ones) != len(others):
            found.append(f"{name} {what}: {len(ones)} rows here, {len(others)} there")
            continue
        for one in ones:  # the key of some models may be missing, and then names many rows
            near = [x for x in others if close(one, x, tolerance)]
            other = near[0] if near else others[0]
            others.remove(other)
            found += [
                f"{name}.{x} {what}: {one[x]!r} and {other[x]!r}"
                for x in one
                if not close(one[x], other[x], tolerance)
            ]
    return found


def _has_numbers(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_nested(type_))


def close(left: Any, right: Any, tolerance: float) -> bool:
    """Return whether two values are the same, numbers in them nearly so."""
    if isinstance(left, float) and isinstance(right, float) and tolerance > 0:
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            close(a, b, tolerance) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            close(left[x], right[x], tolerance) for x in left
        )
    return bool(left == right)
