"""Every fact stands in one place: what is made from a declaration follows it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.pipeline import ROOT

from msm_py import settings
from msm_py.cli import schema
from msm_py.dbt_models import run_content, runs, sharpe_tests
from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve
from msm_py.experiment.load import from_resolved
from msm_py.lake import contract_text, loading
from msm_py.lake.contract import REASONS, SQL_TYPES, TABLES, LakeColumn, TableSpec
from msm_py.store import catalog_columns, declared_text, layout, origin
from msm_py.store.declarations import Column, Table
from msm_py.store.warehouse_tables import ALL_TABLES, CATALOG, DAILY, EDGES, VIEWS

EVERYTHING = {**ALL_TABLES, **VIEWS}


# --- What is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", schema.FILES)
def test_what_is_made_from_a_declaration_is_current(name: str) -> None:
    text = (ROOT / name).read_text()
    assert schema.FILES[name](text) == text, "run `make schema`"


@pytest.mark.parametrize("name", schema.FILES)
def test_drift_is_found_and_mended(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dbt_project.yml").touch()
    for file in (*schema.FILES, "seeds/feature_registry.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    monkeypatch.setenv(settings.ENVIRONMENT_VARIABLE, str(tmp_path))
    assert schema.main(["--check"]) == 0
    drifted, text = tmp_path / name, (ROOT / name).read_text()
    lines = text.splitlines(keepends=True)
    marks = [place for place, line in enumerate(lines) if schema.END in line]
    lines.insert(marks[-1] if marks else -1, "drift\n")
    written = "".join(lines)
    drifted.write_text(written)
    assert schema.main(["--check"]) == 1
    assert str(drifted) in capsys.readouterr().err
    assert drifted.read_text() == written, "a check writes nothing"
    assert schema.main([]) == 0
    assert drifted.read_text() == text


def test_a_file_that_lost_its_marks_is_named(tmp_path: Path) -> None:
    for file in schema.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    bi = tmp_path / "docs" / "bi.md"
    bi.write_text(bi.read_text().replace(f"{schema.END}: columns", ""))
    with pytest.raises(MsmError) as caught:
        schema.drifted(tmp_path)
    assert str(bi) in str(caught.value)
    assert "end of what is written: columns" in str(caught.value)


# --- The warehouse -------------------------------------------------------------------------------


def database(tables: Mapping[str, Table]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for table in tables.values():
        make = declared_text.create_table if table.query is None else declared_text.create_view
        for statement in (make(table), *declared_text.comments(table)):
            con.execute(statement)
    return con


def test_tables_and_views_have_the_declared_columns_types_and_comments() -> None:
    con = database(EVERYTHING)
    for name, table in EVERYTHING.items():
        found = con.execute(
            "select column_name, lower(data_type), comment from duckdb_columns() "
            "where table_name = ? order by column_index",
            [name],
        ).fetchall()
        assert found == [(column.name, column.type, column.text) for column in table], name
    described = con.execute(
        "select table_name, comment from duckdb_tables() union all "
        "select view_name, comment from duckdb_views() where not internal"
    ).fetchall()
    assert dict(described) == {name: table.description for name, table in EVERYTHING.items()}


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_description_begins_with_the_grain_and_names_are_said_once(name: str) -> None:
    table = EVERYTHING[name]
    assert table.row.startswith("One row per ")
    assert len(set(table.names)) == len(table.names)
    for column in table:
        assert re.fullmatch(r"\S.*[.!]", column.description), column
        assert re.fullmatch(r"\d+\.\d+\.\d+", column.since), column


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_column_whose_name_has_a_unit_declares_it(name: str) -> None:
    units = {
        "_usd": "USD",
        "_bps": "basis points of what is traded",
        "_seconds": "seconds",
        "pct": "percent",
    }
    for column in EVERYTHING[name]:
        for ending, unit in units.items():
            if column.name.endswith(ending):
                assert column.unit == unit, column.name


def test_columns_of_run_folders_are_those_of_the_warehouse() -> None:
    assert DAILY.names == ["run_id", *layout.TIMESERIES_COLUMNS, *layout.RETURNS_COLUMNS[1:]]
    assert ALL_TABLES["baskets"].names == ["basket_panel", *layout.BASKET_COLUMNS]
    assert ALL_TABLES["features"].names == ["feature_panel", *layout.FEATURES_COLUMNS]


def test_names_of_columns_in_run_folders_change_the_fingerprint_descriptions_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = origin.code_fingerprint.__wrapped__()
    file = ROOT / "msm_py" / "store" / "run_file_columns.py"
    assert file not in origin._files(ROOT)
    monkeypatch.setattr(origin, "COLUMNS", (*origin.COLUMNS, ("one_more",)))
    assert origin.code_fingerprint.__wrapped__() != before


def test_what_a_run_writes_of_itself_are_the_columns_of_the_catalog() -> None:
    experiment = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    performance = dict.fromkeys((*run_content.PERFORMANCE, *run_content.TRADING), 0.0)
    metrics = {
        "window": dict.fromkeys(("first_date", "last_date", "n_days", "n_test_days")),
        "headline": {"net": performance, "gross": performance},
        "controls": {"ungated_net": performance, "btc": None},
        "sharpe_tests": dict.fromkeys(sharpe_tests.FIGURES),
        "stability": {
            **dict.fromkeys(column.name for column in catalog_columns.STABILITY),
            "regime_distribution": [{"regime": "BALANCED", "pct": 100.0}],
        },
        "coverage": dict.fromkeys(run_content.COVERAGE),
        "suspect_gains": dict.fromkeys(run_content.SUSPECT_SHARES),
        "warnings": [],
    }
    run: dict[str, Any] = {
        "run_id": "a-0123456789",
        "title": "A",
        "category_path": "msm",
        "experiment_id": "a",
        "spec_json": json.dumps(resolve(from_resolved(experiment)), default=str),
    }
    provenance = origin.Provenance("lake", "code", "name", [], [], datetime.now(UTC))
    entry = run_content.catalog_entry(run, metrics, provenance)
    # which the warehouse takes from the manifest, or from all runs
    of_manifest = {"created_at", "git_commit", "git_dirty", "duration_seconds", "question"}
    of_family = {column.name for column in catalog_columns.FAMILY}
    assert entry.keys() | of_manifest | of_family == set(CATALOG.names)
    assert not entry.keys() & (of_manifest | of_family)


# --- The lake ------------------------------------------------------------------------------------


def test_a_reason_has_a_rule_that_finds_its_rows() -> None:
    """One row for every reason that the table can have, in the order of the reasons."""
    values = {
        "missing value": None,
        "not a number": float("nan"),
        "infinite": float("inf"),
        "out of range": 1e15,
        "not positive": 0.0,
        "negative": -1.0,
    }
    con = duckdb.connect()
    for name, spec in TABLES.items():
        if spec.value is None:
            continue
        rows: list[tuple[str | None, str, float | None, str]] = [
            ("A", "2024-01-01", values[x.name], x.name)
            for x in REASONS
            if x.name in values and fits(x.name, spec)
        ]
        rows += [
            (None, "2024-01-01", 1.0, "missing key"),
            ("A", "2200-01-01", 1.0, "impossible date"),
        ]
        con.execute(
            f"create or replace table {name} "
            f"(asset_id varchar, date date, {spec.value} double, expected varchar)"
        )
        con.executemany(f"insert into {name} values (?, ?, ?, ?)", rows)
        found = con.execute(f"select {loading.unusable(spec)}, expected from {name}").fetchall()
        assert all(reason == expected for reason, expected in found), name


def fits(reason: str, spec: TableSpec) -> bool:
    (least,) = {x.least for x in REASONS if x.name == reason}
    return least in (None, spec.least)


def test_every_table_of_the_lake_is_staged_by_its_model() -> None:
    for name, spec in TABLES.items():
        model = (ROOT / "models" / "staging" / f"{spec.staged}.sql").read_text()
        assert f"source('lake', '{name}')" in model


def test_default_places_in_sql_are_those_of_settings() -> None:
    macro = (ROOT / "macros" / "published_file.sql").read_text()
    assert f"env_var('MSM_WAREHOUSE', '{settings.WAREHOUSE}')" in macro
    profile = yaml.safe_load((ROOT / "profiles.yml").read_text())
    text = json.dumps(profile)
    assert f"target/{settings.DATABASE_FILE}" in text
    table = (ROOT / "docs" / "architecture.md").read_text()
    for name, place in (
        ("MSM_LAKE", settings.LAKE),
        ("MSM_RUNS", settings.RUNS),
        ("MSM_WAREHOUSE", settings.WAREHOUSE),
    ):
        assert f"| `{name}` | `{place}` |" in table


# --- What to touch: the recipes of docs/architecture.md -------------------------------------------

NEW = Column("n_moons", "double", "It's | how many.", unit="moons", since="0.3.0")


def test_recipe_of_an_output_column(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = replace(CATALOG, columns=(*CATALOG.columns, NEW))
    edges = replace(EDGES, columns=(*EDGES.columns, NEW))
    con = database({"catalog": catalog, "edges": edges})
    for table in ("catalog", "edges"):
        found = con.execute(
            "select data_type, comment from duckdb_columns() "
            "where table_name = ? and column_name = 'n_moons'",
            [table],
        ).fetchall()
        assert found == [("DOUBLE", "It's | how many. Unit: moons. Since 0.3.0.")]
    monkeypatch.setattr(schema, "CATALOG", catalog)
    monkeypatch.setattr(schema, "ALL_TABLES", {**ALL_TABLES, "catalog": catalog, "edges": edges})
    groups = {**catalog_columns.GROUPS, "moons": (NEW,)}
    monkeypatch.setattr(catalog_columns, "GROUPS", groups)
    made = {name: make((ROOT / name).read_text()) for name, make in schema.FILES.items()}
    contract = yaml.safe_load(made["models/catalog/catalog.yml"])["models"][0]
    assert contract["columns"][-1] == {
        "name": "n_moons",
        "data_type": "double",
        "description": "It's | how many. Unit: moons. Since 0.3.0.\n",
    }
    row = "| `n_moons` | double | moons | It's \\| how many. Since 0.3.0. |"
    assert made["docs/bi.md"].splitlines().count(row) == 2


def test_recipe_of_a_metric() -> None:
    """One declared for returns stands in metrics.json and, net and gross, in the catalog."""
    sql = (ROOT / "models" / "evaluation" / "strategy_metrics.sql").read_text()
    for name in catalog_columns.PERFORMANCE:
        assert name in run_content.PERFORMANCE
        assert {f"net_{name}", f"gross_{name}"} <= set(CATALOG.names)
        assert re.search(rf"\b{name}\b", sql)


def test_recipe_of_a_yaml_key() -> None:
    """Of the schema's leaves, those that a model reads are columns of `runs`, or in its JSON."""
    experiment = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    asked = from_resolved(experiment)
    given = runs.Given((asked,), {})
    (row,) = runs.runs_table(given, "lake", "code").to_pylist()
    assert row.keys() == set(runs.RUNS_SCHEMA.names)
    assert json.loads(row["spec_json"]).keys() == resolve(asked).keys()


def test_recipe_of_a_feature() -> None:
    """Every row of the registry is a name in the model of its family, and no other is listed."""
    with (ROOT / "seeds" / "feature_registry.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    features = ROOT / "models" / "features"
    for row in rows:
        sql = (features / f"{row['family']}.sql").read_text()
        assert re.search(rf"\b{row['feature_id']}\b", sql), row
    listed = set()
    for model in features.glob("*.sql"):
        for names in re.findall(r"long_features\([^\[]*\[([^\]]*)\]", model.read_text()):
            listed |= set(re.findall(r"'([a-z0-9_]+)'", names))
    assert listed <= {row["feature_id"] for row in rows}


def test_recipe_of_a_lake_table(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TableSpec(
        required=False,
        description="One row per asset and day, duplicates not yet folded: moons.",
        declared=(
            LakeColumn("asset_id", "text", "The asset."),
            LakeColumn("date", "date", "The day."),
            LakeColumn("moons", "number", "How many.", unit="moons"),
        ),
        staged="stg_moons",
        key=("asset_id", "date"),
        without="no tides",
        least="not negative",
    )
    monkeypatch.setattr(contract_text, "TABLES", {**TABLES, "fact_moons": spec})
    monkeypatch.setattr(loading, "TABLES", {**TABLES, "fact_moons": spec})
    monkeypatch.setattr("msm_py.lake.opening.TABLES", {**TABLES, "fact_moons": spec})
    made = {name: make((ROOT / name).read_text()) for name, make in schema.FILES.items()}
    source = yaml.safe_load(made["models/inputs/_sources.yml"])["sources"][0]["tables"][-1]
    assert source["name"] == "fact_moons"
    assert [column["name"] for column in source["columns"]] == [*spec.all_columns, "unusable"]
    row = "| `fact_moons` | `asset_id`, `date`, `moons` (moons) |  | asset_id, date | no tides |"
    assert row in made["docs/lake.md"].splitlines()
    for name in ("staging/dropped_rows", "inputs/lake_tables"):
        assert "    'fact_moons': 'stg_moons',\n" in made[f"models/{name}.sql"]
    con = duckdb.connect()
    loading.load(con, None)
    found = con.execute("select column_name, lower(column_type) from (describe lake.fact_moons)")
    kinds = [(name, SQL_TYPES[kind]) for name, kind in spec.all_columns.items()]
    assert found.fetchall() == [*kinds, ("unusable", "varchar")]
