"""What an experiment may say, what it means, and what a user is told when it is wrong."""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from msm_py.dbt_models.runs import given_experiments
from msm_py.errors import MsmError
from msm_py.experiment.ids import basket_id, canonical_json, feature_key, run_id, universe_id
from msm_py.experiment.json_schema import json_schema, json_schema_text
from msm_py.experiment.load import (
    experiments_from_vars,
    from_resolved,
    load_experiment,
    load_experiments,
    read_experiments_file,
    resolve,
    variables,
)
from msm_py.experiment.messages import _section_in
from msm_py.experiment.registry import COLUMNS, feature_registry, read_registry
from msm_py.experiment.schema import Experiment
from msm_py.regimes import STATES
from msm_py.settings import project_dir
from msm_py.yaml_file import parse_yaml, read_back

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "experiments" / "msm").glob("msm_v1_*.yaml"))  # the others are sweeps
MINIMAL: dict[str, Any] = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}


def spec(dotted: str = "", value: object = None) -> dict[str, Any]:
    """Return the minimal experiment with one more key."""
    result = copy.deepcopy(MINIMAL)
    if dotted:
        *parents, last = dotted.split(".")
        node = result
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return result


def resolved(dotted: str = "", value: object = None) -> dict[str, Any]:
    return resolve(from_resolved(spec(dotted, value)))


def at(document: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        document = document[name]
    return document


def refused(document: object) -> MsmError:
    with pytest.raises(MsmError) as caught:
        from_resolved(document, where="experiments[3]")
    return caught.value


# --- What is refused: what, where, received, remedy --------------------------------------------

FEATURE = {"id": "momentum", "weight": 1}
SKEW = {"id": "funding_skew", "weight": 1}


class Bad(NamedTuple):
    """A value at a dotted key (``...``: no such key), and parts of what the user is told."""

    case: str
    key: str
    value: object
    what: str
    received: str
    remedy: str
    where: str | None = None  # when it is not the key


BAD = [
    Bad(
        "unknown key",
        "feature",
        [FEATURE],
        "unknown key feature",
        '[{"id"',
        "did you mean features?",
    ),
    Bad(
        "unknown nested key",
        "state_mapping.thresholds.strong_lo",
        -2,
        "unknown key strong_lo",
        "-2",
        "did you mean state_mapping.thresholds.strong_low?",
    ),
    Bad(
        "unknown key in a list",
        "features",
        [FEATURE, {**SKEW, "wieght": 1}],
        "unknown key wieght",
        "1",
        "did you mean features[1].weight?",
        where="features[1].wieght",
    ),
    Bad(
        "key of another section",
        "universe.min_volume_usd",
        5,
        "unknown key min_volume_usd",
        "5",
        "it belongs at target.short_leg.min_volume_usd",
    ),
    Bad(
        "misspelled key of another section",
        "n_boots",
        5,
        "unknown key n_boots",
        "5",
        "did you mean evaluation.bootstrap.n_boot?",
    ),
    Bad(
        "key like no other",
        "window.zzz",
        5,
        "unknown key zzz",
        "5",
        "remove it; the keys here are start, end",
    ),
    Bad(
        "backtest nested",
        "state_mapping.backtest",
        {"walk_forward": True},
        "unknown key backtest",
        '{"walk_forward": true}',
        "move it one level out",
    ),
    Bad(
        "train_window_days",
        "backtest.train_window_days",
        252,
        "train_window_days is no key of MSM",
        "252",
        "backtest.lookback_window_days",
    ),
    Bad(
        "train_window_days anywhere",
        "state_mapping.backtest.grid.train_window_days",
        252,
        "train_window_days is no key of MSM",
        "252",
        "lookback_window_days",
    ),
    Bad(
        "train_window_days as a state",
        "backtest.position_scale.train_window_days",
        1,
        "train_window_days is no key of MSM",
        "1",
        "lookback_window_days",
    ),
    Bad(
        "slippage_adv_multiplier",
        "backtest.costs.slippage_adv_multiplier",
        0.1,
        "slippage_adv_multiplier is no key of MSM",
        "0.1",
        "use backtest.capital_usd and backtest.impact_coefficient",
    ),
    Bad(
        "experiment_id missing",
        "experiment_id",
        ...,
        "experiment_id is missing",
        "",
        "add it: Name of the experiment",
    ),
    Bad(
        "features missing",
        "features",
        ...,
        "features is missing",
        "",
        "add it: The features of the score",
    ),
    Bad(
        "experiment_id with capitals",
        "experiment_id",
        "My Experiment",
        "experiment_id does not match",
        "My Experiment",
        "lower-case letters",
    ),
    Bad(
        "experiment_id a number",
        "experiment_id",
        2024,
        "experiment_id is not text",
        "2024",
        "put it in quotes",
    ),
    Bad(
        "experiment_id with a line break",
        "experiment_id",
        "a\nb",
        "experiment_id does not match",
        "a\nb",
        "lower-case letters",
    ),
    Bad("empty title", "title", " ", "title is empty", '" "', "write something"),
    Bad(
        "category_path",
        "category_path",
        "pairs",
        "category_path must be 'msm'",
        "pairs",
        "only `msm` exists",
    ),
    Bad(
        "text for a number",
        "target.short_leg.n",
        "abc",
        "n is not a finite number",
        "abc",
        "2e8 or 50_000_000",
    ),
    Bad(
        "thousands commas",
        "universe.min_mcap_usd",
        "50,000,000",
        "min_mcap_usd is not a finite number",
        "50,000,000",
        "50_000_000",
    ),
    Bad(
        "a truth value for a number",
        "features",
        [{"id": "momentum", "weight": True}],
        "weight is not a finite number",
        "true",
        "write a number",
        where="features[0].weight",
    ),
    Bad(
        "null for a number",
        "universe.min_mcap_usd",
        None,
        "min_mcap_usd is not a finite number",
        "null",
        "write a",
    ),
    Bad(
        "infinity",
        "universe.min_mcap_usd",
        float("inf"),
        "min_mcap_usd is not a finite number",
        "Infinity",
        "write a",
    ),
    Bad(
        "nan as text",
        "features",
        [{"id": "momentum", "weight": "nan"}],
        "weight is not a finite number",
        "nan",
        "write a number",
        where="features[0].weight",
    ),
    Bad(
        "a number beyond floats",
        "universe.min_mcap_usd",
        10**400,
        "min_mcap_usd is not a finite number",
        "1000",
        "write a",
    ),
    Bad(
        "a list for a number",
        "universe.min_mcap_usd",
        [1],
        "min_mcap_usd is not a finite number",
        "[1]",
        "write a",
    ),
    Bad(
        "a fraction for a whole number",
        "target.short_leg.n",
        20.5,
        "n is not a whole number",
        "20.5",
        "such as 20",
    ),
    Bad(
        "a number for a truth value",
        "backtest.walk_forward",
        1,
        "walk_forward must be true or false, not a number",
        "1",
        "test windows only",
    ),
    Bad(
        "text for a truth value",
        "backtest.walk_forward",
        "maybe",
        "walk_forward must be true or false, not text",
        "maybe",
        "(default true)",
    ),
    Bad(
        "a list for a map",
        "state_mapping",
        [1, 2],
        "state_mapping must be a map, not a list",
        "[1, 2]",
        "write a map",
    ),
    Bad(
        "a list for a map of weights",
        "target.long_leg.weights",
        ["BTC"],
        "weights must be a map, not a list",
        '["BTC"]',
        "write a",
    ),
    Bad(
        "a map for a list",
        "features",
        {"momentum": 1},
        "features must be a list, not a map",
        '{"momentum": 1}',
        "write a list",
    ),
    Bad(
        "text for a list",
        "universe.majors",
        "BTC",
        "majors must be a list, not text",
        "BTC",
        "write a list",
    ),
    Bad(
        "text for a feature",
        "features",
        ["momentum"],
        "must be a map, not text",
        "momentum",
        "write a map",
        where="features[0]",
    ),
    Bad(
        "an empty section",
        "backtest",
        None,
        "backtest is empty",
        "null",
        "write a map there, or remove the key",
    ),
    Bad(
        "a truth value for a section",
        "state_mapping.high_vol_gate",
        False,
        "high_vol_gate must be a map, not a truth value",
        "false",
        "null: off",
    ),
    Bad(
        "no features",
        "features",
        [],
        "features must be a list of at least 1",
        "[]",
        "The features of the score",
    ),
    Bad(
        "unknown feature",
        "features",
        [FEATURE, {"id": "funding_scew", "weight": 1}],
        "unknown feature",
        "funding_scew",
        "did you mean funding_skew?",
        where="features[1].id",
    ),
    Bad(
        "feature like no other",
        "features",
        [{"id": "zzz", "weight": 1}],
        "unknown feature",
        "zzz",
        "the features are alt_breadth, ",
        where="features[0].id",
    ),
    Bad(
        "duplicate feature",
        "features",
        [FEATURE, SKEW, FEATURE],
        "a feature is listed twice",
        "momentum",
        "add their weights",
        where="features[2].id",
    ),
    Bad(
        "no weight",
        "features",
        [{"id": "momentum", "weight": 0}, {"id": "funding_skew", "weight": -0.0}],
        "no feature has a weight other than 0",
        '{"momentum": 0.0',
        "at least one",
    ),
    Bad(
        "params of a feature without",
        "features",
        [{**FEATURE, "params": {"weighting": "oi"}}],
        "momentum takes no params",
        '{"weighting": "oi"}',
        "params belong to funding_skew and funding_heating",
        where="features[0].params",
    ),
    Bad(
        "unknown param",
        "features",
        [{**SKEW, "params": {"weigthing": "oi"}}],
        "unknown key weigthing",
        "oi",
        "did you mean features[0].params.weighting?",
        where="features[0].params.weigthing",
    ),
    Bad(
        "unknown weighting of funding",
        "features",
        [{**SKEW, "params": {"weighting": "medain"}}],
        "weighting must be 'oi', 'mcap', 'equal' or 'median'",
        "medain",
        "did you mean median?",
        where="features[0].params.weighting",
    ),
    Bad(
        "min_oi_coverage above 1",
        "features",
        [{**SKEW, "params": {"min_oi_coverage": 50}}],
        "min_oi_coverage must be at most 1",
        "50",
        "(default 0.0)",
        where="features[0].params.min_oi_coverage",
    ),
    Bad(
        "not a date",
        "window.start",
        "2023-02-30",
        "start is not a date",
        "2023-02-30",
        "YYYY-MM-DD",
    ),
    Bad(
        "a number for a date", "window.end", 20230701, "end is not a date", "20230701", "YYYY-MM-DD"
    ),
    Bad(
        "a time for a date",
        "window.end",
        dt.datetime(2023, 7, 1, 12, tzinfo=dt.UTC),
        "end is not a date",
        "2023-07-01 12:00",
        "YYYY-MM-DD",
    ),
    Bad(
        "window backwards",
        "window",
        {"start": "2024-01-02", "end": "2024-01-01"},
        "the window starts after it ends",
        "start 2024-01-02, end 2024-01-01",
        "on or before the end",
        where="window.start",
    ),
    Bad(
        "window too short",
        "window",
        {"start": "2023-01-01", "end": "2023-09-28"},
        "the window is too short for walk-forward",
        "2023-01-01 to 2023-09-28, 271 days",
        "give at least 272 days",
    ),
    Bad(
        "look without a hold-out",
        "evaluation.look",
        True,
        "there is no hold-out to look at",
        "true",
        "give evaluation.holdout_start, or remove look",
    ),
    Bad(
        "search of nothing",
        "backtest.grid_search",
        {"n_candidates": 5},
        "the search has nothing to search",
        '{"n_candidates": 5}',
        "give ranges",
    ),
    Bad(
        "search without test windows",
        "backtest",
        {"walk_forward": False, "grid_search": {"weights": {"momentum": [0, 1]}}},
        "a search needs test windows",
        "walk_forward false",
        "set backtest.walk_forward: true",
        where="backtest.grid_search",
    ),
    Bad(
        "search weighs an unknown feature",
        "backtest.grid_search",
        {"weights": {"momentun": [0, 1]}},
        "the search weighs a feature that the experiment does not have",
        "momentun",
        "did you mean momentum?",
        where="backtest.grid_search.weights.momentun",
    ),
    Bad(
        "range backwards",
        "backtest.grid_search",
        {"weights": {"momentum": [1, 0]}},
        "momentum must be two numbers, the smaller one first",
        "[1, 0]",
        "write them as a list, such as [1, 2]",
        where="backtest.grid_search.weights.momentum",
    ),
    Bad(
        "search at another horizon",
        "backtest.grid_search",
        {"weights": {"momentum": [0, 1]}, "horizon_days": 7},
        "the search's horizon is not among the experiment's",
        "7",
        "give one of target.horizons_days: 1, 5, 10, 20",
        where="backtest.grid_search.horizon_days",
    ),
    Bad(
        "purge longer than the lookback",
        "backtest",
        {"lookback_window_days": 21, "grid_search": {"weights": {"momentum": [0, 1]}}},
        "the purge leaves nothing of the lookback to score candidates on",
        "21 days, of which 20 are purged",
        "give a longer lookback",
        where="backtest.lookback_window_days",
    ),
    Bad(
        "thresholds that may cross",
        "backtest.grid_search",
        {"thresholds": {"high": [0.3, 1.6]}},
        "the ranges of the thresholds overlap",
        "high up to 1.6, strong_high from 1.5",
        "keep high below strong_high in every draw",
        where="backtest.grid_search.thresholds",
    ),
    Bad(
        "no BTC",
        "universe.majors",
        ["ETH", "SOL"],
        "BTC is not among the majors",
        '["ETH", "SOL"]',
        "add BTC",
    ),
    Bad(
        "a major twice",
        "universe.majors",
        ["BTC", "ETH", "BTC"],
        "majors lists a value twice",
        "BTC",
        "keep one",
    ),
    Bad(
        "a major excluded",
        "universe.exclude_assets",
        ["XRP", "ETH"],
        "a major is excluded",
        "ETH",
        "remove it from",
    ),
    Bad(
        "an asset that YAML reads as true",
        "universe.exclude_assets",
        ["XRP", True],
        "is not text",
        "true",
        "put it in quotes",
        where="universe.exclude_assets[1]",
    ),
    Bad(
        "an asset key that YAML reads as true",
        "target.long_leg.weights",
        {True: 1},
        "a key of weights is not text",
        "true",
        "put it in quotes",
    ),
    Bad(
        "negative market cap",
        "universe.min_mcap_usd",
        -1,
        "min_mcap_usd must be at least 0",
        "-1",
        "default 50000000.0",
    ),
    Bad(
        "long leg not 1",
        "target.long_leg.weights",
        {"BTC": 0.7, "ETH": 0.2},
        "the weights of the long leg do not sum to 1",
        "sum 0.9",
        "scale them",
    ),
    Bad(
        "long leg negative",
        "target.long_leg.weights",
        {"BTC": 1.5, "ETH": -0.5},
        "ETH must be above 0",
        "-0.5",
        "summing to 1",
        where="target.long_leg.weights.ETH",
    ),
    Bad(
        "long leg empty",
        "target.long_leg.weights",
        {},
        "the weights of the long leg do not sum to 1",
        "sum 0",
        "scale them",
    ),
    Bad(
        "long leg no major",
        "target.long_leg.weights",
        {"BTC": 0.5, "SOL": 0.5},
        "the long leg holds an asset that is no major",
        "SOL",
        "add it to universe.majors",
        where="target.long_leg.weights.SOL",
    ),
    Bad(
        "n 0", "target.short_leg.n", 0, "n must be at least 1", "0", "Number of alts in the basket"
    ),
    Bad(
        "unknown basket weighting",
        "target.short_leg.weighting",
        "mcaps",
        "weighting must be 'equal' or 'mcap'",
        "mcaps",
        "did you mean mcap?",
    ),
    Bad(
        "horizon 0",
        "target.horizons_days",
        [1, 0],
        "must be at least 1",
        "0",
        "Horizons",
        where="target.horizons_days[1]",
    ),
    Bad(
        "horizon twice",
        "target.horizons_days",
        [5, 1, 5.0],
        "horizons_days lists a value twice",
        "5",
        "keep one",
    ),
    Bad(
        "no horizon",
        "target.horizons_days",
        [],
        "horizons_days must be a list of at least 1",
        "[]",
        "Horizons",
    ),
    Bad(
        "4 regimes",
        "state_mapping.n_regimes",
        4,
        "n_regimes must be 3 or 5",
        "4",
        "Number of states",
    ),
    Bad(
        "thresholds unordered",
        "state_mapping.thresholds",
        {"low": 0.5, "high": -0.5},
        "the thresholds are not in order",
        "low 0.5, high -0.5",
        "strong_low < low < high < strong_high",
    ),
    Bad(
        "threshold beyond a default",
        "state_mapping.thresholds.high",
        1.5,
        "the thresholds are not in order",
        "high 1.5, strong_high 1.5",
        "one left out has its default",
        where="state_mapping.thresholds",
    ),
    Bad(
        "thresholds unordered, 3 regimes",
        "state_mapping",
        {"n_regimes": 3, "thresholds": {"low": 1}},
        "the thresholds are not in order",
        "low 1.0, high 0.5",
        "low < high",
        where="state_mapping.thresholds",
    ),
    Bad(
        "strong threshold with 3 regimes",
        "state_mapping",
        {"n_regimes": 3, "thresholds": {"strong_high": 2}},
        "strong_high is given, but 3 regimes",
        "2.0",
        "use n_regimes: 5",
        where="state_mapping.thresholds.strong_high",
    ),
    Bad(
        "low_band positive",
        "state_mapping.hysteresis.low_band",
        0.3,
        "low_band must be at most 0",
        "0.3",
        "0 or negative (default -0.3)",
    ),
    Bad(
        "high_band negative",
        "state_mapping.hysteresis.high_band",
        -0.3,
        "high_band must be at least 0",
        "-0.3",
        "0 or positive",
    ),
    Bad(
        "gate at 0",
        "state_mapping.high_vol_gate.max_abs_return",
        0,
        "max_abs_return must be above 0",
        "0",
        "capped",
    ),
    Bad(
        "z-score over one day",
        "feature_params.zscore_window_days",
        1,
        "zscore_window_days must be at least 2",
        "1",
        "default 60",
    ),
    Bad(
        "full coverage required",
        "feature_params.min_coverage",
        1,
        "min_coverage must be below 1",
        "1",
        "above this share",
    ),
    Bad(
        "both rebalance rules",
        "backtest",
        {"rebalance_weekday": "monday", "rebalance_frequency_days": 7},
        "rebalance_weekday and rebalance_frequency_days exclude each other",
        "rebalance_weekday monday",
        "keep one of the two",
        where="backtest.rebalance_weekday",
    ),
    Bad(
        "no such weekday",
        "backtest.rebalance_weekday",
        "tuseday",
        "rebalance_weekday must be 'monday'",
        "tuseday",
        "did you mean tuesday?",
    ),
    Bad(
        "rebalance never",
        "backtest.rebalance_frequency_days",
        0,
        "rebalance_frequency_days must be at least 1",
        "0",
        "Days between rebalances",
    ),
    Bad(
        "no such state",
        "backtest.position_scale",
        {"STRONG_RISK_ON_MAJOR": 1},
        "no such state with 5 regimes",
        "STRONG_RISK_ON_MAJOR",
        "did you mean STRONG_RISK_ON_MAJORS?",
        where="backtest.position_scale.STRONG_RISK_ON_MAJOR",
    ),
    Bad(
        "negative scale",
        "backtest.position_scale",
        {"BALANCED": -1},
        "BALANCED must be at least 0",
        "-1",
        "Share of the gross",
        where="backtest.position_scale.BALANCED",
    ),
    Bad(
        "negative fee",
        "backtest.costs.taker_fee_bps",
        -5,
        "taker_fee_bps must be at least 0",
        "-5",
        "basis",
    ),
    Bad(
        "negative lag",
        "backtest.execution_lag_days",
        -1,
        "execution_lag_days must be at least 0",
        "-1",
        "close",
    ),
    Bad(
        "no capital",
        "backtest.capital_usd",
        0,
        "capital_usd must be above 0",
        "0",
        "null: no impact",
    ),
    Bad(
        "block of 0 days",
        "evaluation.bootstrap.block_size",
        0,
        "block_size is neither auto nor a whole number",
        "0",
        "write auto",
    ),
    Bad(
        "block of text",
        "evaluation.bootstrap.block_size",
        "big",
        "block_size is neither auto nor a whole number",
        "big",
        "write auto",
    ),
    Bad(
        "too few replicates",
        "evaluation.bootstrap.n_boot",
        18,
        "n_boot must be at least 19",
        "18",
        "reach 5%",
    ),
    Bad(
        "studentised stationary",
        "evaluation.bootstrap.kind",
        "stationary",
        "the studentized bootstrap has circular blocks only",
        "stationary",
        "method: percentile",
    ),
    Bad(
        "unknown method",
        "evaluation.bootstrap.method",
        "studentised",
        "method must be 'studentized' or 'percentile'",
        "studentised",
        "did you mean studentized?",
    ),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.case)
def test_bad_value_has_one_clear_message(bad: Bad) -> None:
    document = spec(bad.key, bad.value)
    if bad.value is ...:
        del document[bad.key]
    error = refused(document)
    assert bad.what in error.what
    assert error.where == f"experiments[3].{bad.where or bad.key}"
    assert bad.received in str(error.received or "")
    assert (error.received is None) == (bad.value is ...)
    assert bad.remedy in (error.remedy or "")


def test_a_state_of_five_regimes_is_none_of_three() -> None:
    document = spec("state_mapping.n_regimes", 3)
    document["backtest"] = {"position_scale": {"WEAK_RISK_ON_MAJORS": 1}}
    error = refused(document)
    assert error.what == "no such state with 3 regimes"
    assert error.where == "experiments[3].backtest.position_scale.WEAK_RISK_ON_MAJORS"
    assert "the states are RISK_ON_ALTS, BALANCED, RISK_ON_MAJORS" in str(error.remedy)


@pytest.mark.parametrize(
    ("document", "received"), [([MINIMAL], "[{"), ("baseline", "baseline"), (None, "null")]
)
def test_an_experiment_must_be_a_map(document: object, received: str) -> None:
    error = refused(document)
    assert error.what.startswith("the experiment ")
    assert error.where == "experiments[3]"
    assert received in str(error.received)


def test_a_retired_or_unknown_key_is_told_before_what_it_caused() -> None:
    wrong = {"experiment_id": "a", "title": 1, "feature": []}
    assert refused(wrong).what == "unknown key feature"
    wrong["backtest"] = {"train_window_days": 1}
    assert refused(wrong).what == "train_window_days is no key of MSM"


def test_keys_that_are_no_text() -> None:
    error = refused({**MINIMAL, dt.date(2024, 1, 1): 1, 5: 2})
    assert "Keys should be strings" in error.what


def test_an_alias_to_itself_is_refused() -> None:
    loop: dict[str, Any] = dict(MINIMAL)
    loop["window"] = loop
    assert refused(loop).what == "the values are nested too deeply"


def test_long_values_are_cut() -> None:
    assert len(str(refused(spec("window.start", "x" * 5_000)).received)) == 200


# --- Files -------------------------------------------------------------------------------------

HEAD = "experiment_id: a\nfeatures: [{id: momentum, weight: 1}]\n"

BAD_FILES = {
    # case: (text, what, where after the path, received, remedy)
    "unclosed bracket": (
        "experiment_id: a\nfeatures: [{id: momentum\nwindow: {}\n",
        "the YAML is broken",
        ", line 3, column 7",
        "flow mapping",
        "brackets",
    ),
    "tab": ("a:\n\tb: 1\n", "the YAML is broken", ", line 2, column 1", "token", "never tabs"),
    "python object": (
        "a: !!python/object/apply:os.getcwd []\n",
        "a value has a tag",
        ", line 1, column 4",
        "!!python/object/apply:os.getcwd",
        "remove it",
    ),
    "duplicate key": (
        HEAD + "window: {start: 2024-01-01}\nwindow: {}\n",
        "a key is given twice",
        ", line 4, column 1",
        "window",
        "keep one",
    ),
    "nested duplicate key": (
        HEAD + "universe:\n  majors: [BTC]\n  majors: [BTC]\n",
        "a key is given twice",
        ", line 5, column 3",
        "majors",
        "keep one",
    ),
    "empty": ("", "the file is empty", "", "", "msm_v1_baseline.yaml"),
    "comments only": ("# nothing\n", "the file is empty", "", "", "msm_v1_baseline.yaml"),
    "list": ("- a\n- b\n", "the file must hold a map of keys", "", "a list", "left margin"),
    "text": ("hello\n", "the file must hold a map of keys", "", "a single value", "left margin"),
    "documents": (
        HEAD + "---\n" + HEAD,
        "the file holds several YAML documents",
        ", line 3, column 1",
        "---",
        "per file",
    ),
    "nested 3,000 deep": (
        HEAD + "window: " + "{a: " * 3_000,
        "the values are nested too deeply",
        ", line 3, column 205",
        "more than 50 levels",
        "brackets",
    ),
    "nested 100,000 deep": (
        "[" * 100_000,
        "the values are nested too deeply",
        ", line 1, column 51",
        "more than 50 levels",
        "brackets",
    ),
    "nested by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60)),
        "the values are nested too deeply",
        ", line 50, column 12",
        "more than 50 levels",
        "brackets",
    ),
    "an alias to itself": (
        "a: &a [*a]\n",
        "an alias stands inside what it repeats",
        ", line 1, column 8",
        "*a",
        "write the value out",
    ),
    "a billion laughs": (
        "a0: &a0 [x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)),
        "there are too many values",
        ", line 7, column 40",
        "more than 1,000,000, counting what aliases (*name) repeat",
        "shorten",
    ),
    "too large": (
        HEAD + "description: " + "x" * 5_000_000,
        "the file is too large",
        "",
        "more than 5,000,000 bytes",
        "right file",
    ),
    "octal": (
        HEAD + "target: {short_leg: {n: 020}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "020",
        "write 20 (16 if octal is meant), or put it in quotes",
    ),
    "octal of YAML 1.2": (
        HEAD + "target: {short_leg: {n: 0o20}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "0o20",
        "write 16, or",
    ),
    "leading zero": (
        HEAD + "universe: {exclude_assets: [08]}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 29",
        "08",
        "write 8, or put it in quotes",
    ),
    "binary number": (
        HEAD + "target: {short_leg: {n: 0b11}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "0b11",
        "write 3, or",
    ),
    "sexagesimal": (
        HEAD + "target: {short_leg: {n: 1:30}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "1:30",
        "write 90, or",
    ),
    "sexagesimal with a fraction": (
        HEAD + "universe: {min_mcap_usd: -1:30.5}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 26",
        "-1:30.5",
        "write -90.5, or",
    ),
    "thousands of digits": (
        HEAD + "universe: {min_mcap_usd: " + "9" * 5_000 + "}\n",
        "a number has too many digits",
        ", line 3, column 26",
        "5,000 of them",
        "50_000_000",
    ),
    "thousands of hexadecimal digits": (
        HEAD + "target: {short_leg: {n: 0x" + "f" * 5_000 + "}}\n",
        "a number has too many digits",
        ", line 3, column 25",
        "5,002 of them",
        "50_000_000",
    ),
    "no digit": (
        HEAD + "target: {short_leg: {n: 0x_}}\n",
        "a number that cannot be read",
        "",
        "invalid literal",
        "50_000_000",
    ),
    "binary": ("a: \x00\n", "the YAML is broken", "", "", "check"),
    "impossible day": (
        HEAD + "window: {start: 2023-02-30}\n",
        "start is not a date",
        ": window.start",
        "2023-02-30",
        "YYYY-MM-DD",
    ),
    "text for a number": (
        HEAD + "target: {short_leg: {n: many}}\n",
        "n is not a finite number",
        ": target.short_leg.n",
        "many",
        "write a number",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_has_one_clear_message(case: str, tmp_path: Path) -> None:
    text, what, where, received, remedy = BAD_FILES[case]
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MsmError) as caught:
        load_experiment(path)
    error = caught.value
    assert what in error.what
    assert str(error.where).startswith(f"{path}{where}")
    assert received in str(error.received or "")
    assert remedy in (error.remedy or "")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"title: a\nname: \xff\xfe\x80\n")
    with pytest.raises(MsmError, match="the file is not UTF-8 text") as caught:
        load_experiment(path)
    assert caught.value.where == f"{path}, line 2"
    path.write_bytes(HEAD.encode("utf-16"))
    with pytest.raises(MsmError, match="the file is not UTF-8 text"):
        load_experiment(path)
    path.write_bytes(HEAD.encode("utf-8-sig"))
    assert load_experiment(path).experiment_id == "a"


def test_forms_in_quotes_are_text_and_text_is_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "universe: {exclude_assets: ['020', '1:30', 0xBTC, 09:30, 1INCH]}\n")
    found = load_experiment(path).universe.exclude_assets
    assert found == ("020", "09:30", "0xBTC", "1:30", "1INCH")


def test_a_merged_map_that_is_merged_again_holds_no_key_twice() -> None:
    text = "l: [&b {<<: &a {x: 1}, x: 2}]\nc: {<<: *b}\n"
    assert parse_yaml(text, "x.yaml") == {"l": [{"x": 2}], "c": {"x": 2}}


def test_a_device_is_not_read_for_ever() -> None:
    with pytest.raises(MsmError, match="the file is too large"):
        load_experiment("/dev/zero")


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(HEAD)
    with pytest.raises(MsmError) as caught:
        load_experiment(tmp_path / "reel.yaml")
    assert caught.value.what == "no such experiment file"
    assert caught.value.where == str(tmp_path / "reel.yaml")
    assert "holds real.yaml" in str(caught.value.remedy)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MsmError, match="not a folder"):
        load_experiment(tmp_path)


def test_dates_of_the_command_line_replace_the_window(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "window: {start: 2020-01-01, end: 2022-01-01}\n")
    window = load_experiment(path, start="2021-01-01", end=dt.date(2023, 1, 1)).window
    assert (window.start, window.end) == (dt.date(2021, 1, 1), dt.date(2023, 1, 1))
    assert load_experiment(path, start="2021-01-01").window.end == dt.date(2022, 1, 1)
    with pytest.raises(MsmError) as caught:
        load_experiment(path, start="yesterday")
    assert caught.value.where == "--start"
    assert caught.value.received == "yesterday"


def test_several_files(tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.yaml" for name in ("one", "same", "other"))
    one.write_text(HEAD + "target: {short_leg: {n: 20}}\n")
    same.write_text(HEAD + "target: {short_leg: {n: 2e1}}\n")
    other.write_text(HEAD + "target: {short_leg: {n: 21}}\n")
    assert len(load_experiments([one, same])) == 1
    with pytest.raises(MsmError) as caught:
        load_experiments([one, same, other])
    assert caught.value.what == "one experiment_id stands for two different experiments"
    assert caught.value.where == f"{one} and {other}"
    assert caught.value.received == "a"


# --- Bounds --------------------------------------------------------------------------------------


def numeric_places(section: type[BaseModel] = Experiment, prefix: str = "") -> list[str]:
    """Return the dotted path of every key that takes a number or a list or map of numbers."""
    found = []
    for name, field in section.model_fields.items():
        inner = _section_in(field.annotation)
        path = f"{prefix}{name}"
        if inner is not None:
            listed = "tuple[" in str(field.annotation)
            found += numeric_places(inner, f"{path}{'[0]' if listed else ''}.")
        elif re.search(r"\b(int|float)\b", str(field.annotation)):
            found.append(path)
    return found


@pytest.mark.parametrize("value", [1e300, -1e300, 10**400])
@pytest.mark.parametrize("place", numeric_places())
def test_every_number_has_a_bound(place: str, value: float) -> None:
    if place.startswith("features[0]."):
        document = spec("features", [{"id": "funding_skew", "weight": 1}])
        node, last = document["features"][0], place.removeprefix("features[0].")
        if last == "params.min_oi_coverage":
            node, last = node.setdefault("params", {}), "min_oi_coverage"
        node[last] = value
    else:
        shape = {
            "target.horizons_days": [value],
            "target.long_leg.weights": {"BTC": value},
            "backtest.position_scale": {"BALANCED": value},
            "backtest.grid_search.weights": {"momentum": [0, value]},
            "backtest.grid_search.thresholds": {"low": [value, 0]},
        }.get(place, value)
        document = spec(place, shape)
        if place.startswith("backtest.grid_search.") and "weights" not in place:
            document["backtest"]["grid_search"].setdefault("weights", {"momentum": [0, 1]})
    error = refused(document)
    assert re.search("at least|at most|above|below|must be|not a finite|neither", error.what)
    assert str(error.where).startswith("experiments[3].")


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("features", [{"id": "momentum", "weight": 1e308}], "weight must be at most 1000000"),
        ("backtest.capital_usd", 1e308, "capital_usd must be at most 1e+15"),
        ("backtest.costs.taker_fee_bps", 1e308, "taker_fee_bps must be at most 10000"),
        ("backtest.gross.long", 101, "long must be at most 100"),
        ("target.long_leg.weights", {"BTC": 1e308, "ETH": 1e308}, "BTC must be at most 1000000"),
        ("target.horizons_days", list(range(1, 252)), "horizons_days must be of at most 250"),
        ("target.horizons_days", list(range(1, 36_500)), "horizons_days must be of at most 250"),
        ("universe.majors", [f"M{i}" for i in range(1_001)], "majors must be of at most 1000"),
        ("window.start", "0202-01-01", "start is too early"),
        ("evaluation.holdout_start", "0001-01-01", "holdout_start is too early"),
    ],
)
def test_what_is_out_of_bounds_is_named(key: str, value: object, what: str) -> None:
    assert refused(spec(key, value)).what.startswith(what)


def test_a_long_list_is_checked_in_no_time() -> None:
    assets = [f"A{i}" for i in range(20_000)]
    started = time.perf_counter()
    found = from_resolved(spec("universe.exclude_assets", assets)).universe.exclude_assets
    assert refused(spec("universe.exclude_assets", [*assets, "A7"])).received == "A7"
    refused(spec("universe.exclude_assets", [f"A{i}" for i in range(100_001)]))
    assert refused(spec("features", [{"id": "momentun", "weight": 1}] * 1_000)).where
    assert time.perf_counter() - started < 2  # the quadratic check took ten seconds
    assert found == tuple(sorted(assets))


# --- The list that dbt gets --------------------------------------------------------------------


@given(st.text())
def test_variables_are_json_and_yaml_alike(text: str) -> None:
    rendered = variables([{"title": text}])
    expected = {"experiments": [{"title": text}]}
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
    (found,) = given_experiments(text).resolved
    assert found["window"]["start"] == "2024-02-01"
    assert found["title"] == title


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
        assert given_experiments(text).resolved == ()


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


# --- What is meant -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("universe.min_mcap_usd", "2e8", 200_000_000.0),
        ("universe.min_mcap_usd", "2E+8", 200_000_000.0),
        ("universe.min_mcap_usd", "50_000_000", 50_000_000.0),
        ("universe.min_mcap_usd", "50_000_000.5", 50_000_000.5),
        ("universe.min_mcap_usd", "'1e6'", 1_000_000.0),
        ("universe.min_mcap_usd", "0", 0.0),
        ("target.short_leg.n", "2e1", 20),
        ("target.short_leg.n", "20.0", 20),
        ("target.short_leg.n", "'20'", 20),
        ("state_mapping.n_regimes", "5.0", 5),
        ("state_mapping.hysteresis.low_band", "-1e-1", -0.1),
        ("evaluation.bootstrap.block_size", "1e1", 10),
        ("evaluation.bootstrap.block_size", "auto", "auto"),
        ("backtest.rebalance_weekday", "Monday", "monday"),
        ("window.start", "2024-01-01", "2024-01-01"),
        ("window.start", "'2024-01-01'", "2024-01-01"),
        ("target.horizons_days", "[20, 1, 5e0]", [1, 5, 20]),
    ],
)
def test_values_as_people_write_them(key: str, text: str, value: object) -> None:
    result = at(resolved(key, yaml.safe_load(text)), key)
    assert result == value
    assert type(result) is type(value)


def test_defaults_are_those_of_the_methodology() -> None:
    assert resolved() == {
        "experiment_id": "a",
        "title": "a",
        "description": None,
        "category_path": "msm",
        "window": {"start": None, "end": None},
        "universe": {"majors": ["BTC", "ETH"], "exclude_assets": [], "min_mcap_usd": 5e7},
        "features": [{"id": "momentum", "weight": 1.0, "params": {}}],
        "feature_params": {"zscore_window_days": 60, "min_coverage": 0.0},
        "target": {
            "long_leg": {"weights": {"BTC": 1.0}},
            "short_leg": {"n": 20, "weighting": "equal", "min_volume_usd": 1000.0},
            "horizons_days": [1, 5, 10, 20],
        },
        "state_mapping": {
            "n_regimes": 5,
            "thresholds": {"strong_low": -1.5, "low": -0.5, "high": 0.5, "strong_high": 1.5},
            "hysteresis": {"low_band": -0.3, "high_band": 0.3},
            "persistence": {"min_duration_days": 3, "requires_stronger_signal": True},
            "smoothing": {"ema_span_days": None},
            "high_vol_gate": None,
            "placebo_rotation_days": 0,
        },
        "backtest": {
            "walk_forward": True,
            "lookback_window_days": 252,
            "test_window_days": 63,
            "min_test_days": 20,
            "grid_search": None,
            "with_regime_eval": True,
            "rebalance_frequency_days": 1,
            "rebalance_weekday": None,
            "gross": {"long": 0.5, "short": 0.5},
            "position_scale": {
                "STRONG_RISK_ON_ALTS": 0.0,
                "WEAK_RISK_ON_ALTS": 0.0,
                "BALANCED": 0.0,
                "WEAK_RISK_ON_MAJORS": 0.6,
                "STRONG_RISK_ON_MAJORS": 1.0,
            },
            "costs": {"taker_fee_bps": 5.0, "slippage_bps": 5.0, "funding_enabled": True},
            "execution_lag_days": 0,
            "capital_usd": None,
            "impact_coefficient": 1.0,
        },
        "evaluation": {
            "bootstrap": {
                "enabled": True,
                "method": "studentized",
                "kind": "circular",
                "block_size": "auto",
                "n_boot": 999,
                "seed": 42,
            },
            "holdout_start": None,
            "look": False,
        },
        "allow_missing_features": False,
    }


def test_the_hold_out_ends_the_window_unless_it_is_looked_at() -> None:
    window = {"start": "2023-01-01", "end": "2024-01-01"}
    hidden = {"holdout_start": "2023-09-01"}
    with pytest.raises(MsmError, match="too short for walk-forward"):
        from_resolved(spec("window", window) | {"evaluation": hidden})
    from_resolved(spec("window", window) | {"evaluation": {**hidden, "look": True}})
    with pytest.raises(MsmError, match="hides the whole window"):
        from_resolved(spec("window", window) | {"evaluation": {"holdout_start": "2023-01-01"}})


def test_defaults_with_three_regimes() -> None:
    three = resolved("state_mapping.n_regimes", 3)
    assert three["state_mapping"]["thresholds"] == {
        "strong_low": None,
        "low": -0.5,
        "high": 0.5,
        "strong_high": None,
    }
    assert three["backtest"]["position_scale"] == {
        "RISK_ON_ALTS": 0.0,
        "BALANCED": 0.0,
        "RISK_ON_MAJORS": 1.0,
    }
    # and the defaults of the next experiment are untouched by it
    assert len(resolved()["backtest"]["position_scale"]) == 5


def test_a_given_position_scale_replaces_the_default() -> None:
    scale = resolved("backtest.position_scale", {"BALANCED": 0.5})["backtest"]["position_scale"]
    assert scale == {state: 0.5 if state == "BALANCED" else 0.0 for state in STATES[5]}


def test_a_weekday_replaces_the_frequency() -> None:
    backtest = resolved("backtest.rebalance_weekday", "friday")["backtest"]
    assert backtest["rebalance_weekday"] == "friday"
    assert backtest["rebalance_frequency_days"] is None


def test_an_empty_gate_is_on() -> None:
    gate = resolved("state_mapping.high_vol_gate", {})["state_mapping"]["high_vol_gate"]
    assert gate == {"btc_return_days": 7, "max_abs_return": 0.15}


def test_the_shortest_window_for_walk_forward() -> None:
    window = {"start": "2023-01-01", "end": "2023-09-29"}  # 272 = 252 + 20 days
    assert resolved("window", window)["window"] == window
    short = {"start": "2023-01-01", "end": "2023-01-01"}
    assert from_resolved({**spec("window", short), "backtest": {"walk_forward": False}})


def test_weights_may_sum_to_one_as_floats_do() -> None:
    weights = {"BTC": 0.1, "ETH": 0.2, "SOL": 0.7}
    document = spec("target.long_leg.weights", weights) | {"universe": {"majors": list(weights)}}
    assert from_resolved(document).target.long_leg.weights == weights


def test_equal_meaning_is_equal_bytes() -> None:
    short = {
        "experiment_id": "a",
        "features": [{"id": "momentum", "weight": 1}, {"id": "funding_skew", "weight": "5e-1"}],
    }
    long = {
        "features": [
            {"weight": 0.5, "id": "funding_skew", "params": {"weighting": "oi"}},
            {"weight": 1.0, "id": "momentum", "params": {}},
        ],
        "universe": {"majors": ["ETH", "BTC"], "min_mcap_usd": "50_000_000"},
        "target": {"short_leg": {"n": 20.0}, "horizons_days": [20, 10, 5, 1]},
        "backtest": {"position_scale": {"STRONG_RISK_ON_MAJORS": 1, "WEAK_RISK_ON_MAJORS": 0.6}},
        "state_mapping": {"thresholds": {"strong_low": None}},
        "experiment_id": "a",
        "title": "a",
    }
    one, two = resolve(from_resolved(short)), resolve(from_resolved(long))
    assert json.dumps(one) == json.dumps(two)
    assert run_id(one, "lake", "code") == run_id(two, "lake", "code")


# --- Ids ---------------------------------------------------------------------------------------


def test_ids_change_with_what_defines_them_and_nothing_else() -> None:
    base = resolved()
    universe = {"universe.min_mcap_usd": 1, "universe.exclude_assets": ["XRP"]}
    universe |= {"universe.majors": ["BTC"], "target.short_leg.min_volume_usd": 1}
    for key, value in universe.items():
        other = resolved(key, value)
        assert universe_id(other) != universe_id(base)
        assert basket_id(other) != basket_id(base)
    for key, value in {"target.short_leg.n": 5, "target.short_leg.weighting": "mcap"}.items():
        other = resolved(key, value)
        assert universe_id(other) == universe_id(base)
        assert basket_id(other) != basket_id(base)
    other = resolved("backtest.rebalance_weekday", "monday")
    assert basket_id(other) == basket_id(base)
    assert run_id(other, "lake", "code") != run_id(base, "lake", "code")


def test_run_id() -> None:
    base = resolved()
    assert re.fullmatch(r"a-[0-9a-f]{10}", run_id(base, "lake", "code"))
    ids = {run_id(base, lake, code) for lake in ("1", "2") for code in ("1", "2")}
    assert len(ids) == 4
    assert run_id(json.loads(canonical_json(base)), "1", "1") in ids


def test_feature_key() -> None:
    features = [{"id": "funding_heating", "weight": 1, "params": {"weighting": "median"}}]
    features += [{"id": " funding_skew ", "weight": 1}, {"id": "oi_risk", "weight": 1}]
    keys = [feature_key(feature) for feature in resolved("features", features)["features"]]
    assert keys == ["funding_heating|median|0.0", "funding_skew|oi|0.0", "oi_risk"]


# --- Round trip --------------------------------------------------------------------------------

REGIMES = st.sampled_from([3, 5])
WEIGHTS = st.floats(-10, 10).filter(bool)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    n_regimes = draw(REGIMES)
    ids = draw(st.lists(st.sampled_from(list(feature_registry())), min_size=1, unique=True))
    cuts = sorted(draw(st.sets(st.floats(-3, 3), min_size=4, max_size=4)))
    names = ["strong_low", "low", "high", "strong_high"]
    thresholds = dict(zip(names, cuts, strict=True))
    if n_regimes == 3:
        thresholds = {name: thresholds[name] for name in ("low", "high")}
    share = draw(st.floats(0.01, 0.99))
    rebalance = draw(
        st.sampled_from([{}, {"rebalance_weekday": "sunday"}, {"rebalance_frequency_days": 7}])
    )
    params = st.sampled_from([None, {}, {"weighting": "median"}, {"min_oi_coverage": 0.5}])
    return {
        "experiment_id": draw(st.from_regex(r"[a-z0-9][a-z0-9_]{0,20}", fullmatch=True)),
        "description": draw(st.none() | st.text(min_size=1).filter(str.strip)),
        "window": {"start": draw(st.none() | st.dates(dt.date(1900, 1, 1))), "end": None},
        "universe": {"min_mcap_usd": draw(st.floats(0, 1e12) | st.integers(0, 10**12))},
        "features": [
            {"id": name, "weight": draw(WEIGHTS)}
            | ({"params": draw(params)} if name.startswith("funding") else {})
            for name in ids
        ],
        "target": {
            "long_leg": {"weights": {"ETH": share, "BTC": 1 - share}},
            "horizons_days": draw(st.lists(st.integers(1, 99), min_size=1, unique=True)),
        },
        "state_mapping": {
            "n_regimes": n_regimes,
            "thresholds": thresholds,
            "high_vol_gate": draw(st.sampled_from([None, {}, {"btc_return_days": 3}])),
        },
        "backtest": {
            **rebalance,
            "position_scale": draw(
                st.none() | st.dictionaries(st.sampled_from(STATES[n_regimes]), st.floats(0, 2))
            ),
        },
        "evaluation": {"bootstrap": {"block_size": draw(st.just("auto") | st.integers(1, 99))}},
    }


@given(documents())
@settings(max_examples=60, deadline=None)
def test_round_trip(document: dict[str, Any]) -> None:
    experiment = from_resolved(document)
    text = canonical_json(resolve(experiment))
    again = from_resolved(json.loads(text))
    assert again == experiment
    assert canonical_json(resolve(again)) == text


# --- What is shipped ---------------------------------------------------------------------------


def test_the_schema_in_the_repository_is_current() -> None:
    shipped = (ROOT / "experiments" / "experiment.schema.json").read_text(encoding="utf-8")
    assert shipped == json_schema_text(), (
        "run `python -m msm_py.experiment.json_schema > experiments/experiment.schema.json`"
    )


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
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    assert keys <= named


# --- Registry and project ----------------------------------------------------------------------


def test_registry() -> None:
    registry = feature_registry()
    families = {"breadth", "dominance", "funding", "liquidity", "volatility", "momentum", "oi_risk"}
    assert {feature.family for feature in registry.values()} == families
    needy = {name: feature.needs for name, feature in registry.items() if feature.needs}
    assert needy == {
        "funding_skew": ("funding",),
        "funding_heating": ("funding",),
        "oi_risk": ("open_interest",),
    }
    assert len(registry) == 8 + 11


def test_bad_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.csv"
    with pytest.raises(MsmError, match="the feature registry is missing"):
        read_registry(path)
    path.write_text("feature_id,family\n")
    with pytest.raises(MsmError, match="lacks the column needs"):
        read_registry(path)
    path.write_text(",".join(COLUMNS) + "\na,b,,c,d\na,b,,c,d\n")
    with pytest.raises(MsmError, match="names a feature twice"):
        read_registry(path)


def test_project_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSM_PROJECT_DIR", raising=False)
    assert project_dir() == ROOT
    monkeypatch.setenv("MSM_PROJECT_DIR", str(tmp_path))
    with pytest.raises(MsmError, match=r"holds no dbt_project\.yml") as caught:
        project_dir()
    assert caught.value.where == "MSM_PROJECT_DIR"
    assert caught.value.received == str(tmp_path)
    (tmp_path / "dbt_project.yml").touch()
    assert project_dir() == tmp_path
