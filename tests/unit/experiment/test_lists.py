"""The list of experiments that dbt gets, as variables or as a file."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.experiments import MINIMAL, resolved

from msm_py.dbt_models.runs import given_experiments
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import (
    experiments_from_vars,
    from_resolved,
    read_experiments_file,
    variables,
)
from msm_py.yaml_file import read_back


@given(st.text())
def test_variables_are_json_and_yaml_alike(text: str) -> None:
    experiment = from_resolved(MINIMAL).model_copy(update={"title": text})
    rendered = variables([ResolvedRun("a-0", experiment)])
    expected = {"experiments": [{"run_id": "a-0", **resolve(experiment)}]}
    assert json.loads(rendered) == expected
    assert yaml.safe_load(rendered) == expected
    assert yaml.load(rendered, yaml.CSafeLoader) == expected


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.dates() | st.text()
       | st.floats(allow_nan=False), lambda inner: st.lists(inner)
       | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_what_dbt_dumps_is_read_back(value: object) -> None:
    assert read_back(yaml.safe_dump({"experiments": value}, sort_keys=False)) == {
        "experiments": value
    }


def test_variables_keep_dates_and_odd_text() -> None:
    title = 'It\'s "both" \U0001f680 \\ 1:30'
    window = {"start": dt.date(2024, 2, 1)}
    text = yaml.safe_dump({"experiments": [{**MINIMAL, "title": title, "window": window}]})
    (found,) = given_experiments(text).experiments
    assert found.window.start == dt.date(2024, 2, 1)
    assert found.title == title


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("experiment: []", "unknown variable", "did you mean experiments? the variables are"),
        ("experiment_file: x", "unknown variable", "did you mean experiments_file?"),
        ("{experiments: [], 5: 1}", "unknown variable", "experiments and experiments_file"),
        ("experiments_file: 5", "experiments_file is not a path", "msm vars"),
        ("{experiments: [1], experiments_file: x}", "both variables", "give one of them"),
        ("experiments: 5", "the experiments must be a list", "msm vars"),
    ],
)
def test_wrong_variables(text: str, what: str, remedy: str) -> None:
    with pytest.raises(MsmError) as caught:
        given_experiments(text)
    assert caught.value.what.startswith(what)
    assert remedy in str(caught.value.remedy)


def test_no_variables_mean_no_experiments() -> None:
    for text in ("{}", "experiments: null", "experiments_file: null", "experiments_file: ''"):
        assert given_experiments(text).experiments == ()


def test_experiments_from_vars() -> None:
    assert experiments_from_vars(None) == []
    assert experiments_from_vars([]) == []
    listed = experiments_from_vars([MINIMAL, {**MINIMAL, "experiment_id": "b"}, MINIMAL])
    assert [experiment.experiment_id for experiment in listed] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        ({"experiment_id": "a"}, "the experiments must be a list", "experiments"),
        ("a.yaml", "the experiments must be a list", "experiments"),
        (["a.yaml"], "the experiment must be a map, not text", "experiments[0]"),
        ([MINIMAL, {"features": []}], "experiment_id is missing", "experiments[1].experiment_id"),
        (
            [MINIMAL, {**MINIMAL, "features": [{"id": "x", "weight": 1}]}],
            "unknown feature",
            "experiments[1].features[0].id",
        ),
        (
            [MINIMAL, {**MINIMAL, "title": "other"}],
            "one experiment_id stands for two different experiments",
            "experiments[0] and experiments[1]",
        ),
    ],
)
def test_malformed_vars(value: object, what: str, where: str) -> None:
    with pytest.raises(MsmError) as caught:
        experiments_from_vars(value)
    assert caught.value.what == what
    assert caught.value.where == where


def test_experiments_file(tmp_path: Path) -> None:
    path = tmp_path / "experiments.json"
    with pytest.raises(MsmError, match="cannot be read"):
        read_experiments_file(path)
    path.write_text("[{")
    for broken in (
        "[{",
        "[" * 100_000,
        '{"experiments": [], "experiments": []}',
        '[{"a": 1, "a": 2}]',
    ):
        path.write_text(broken)
        with pytest.raises(MsmError, match="broken JSON"):
            read_experiments_file(path)
    for content in ([resolved()], {"experiments": [resolved()]}):
        path.write_text(json.dumps(content))
        assert read_experiments_file(path) == [resolved()]
