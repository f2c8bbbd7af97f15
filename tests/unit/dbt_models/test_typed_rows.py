"""Rows of tables as dataclasses, there and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pyarrow as pa
import pytest
import yaml
from support.experiments import MINIMAL
from support.pipeline import ROOT

from msm_py.dbt_models import run_row, runs, search_windows, typed_rows
from msm_py.dbt_models.run_row import RunRow
from msm_py.dbt_models.strategies import Strategy
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.regimes import CUTS

SEARCH: dict[str, Any] = {
    **MINIMAL,
    "backtest": {"grid_search": {"thresholds": {"low": [-0.7, -0.2]}}},
    "state_mapping": {"high_vol_gate": {}},
    "evaluation": {"holdout_start": "2024-06-01"},
}


@dataclass(frozen=True)
class Moon:
    name: str
    mass: float | None


@dataclass(frozen=True)
class Planet:
    name: Annotated[str, "What it is called."]
    found_on: date | None
    n_moons: Annotated[int, pa.int64(), "How many."]
    moons: tuple[Moon, ...]
    largest: Moon | None


def test_arrow_types_follow_from_those_of_fields() -> None:
    moon = pa.struct({"name": pa.string(), "mass": pa.float64()})
    assert typed_rows.schema(Planet) == pa.schema(
        {
            "name": pa.string(),
            "found_on": pa.date32(),
            "n_moons": pa.int64(),
            "moons": pa.list_(moon),
            "largest": moon,
        }
    )


def test_rows_are_the_same_after_a_table() -> None:
    moons = (Moon("a", 1.0), Moon("b", None))
    rows = [Planet("A", date(2024, 1, 2), 2, moons, moons[0]), Planet("B", None, 0, (), None)]
    table = typed_rows.to_table(rows, Planet)
    assert typed_rows.from_table(table, Planet) == rows
    assert typed_rows.from_table(table.append_column("more", pa.array([1, 2])), Planet) == rows
    with pytest.raises(KeyError, match="moons"):
        typed_rows.from_table(table.drop_columns(["moons"]), Planet)


@pytest.mark.parametrize("spec", [MINIMAL, SEARCH], ids=["defaults", "everything"])
def test_a_run_is_the_same_after_the_model(spec: dict[str, Any]) -> None:
    asked = from_resolved(spec)
    own = run_row.run_row(ResolvedRun.of(asked, "lake", "code"))
    table = runs.runs_table(runs.Given((asked,), {}), "lake", "code")
    assert typed_rows.from_table(table, RunRow) == [own]
    assert own.cuts == tuple(getattr(own, cut) for cut in CUTS)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("scores/strategies", Strategy),
        ("states/search_windows", search_windows.SearchWindow),
        ("scores/run_windows", search_windows.RunWindow),
    ],
)
def test_what_python_reads_of_a_model_are_columns_that_it_describes(model: str, kind: type) -> None:
    described = yaml.safe_load((ROOT / "models" / f"{model}.yml").read_text())["models"][0]
    assert set(typed_rows.names(kind)) <= {column["name"] for column in described["columns"]}
