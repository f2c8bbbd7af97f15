"""Every fact stands in one place: what is made from a declaration follows it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml
from support.experiments import MINIMAL
from support.oracle.features import Features
from support.pipeline import ROOT

from msm_py import settings
from msm_py.cli import schema
from msm_py.dbt_models import run_content, run_row, runs, sharpe_tests, typed_rows
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.lake import contract_text, loading
from msm_py.lake.contract import REASONS, SQL_TYPES, TABLES, LakeColumn, TableSpec
from msm_py.store import catalog_columns, declared_text, layout, origin
from msm_py.store.catalog_columns import SHARE
from msm_py.store.declarations import Column, Table
from msm_py.store.warehouse_tables import ALL_TABLES, CATALOG, DAILY, EDGES
from msm_py.store.warehouse_views import VIEWS

EVERYTHING = {**ALL_TABLES, **VIEWS}
COPIED = (
    *schema.FILES,
    *("docs/performance.md", "pyproject.toml"),
    *("seeds/feature_registry.csv", "seeds/quality_checks.csv"),
)


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
    for file in COPIED:
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
    assert set(DAILY.names) - {"state_order", "held_state_order"} == {
        *(column.name for column in catalog_columns.RUN),
        *layout.TIMESERIES_COLUMNS,
        *layout.RETURNS_COLUMNS,
    }
    assert ALL_TABLES["baskets"].names == ["basket_panel", *layout.BASKET_COLUMNS]
    assert ALL_TABLES["features"].names == ["feature_panel", *layout.FEATURES_COLUMNS]
    of_run = [column.name for column in catalog_columns.RUN]
    assert ALL_TABLES["run_quality"].names == [*of_run, *layout.QUALITY_COLUMNS]


def test_names_of_columns_in_run_folders_change_the_fingerprint_descriptions_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = origin.code_fingerprint.__wrapped__()
    file = ROOT / "msm_py" / "store" / "run_file_columns.py"
    assert file not in origin._files(ROOT)
    monkeypatch.setattr(origin, "COLUMNS", (*origin.COLUMNS, ("one_more",)))
    assert origin.code_fingerprint.__wrapped__() != before


def test_what_a_run_writes_of_itself_are_the_columns_of_the_catalog() -> None:
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
    run = run_row.run_row(ResolvedRun.of(from_resolved(MINIMAL), "lake", "code"))
    provenance = origin.Provenance("lake", "code", "name", [], [], [], datetime.now(UTC))
    entry = run_content.catalog_entry(run, metrics, provenance)
    # which the warehouse takes from the manifest, or from all runs
    of_manifest = {
        *("created_at", "git_commit", "git_dirty", "duration_seconds"),
        *("question", "is_latest", "window_start", "window_end"),
    }
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
        "out of range": None,  # the table's own limit
        "not positive": 0.0,
        "negative": -1.0,
        "impossible interval": 24.5,
    }
    con = duckdb.connect()
    for name, spec in TABLES.items():
        if spec.value is None:
            continue
        rows: list[tuple[str | None, str, float | None, float | None, str]] = [
            (
                "A",
                "2024-01-01",
                spec.below if x.name == "out of range" else values[x.name],
                8,
                x.name,
            )
            for x in REASONS
            if x.name in values and x.column is None and x.concerns(spec)
        ]
        rows += [
            ("A", "2024-01-01", 1.0, values[x.name], x.name)
            for x in REASONS
            if x.column is not None and x.concerns(spec)
        ]
        rows += [
            (None, "2024-01-01", 1.0, None, "missing key"),
            ("A", "2200-01-01", 1.0, None, "impossible date"),
        ]
        others = "".join(f", {column} double" for column in spec.numbers[1:])
        con.execute(
            f"create or replace table {name} (asset_id varchar, date date, {spec.numbers[0]} "
            f"double, interval_hours double, expected varchar{others})"
        )
        con.executemany(
            f"insert into {name} by name select ? as asset_id, ?::date as date, "
            f"? as {spec.numbers[0]}, ? as interval_hours, ? as expected",
            rows,
        )
        found = con.execute(f"select {loading.unusable(spec)}, expected from {name}").fetchall()
        assert all(reason == expected for reason, expected in found), name


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


def followed(place: Path, *edits: tuple[str, str, str]) -> tuple[Path, set[str]]:
    """Return a copy of what declares and is made, edited, and the files that `make schema` wrote.

    Parameters
    ----------
    place
        An empty folder.
    edits
        File, the line after which something new stands, and that.
    """
    shutil.copytree(ROOT / "msm_py", place / "msm_py", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*COPIED, "dbt_project.yml", *(file for file, _, _ in edits)):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        if not (place / file).exists():
            shutil.copy(ROOT / file, place / file)
    for file, line, more in edits:
        text = (place / file).read_text()
        assert text.count(f"{line}\n") == 1, f"{file} has no such line, or several: {line}"
        (place / file).write_text(text.replace(f"{line}\n", f"{line}\n{more}\n"))
    said = in_copy(place, "-m", "msm_py.cli.schema")
    wrote = {Path(line.removeprefix("wrote ")) for line in said.splitlines()}
    return place, {file.relative_to(place).as_posix() for file in wrote}


def in_copy(place: Path, *words: str) -> str:
    return subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), settings.ENVIRONMENT_VARIABLE: str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def columns_of(file: Path) -> dict[str, str]:
    """Return the columns of a model's YAML with their descriptions."""
    (model,) = yaml.safe_load(file.read_text())["models"]
    return {column["name"]: column["description"].strip() for column in model["columns"]}


def test_recipe_of_a_metric(tmp_path: Path) -> None:
    """Two places by hand; the third is its formula in the methodology."""
    model = "models/evaluation/strategy_metrics.sql"
    place, wrote = followed(
        tmp_path,
        (
            model,
            "        arg_max(equity, date) as final_equity,",
            "        max(x) * any_value(scale) as best_day,",
        ),
        (model, "        ratios.kurtosis,", "        ratios.best_day,"),
        (
            "msm_py/store/catalog_columns.py",
            "OF_RETURNS: Final = (",
            '    Column("best_day", "double", "Best day {after}.", unit=SHARE, since="0.3.0"),',
        ),
    )
    models = place / "models"
    assert wrote == {
        *("models/catalog/catalog.yml", "models/catalog/_warehouse.yml"),
        *("models/evaluation/strategy_metrics.yml", "docs/bi.md"),
    }
    of_catalog = columns_of(models / "catalog" / "catalog.yml")
    for name, after in (("net", "after"), ("gross", "before")):
        text = f"Best day {after} cost and funding."
        assert of_catalog[f"{name}_best_day"] == f"{text} Unit: {SHARE}. Since 0.3.0."
        row = f"| `{name}_best_day` | double | {SHARE} | {text} Since 0.3.0. |"
        assert row in (place / "docs" / "bi.md").read_text().splitlines()
    of_model = columns_of(models / "evaluation" / "strategy_metrics.yml")
    assert of_model["best_day"] == f"Best day of the series. Unit: {SHARE}. Since 0.3.0."
    shown = in_copy(
        place,
        "-c",
        "from msm_py.dbt_models import run_content\n"
        "from msm_py.store import declared_text, warehouse_tables\n"
        "print(*run_content.PERFORMANCE)\n"
        "print(declared_text.create_table(warehouse_tables.CATALOG))",
    )
    of_metrics, table = shown.splitlines()
    assert "best_day" in of_metrics.split()
    assert '"net_best_day" double' in table
    assert '"gross_best_day" double' in table
    assert yielded(place / model).keys() == of_model.keys()


def yielded(model: Path) -> dict[str, str]:
    """Return columns and types of strategy_metrics, as its SQL yields them."""
    con = duckdb.connect()
    con.execute(
        "create table samples "
        "(strategy_id varchar, sample varchar, first_date date, last_date date);"
        "create table daily_returns (strategy_id varchar, is_run boolean, is_test_day boolean, "
        "date date, ruined_on date, r_net double, r_gross double, r_btc double, "
        "gross_exposure double, turnover double, cost double, funding double);"
        "create macro normal_cdf(x) as x"
    )
    macros = "".join(file.read_text() for file in sorted((ROOT / "macros").glob("*.sql")))
    template = jinja2.Environment().from_string(macros + model.read_text())
    found = con.execute(f"describe {template.render(ref=lambda name: name)}").fetchall()
    return {name: kind for name, kind, *_ in found}


def test_a_metric_is_a_column_of_its_model_and_has_a_formula() -> None:
    kinds = yielded(ROOT / "models" / "evaluation" / "strategy_metrics.sql")
    formulas = (ROOT / "docs" / "methodology.md").read_text()
    for column in (*catalog_columns.OF_RETURNS, *catalog_columns.TRADING):
        assert column.name in kinds
        assert re.search(rf"\b{column.name}\b", formulas)


def test_recipe_of_a_yaml_key(tmp_path: Path) -> None:
    """Two places by hand, one of them with two lines; the third is its row for readers."""
    rows, schema_file = "msm_py/dbt_models/run_row.py", "msm_py/experiment/schema.py"
    place, wrote = followed(
        tmp_path,
        (
            schema_file,
            '    """The short leg: a basket of the largest alts."""',
            '\n    max_weight: Share = Field(default=0.5, description="Largest weight.")',
        ),
        (
            rows,
            '    short_weighting: Annotated[str, "equal or mcap."]',
            '    short_max_weight: Annotated[float, "Largest weight in the short basket."]',
        ),
        (
            rows,
            "        short_weighting=target.short_leg.weighting,",
            "        short_max_weight=target.short_leg.max_weight,",
        ),
        (
            schema_file,
            '    """Which assets are looked at."""',
            '\n    min_age_days: Days = Field(default=7, description="Least age of an alt.")',
        ),
        (
            rows,
            '    majors: Annotated[tuple[str, ...], "Assets of the majors side."]',
            '    min_age_days: Annotated[int, "Least age of an alt on the day."]',
        ),
        (rows, "        majors=universe.majors,", "        min_age_days=universe.min_age_days,"),
    )
    inputs = place / "models" / "inputs"
    universes = {f"models/inputs/universes.{kind}" for kind in ("sql", "yml")}
    json_schema = "experiments/experiment.schema.json"
    assert wrote == {json_schema, "models/inputs/runs.yml", *universes}
    parts = json.loads((place / json_schema).read_text())["$defs"]
    assert parts["ShortLeg"]["properties"]["max_weight"]["description"] == "Largest weight."
    of_runs, of_universes = (columns_of(inputs / f"{x}.yml") for x in ("runs", "universes"))
    assert of_runs["short_max_weight"] == "Largest weight in the short basket."
    assert of_runs["min_age_days"] == of_universes["min_age_days"]
    assert "short_max_weight" not in of_universes
    assert "        min_age_days,\n" in (inputs / "universes.sql").read_text()
    said = in_copy(
        place,
        "-c",
        "from msm_py.dbt_models import runs\n"
        "from msm_py.experiment.load import from_resolved\n"
        f"experiments = [from_resolved({{**{MINIMAL}, **more}}) for more in ({{}}, "
        "{'target': {'short_leg': {'max_weight': 0.25}}}, {'universe': {'min_age_days': 9}})]\n"
        "for one in experiments:\n"
        "    table = runs.runs_table(runs.Given((one,), {}), 'lake', 'code')\n"
        "    names = ('short_max_weight', 'min_age_days', 'run_id', 'basket_id', 'universe_id')\n"
        "    print(*(table[name][0] for name in names))\n"
        "print(*(table[name].type for name in names[:2]))",
    )
    *values, types = map(str.split, said.splitlines())
    assert [row[:2] for row in values] == [["0.5", "7"], ["0.25", "7"], ["0.5", "9"]]
    for ids in list(zip(*values, strict=True))[2:]:
        assert len(set(ids)) == 3, "a new key of these sections is hashed by what they define"
    assert types == ["double", "int32"]


def test_a_row_of_runs_holds_the_whole_experiment() -> None:
    asked = from_resolved(MINIMAL)
    (row,) = runs.runs_table(runs.Given((asked,), {}), "lake", "code").to_pylist()
    assert row.keys() == set(typed_rows.names(run_row.RunRow))
    assert json.loads(row["spec_json"]) == resolve(asked)


def test_recipe_of_a_feature(tmp_path: Path) -> None:
    """Two places by hand; the third is a method of the oracle."""
    place, wrote = followed(
        tmp_path,
        (
            "models/features/breadth.sql",
            "        ['alt_breadth', 'alt_breadth_median_return', 'alt_breadth_iqr', "
            "'alt_breadth_slope_5d',",
            "        'alt_breadth_moons',",
        ),
        (
            "seeds/feature_registry.csv",
            "feature_id,feature_group,needs,unit,description",
            'alt_breadth_moons,breadth,,moons,"Moons per alt"',
        ),
    )
    assert wrote == {"experiments/experiment.schema.json", "docs/methodology.md"}
    schema_text = (place / "experiments" / "experiment.schema.json").read_text()
    known = json.loads(schema_text)["$defs"]["Feature"]["properties"]["id"]["enum"]
    assert "alt_breadth_moons" in known
    row = "| `alt_breadth_moons` | Moons per alt | moons |"
    assert row in (place / "docs" / "methodology.md").read_text().splitlines()
    asked = {**MINIMAL, "features": [{"id": "alt_breadth_moons", "weight": 1}]}
    said = in_copy(
        place,
        "-c",
        "from msm_py.experiment.load import from_resolved\n"
        f"print(from_resolved({asked}).features[0].id)",
    )
    assert said == "alt_breadth_moons\n"
    model = (place / "models" / "features" / "breadth.sql").read_text()
    assert "alt_breadth_moons" in listed_features(model)


def listed_features(sql: str) -> set[str]:
    """Return the features that a model puts into the long table."""
    lists = re.findall(r"long_features\([^\[]*\[([^\]]*)\]", sql)
    return {name for names in lists for name in re.findall(r"'([a-z0-9_]+)'", names)}


def test_a_feature_is_in_the_model_of_its_group_and_in_the_oracle() -> None:
    """Every row of the registry is a name in the model of its group, and no other is listed."""
    with (ROOT / "seeds" / "feature_registry.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    features = ROOT / "models" / "features"
    for row in rows:
        sql = (features / f"{row['feature_group']}.sql").read_text()
        assert re.search(rf"\b{row['feature_id']}\b", sql), row
        assert row["feature_id"] == "funding_heating" or hasattr(Features, row["feature_id"])
    listed = set()
    for model in features.glob("*.sql"):
        listed |= listed_features(model.read_text())
    assert listed <= {row["feature_id"] for row in rows}
    (groups,) = re.findall(r"set groups = \[([^\]]*)\]", (features / "features.sql").read_text())
    assert set(re.findall(r"'(\w+)'", groups)) == {row["feature_group"] for row in rows}


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
    tables = yaml.safe_load(made["models/inputs/_sources.yml"])["sources"][0]["tables"]
    (source,) = (table for table in tables if table["name"] == "fact_moons")
    assert [column["name"] for column in source["columns"]] == [*spec.all_columns, "unusable"]
    row = "| `fact_moons` | `asset_id`, `date`, `moons` (moons) |  | asset_id, date | no tides |"
    assert row in made["docs/lake.md"].splitlines()
    for name in ("evaluation/dropped_rows", "inputs/lake_tables", "inputs/row_counts"):
        assert "    'fact_moons': 'stg_moons',\n" in made[f"models/{name}.sql"]
    con = duckdb.connect()
    loading.load(con, None)
    found = con.execute("select column_name, lower(column_type) from (describe lake.fact_moons)")
    kinds = [(name, SQL_TYPES[kind]) for name, kind in spec.all_columns.items()]
    assert found.fetchall() == [*kinds, ("unusable", "varchar")]
