"""The experiments, the schema for editors and the reference that are shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from support.experiments import SHIPPED, resolved, spec
from support.pipeline import ROOT

from msm_py.experiment.ids import resolve
from msm_py.experiment.json_schema import json_schema, json_schema_text
from msm_py.experiment.load import (
    load_experiment,
    load_experiments,
)


def test_the_schema_in_the_repository_is_current() -> None:
    shipped = (ROOT / "experiments" / "experiment.schema.json").read_text(encoding="utf-8")
    assert shipped == json_schema_text(), "run `make schema`"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_experiment(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../experiment.schema.json\n")
    experiment = load_experiment(path)
    assert experiment.experiment_id == path.stem
    assert experiment.title != experiment.experiment_id
    as_editors_see_it = json.loads(json.dumps(yaml.safe_load(text), default=str))
    jsonschema.Draft7Validator(json_schema()).validate(as_editors_see_it)


def test_editors_accept_underscores_and_refuse_unknown_keys_and_features() -> None:
    validator = jsonschema.Draft7Validator(json_schema())
    assert validator.is_valid(spec("universe.min_mcap_usd", "50_000_000"))
    assert not validator.is_valid(spec("universe.min_mcap", 1))
    assert not validator.is_valid(spec("universe.min_mcap_usd", "much"))
    assert not validator.is_valid(spec("features", [{"id": "zzz", "weight": 1}]))


def test_the_baseline_has_its_named_values() -> None:
    baseline = resolve(load_experiment(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml"))
    assert {feature["id"]: feature["weight"] for feature in baseline["features"]} == {
        "alt_breadth": 0.18,
        "btc_dominance": 0.22,
        "funding_skew": 0.12,
        "funding_heating": 0.10,
        "liquidity": 0.13,
        "volatility_spread": 0.13,
        "momentum": 0.08,
        "oi_risk": 0.04,
    }
    assert baseline["window"] == {"start": "2023-07-01", "end": "2025-12-31"}
    defaults = resolved()
    for key in ("feature_params", "target", "state_mapping", "backtest", "evaluation", "universe"):
        assert baseline[key] == defaults[key], key


def test_shipped_experiments_differ_from_the_baseline_in_one_respect() -> None:
    shipped = {x.experiment_id: resolve(x) for x in load_experiments(SHIPPED)}
    baseline = shipped.pop("msm_v1_baseline")
    names = ("experiment_id", "title", "description")
    differing = {
        name: [key for key in baseline if key not in names and one[key] != baseline[key]]
        for name, one in shipped.items()
    }
    assert differing == {
        "msm_v1_btc_eth_70_30": ["target"],
        "msm_v1_classic_bootstrap": ["evaluation"],
        "msm_v1_funding_only": ["features"],
        "msm_v1_mcap_basket": ["target"],
        "msm_v1_three_states": ["state_mapping", "backtest"],  # the scale has other states
        "msm_v1_trade_signs": ["features"],
        "msm_v1_walk_forward": ["backtest"],
        "msm_v1_weekly_monday": ["backtest"],
    }


def test_the_reference_names_every_key() -> None:
    text = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    definitions = json_schema()["$defs"] | {"Experiment": json_schema()}
    keys = {key for one in definitions.values() for key in one["properties"]}
    named = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    assert keys <= named
