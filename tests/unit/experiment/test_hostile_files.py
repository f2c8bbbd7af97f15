"""Hostile experiment files and variables: one message, in little time, that is not endless itself.

What YAML itself may do wrong is told in test_files.py, wrong values in test_schema.py.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.experiments import MINIMAL, refused, spec

from msm_py.dbt_models.runs import given_experiments
from msm_py.errors import LONGEST_PART, MOST_TOLD, MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved, load_experiment, read_experiments_file
from msm_py.experiment.variants import expand

HEAD = "experiment_id: a\nfeatures: [{id: momentum, weight: 1}]\n"
SECONDS = 15  # of the processor; what is told here took minutes, or never ended


def _laughs(inner: str, outer: Callable[[list[str]], str]) -> str:
    lines = [f"a0: &a0 {inner}\n"]
    lines += [f"a{i}: &a{i} {outer([f'*a{i - 1}'] * 9)}\n" for i in range(1, 10)]
    return HEAD + "".join(lines)


def _many(n: int, text: str) -> str:
    return ", ".join(text.format(i) for i in range(n))


FILES = {
    # case: (text, parts of the message)
    "a bomb of lists": (
        _laughs("[x]", lambda many: f"[{', '.join(many)}]"),
        ("there are too many values", "more than 300,000"),
    ),
    "a bomb of maps": (
        _laughs("{x: 1}", lambda x: "{" + ", ".join(f"k{i}: {v}" for i, v in enumerate(x)) + "}"),
        ("there are too many values",),
    ),
    "a bomb of merged maps": (
        _laughs("{x: 1}", lambda many: f"{{<<: [{', '.join(many)}]}}"),
        ("there are too many values",),
    ),
    "aliases of nothing": (
        HEAD + "title: [" + "*a," * 400_000 + "]\n",
        ("there are too many values",),
    ),
    "a map that is repeated, each time with as many mistakes": (
        f"experiment_id: a\nfeatures: [&a {{{_many(200, 'k{}: 1')}}}, {_many(600, '*a')}]\n",
        ("things are wrong; the first 20 of them", "unknown key k0"),
    ),
    "unknown keys": (
        HEAD + "".join(f"k{i}: 1\n" for i in range(30_000)),
        ("30,000 things are wrong; the first 20 of them", "unknown key k0"),
    ),
    "features that are none": (
        f"experiment_id: a\nfeatures: [{_many(50_000, '{}')}]\n",
        ("features must be of at most 1000 entries",),
    ),
    "numbers for assets": (
        HEAD + f"universe: {{exclude_assets: [{_many(30_000, '{}')}]}}\n",
        ("30,000 things are wrong", "exclude_assets[0] is not text"),
    ),
    "weights that are none": (
        HEAD + f"target: {{long_leg: {{weights: {{{_many(1_000, 'M{}: x')}}}}}}}\n",
        ("1,000 things are wrong", "M0 is not a finite number"),
    ),
    "states that are none": (
        HEAD + f"backtest: {{position_scale: {{{_many(30_000, 'M{}: 1')}}}}}\n",
        ("no such state with 5 regimes", "M0"),
    ),
    "an exchange too many": (
        HEAD + f"universe: {{listed_on: [{_many(30_000, 'x{}')}]}}\n",
        ("listed_on must be of at most 100 entries",),
    ),
    "a key of megabytes": (HEAD + f"? {'k' * 4_000_000}\n: 1\n", ("unknown key kkk",)),
    "an id of megabytes": (
        HEAD.replace("experiment_id: a", f"experiment_id: {'k' * 4_000_000}"),
        ("experiment_id must be at most 200 characters", "kkk..."),
    ),
    "a feature of megabytes": (
        HEAD.replace("momentum", "m" * 4_000_000),
        ("unknown feature", "mmm..."),
    ),
    "a combination too many": (
        HEAD
        + f"sweep: {{grid: {{target.short_leg.n: [{_many(1_000, '1{}')}], "
        + f"universe.min_history_days: [{_many(1_000, '1{}')}]}}}}\n",
        ("more than 100,000 variants", "1000 x 1000"),
    ),
    "a billion draws": (
        HEAD
        + "sweep: {random: {n: 1000000000, ranges: {target.short_leg.n: {integer: [1, 9]}}}}\n",
        ("n must be at most 100000",),
    ),
    "a path that is SQL": (
        HEAD + 'sweep: {grid: {"target.short_leg.n\'; drop table runs; --": [1]}}\n',
        ("unknown path", "did you mean target.short_leg.n?"),
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_one_message_in_little_time(case: str, tmp_path: Path) -> None:
    text, parts = FILES[case]
    path = tmp_path / "x.yaml"
    path.write_text(text)
    begun = time.process_time()
    with pytest.raises(MsmError) as caught:
        expand(path)
    assert time.process_time() - begun < SECONDS
    told = str(caught.value)
    assert "remedy:" in told
    for part in parts:
        assert part in told
    assert len(told) < 4 * LONGEST_PART * MOST_TOLD


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a'; drop table runs; --",
        'a"b',
        "=1+1",
        "-rf",
        "_a",
        ".",
        "a\x00b",
        "\x1b[31ma",
        "a\nb",
        "é",
        "a٣",
        "K",  # the sign of Kelvin, whose lower case is k
        "a{{ x }}",
        "a" * 201,
    ],
)
def test_an_experiment_id_is_a_plain_word(name: str) -> None:
    error = refused({**MINIMAL, "experiment_id": name})
    assert error.what.startswith("experiment_id")
    assert error.where == "experiments[3].experiment_id"


def test_keys_that_are_no_text_are_told_of_as_such(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for key, received in (("~", "null"), ("1.5", "1.5"), ("2024-01-01", '"2024-01-01"')):
        path.write_text(f"{HEAD}universe:\n  {key}: 1\n")
        with pytest.raises(MsmError) as caught:
            load_experiment(path)
        assert caught.value.what == "a key of universe is not text"
        assert caught.value.received == received
        assert caught.value.where == f"{path}: universe"


# --- Variables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "a\ud800b"},
        {"experiment_id": "a\udfff"},
        {"universe": {"exclude_assets": ["\udfff"]}},
        {"target": {"long_leg": {"weights": {"BTC\ud83d": 1}}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_half_a_character_is_no_text(changed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "experiments.json"
    file.write_text(json.dumps([{**MINIMAL, **changed}]))
    with pytest.raises(MsmError) as caught:
        given_experiments(json.dumps({"experiments_file": str(file)}))
    assert caught.value.what == "a text holds half a character"
    assert caught.value.where == f"{file}[0]"
    str(caught.value).encode()


def test_whole_characters_and_nul_are_text() -> None:
    for title in ("a\0b", "🚀", "=1+1", "\x1b[31m", "'); drop table runs; --", "{{ var('x') }}"):
        experiment = from_resolved(spec("title", title))
        assert experiment.title == title
        assert ResolvedRun.of(experiment, "lake", "code").run_id.startswith("a-")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nul"])
def test_an_experiments_file_that_is_none_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = {"device": "/dev/zero", "nul": "a\0b"}.get(kind, str(tmp_path / kind))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        Path(path).mkdir()
    with pytest.raises(MsmError, match="the experiments file cannot be read") as caught:
        read_experiments_file(path)
    assert "msm vars" in str(caught.value.remedy)


def test_a_bomb_in_the_variables_of_dbt() -> None:
    inner = "".join(f", a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10))
    bomb = f"{{a0: &a0 [x]{inner}}}"
    for text, what in (
        (f"experiments: {bomb}", "the experiments must be a list"),
        (f"experiments: [{bomb}]", "there are too many values"),
        (f"experiments_file: [{bomb}]", "experiments_file is not a path"),
    ):
        begun = time.process_time()
        with pytest.raises(MsmError) as caught:
            given_experiments(text)
        assert caught.value.what == what
        assert time.process_time() - begun < SECONDS
