"""Experiments through dbt's variables, as someone without `msm run` gives them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from support.lakes import tiny_lake
from support.pipeline import Done, dbt, msm, msm_process

TITLE = 'It\'s "both" \U0001f680 \\ naïve \u2028 1:30'
BUILD = ("build", "--exclude-resource-type", "unit_test", "--vars")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "lake"
    tiny_lake(path, seed=6)
    return path


@pytest.fixture
def file(tmp_path: Path) -> str:
    spec = {
        "experiment_id": "odd",
        "title": TITLE,
        "window": {"start": date(2024, 2, 1)},
        "features": [{"id": "momentum", "weight": 1}],
        "backtest": {"walk_forward": False},
    }
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    return str(path)


def title_of(done: Done, experiment_id: str) -> str:
    manifest = json.loads((done.folder(experiment_id) / "manifest.json").read_text())
    title: str = manifest["spec"]["title"]
    return title


def test_any_title_goes_through_the_command_line(lake: Path, file: str, tmp_path: Path) -> None:
    rendered = msm_process(
        "vars", file, "--lake", str(lake), place=tmp_path, PYTHONIOENCODING="ascii"
    )
    assert rendered.code == 0, rendered.err
    done = dbt(*BUILD, rendered.out, place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 0, done.out
    assert title_of(done, "odd") == TITLE


def test_dates_need_no_quotes(lake: Path, tmp_path: Path) -> None:
    given = (
        "{experiments: [{experiment_id: dated, features: [{id: momentum, weight: 1}], "
        "window: {start: 2024-02-01}, backtest: {walk_forward: false}}]}"
    )
    done = dbt(*BUILD, given, place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 0, done.out
    manifest = json.loads((done.folder("dated") / "manifest.json").read_text())
    assert manifest["spec"]["window"]["start"] == "2024-02-01"


def test_an_unknown_variable_is_named(lake: Path, tmp_path: Path) -> None:
    done = dbt(*BUILD, "{experiment: []}", place=tmp_path, MSM_LAKE=str(lake))
    assert done.code != 0
    for part in ("unknown variable", "experiment", "did you mean experiments?"):
        assert part in done.out
    assert not done.runs.exists()


@pytest.mark.parametrize("by", ["file", pytest.param("text", marks=pytest.mark.slow)])
def test_retry_goes_on_where_a_build_failed(by: str, lake: Path, file: str, tmp_path: Path) -> None:
    """dbt hands text on as Python writes it, which is no YAML with quotes of both kinds."""
    given = tmp_path / "experiments.json"
    assert msm("vars", file, "--lake", str(lake), "--out", str(given), place=tmp_path).code == 0
    by_file = json.dumps({"experiments_file": str(given)})
    first = by_file if by == "file" else given.read_text(encoding="utf-8")
    failed = dbt(*BUILD, first, place=tmp_path, MSM_LAKE=str(tmp_path / "missing"))
    assert failed.code != 0
    assert "there is no such lake" in failed.out
    again = () if by == "file" else ("--vars", by_file)
    done = dbt("retry", *again, place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 0, done.out
    assert title_of(done, "odd") == TITLE
