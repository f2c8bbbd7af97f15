"""The bundle for Superset: whole, the same bytes each time, and of columns that there are."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.made_up_runs import publish, write_made_up_run

from msm_py.errors import MsmError
from msm_py.export import superset_bundle
from msm_py.store.warehouse_views import VIEWS


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wh")
    write_made_up_run(place / "runs", "a-0123456789")
    publish(place)
    return place / "wh" / "msm.duckdb"


def files_of(bundle: Path) -> dict[str, Any]:
    with zipfile.ZipFile(bundle) as found:
        return {
            name.partition("/")[2]: yaml.safe_load(found.read(name)) for name in found.namelist()
        }


@pytest.fixture
def files(warehouse: Path, tmp_path: Path) -> dict[str, Any]:
    superset_bundle.write_bundle(tmp_path / "bundle.zip", warehouse)
    return files_of(tmp_path / "bundle.zip")


def test_it_is_the_same_bytes_each_time(warehouse: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "other.zip"):
        superset_bundle.write_bundle(tmp_path / name, warehouse)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"one.zip", "other.zip"}


def test_it_only_reads_the_warehouse(files: dict[str, Any], warehouse: Path) -> None:
    (database,) = (files[name] for name in files if name.startswith("databases/"))
    assert database["sqlalchemy_uri"] == f"duckdb:///{warehouse}?access_mode=READ_ONLY"
    assert not any(database[name] for name in ("allow_ctas", "allow_cvas", "allow_dml"))


def test_every_part_is_there(files: dict[str, Any]) -> None:
    charts = {content["uuid"]: content for name, content in files.items() if "charts/" in name}
    datasets = {content["uuid"]: content for name, content in files.items() if "datasets/" in name}
    dashboard = files["dashboards/msm.yaml"]
    placed = [
        part["meta"]["uuid"]
        for part in dashboard["position"].values()
        if isinstance(part, dict) and part["type"] == "CHART"
    ]
    assert sorted(placed) == sorted(charts)
    assert len(charts) == 13
    assert {chart["dataset_uuid"] for chart in charts.values()} == datasets.keys()
    assert {dataset["table_name"] for dataset in datasets.values()} < VIEWS.keys()
    for row in superset_bundle.ROWS:
        assert sum(chart.width for chart in row) == superset_bundle.WIDTH


def test_what_charts_ask_for_can_be_answered(files: dict[str, Any], warehouse: Path) -> None:
    """Every expression and column of a chart is one of its view, for DuckDB."""
    views = {
        content["uuid"]: content["table_name"]
        for name, content in files.items()
        if "datasets/" in name
    }
    n_asked = 0
    with duckdb.connect(warehouse, read_only=True) as con:
        for name, chart in files.items():
            if "charts/" not in name:
                continue
            view, says = views[chart["dataset_uuid"]], chart["params"]
            metrics = [*says.get("metrics", []), *([says["metric"]] if "metric" in says else [])]
            groups = [
                *says.get("groupby", []),
                *says.get("groupbyRows", []),
                *says.get("groupbyColumns", []),
                *([says["x_axis"]] if "x_axis" in says else []),
            ]
            asked = [
                *(metric["sqlExpression"] for metric in metrics),
                *(x if isinstance(x, str) else x["sqlExpression"] for x in groups),
            ]
            if metrics:
                con.execute(f"select {', '.join(asked)} from {view} group by all")
            columns = [
                *says.get("all_columns", []),
                *([says["column"]] if "column" in says else []),
            ]
            if columns:
                con.execute(f"select {', '.join(columns)} from {view}")
            n_asked += len(asked) + len(columns)
    assert n_asked > 40


def test_there_is_one_sign(files: dict[str, Any]) -> None:
    shown = str([content for name, content in files.items() if "charts/" in name])
    assert "trade_edge" in shown
    assert not re.search(r"\bestimate\b|\bmean_edge\b", shown)


def test_a_path_stands_as_it_is(tmp_path: Path) -> None:
    """SQLAlchemy does not decode what is quoted in a path."""
    warehouse = tmp_path / "a b'#%20" / "msm.duckdb"
    superset_bundle.write_bundle(tmp_path / "bundle.zip", warehouse)
    database = files_of(tmp_path / "bundle.zip")["databases/MSM.yaml"]
    assert database["sqlalchemy_uri"] == f"duckdb:///{warehouse}?access_mode=READ_ONLY"
    with pytest.raises(MsmError, match="question mark"):
        superset_bundle.write_bundle(tmp_path / "other.zip", tmp_path / "a?b" / "msm.duckdb")
    assert {file.name for file in tmp_path.iterdir()} == {"bundle.zip"}


def test_where_nothing_can_be_written(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(MsmError, match="could not be written"):
        superset_bundle.write_bundle(tmp_path / "none" / "bundle.zip", warehouse)
