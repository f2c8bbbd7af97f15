"""What an experiment may say, and what a user is told when it is wrong."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from support.experiments import MINIMAL, refused, spec

from msm_py.experiment.load import from_resolved
from msm_py.experiment.messages import _section_in
from msm_py.experiment.schema import Experiment

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
        "it is called evaluation.bootstrap.n_boot",
    ),
    *(
        Bad(f"foreign key {key}", key, 5, f"unknown key {key.rpartition('.')[2]}", "5", remedy)
        for key, remedy in {
            "target.horizon_days": "did you mean target.horizons_days?",
            "universe.horizon_days": "it is called target.horizons_days, a list",
            "universe.basket_size": "it is called target.short_leg.n",
            "window.from": "it is called window.start, YYYY-MM-DD",
            "universe.vol_target": "there is no volatility target",
            "backtest.start_date": "it is called window.start",
            "target.fees": "it is called backtest.costs.taker_fee_bps, in basis points",
            "backtest.initial_capital": "it is called backtest.capital_usd",
            "commission": "it is called backtest.costs.taker_fee_bps",
            "universe.top_n": "it is called target.short_leg.n",
            "backtest.stop_loss": "there are no stops",
            "target.frequency_of_moons": "remove it; the keys here are long_leg, short_leg",
        }.items()
    ),
    Bad(
        "a median of years",
        "target.short_leg.rank_median_days",
        366,
        "rank_median_days must be at most 365",
        "366",
        "rank_median_days: Alts are admitted and ranked by the median",
    ),
    Bad(
        "a feature by name",
        "features",
        [{"name": "momentum", "weight": 1}],
        "unknown key name",
        "momentum",
        "a feature is named by id: {id: momentum, weight: -0.3}",
        where="features[0].name",
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
        "write {id: momentum, weight: 0.3}: a feature has an id and a weight",
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
        "most of the window winsorized",
        "features",
        [{"id": "momentum", "weight": 1, "winsorize": 0.3}],
        "winsorize must be at most 0.25",
        "0.3",
        "quantile",
        where="features[0].winsorize",
    ),
    Bad(
        "z-scores clipped at 0",
        "feature_params.z_clip",
        0,
        "z_clip must be above 0",
        "0",
        "no limit",
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


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("target.short_leg.weighting", "mcap", "equal"),
        ("target.short_leg.rank_median_days", 3, "1"),
        ("features", [{**SKEW, "params": {"weighting": "mcap"}}], "oi or equal"),
    ],
)
def test_what_ranks_by_volume_asks_for_no_market_caps(
    key: str, value: object, instead: str
) -> None:
    error = refused(spec(key, value) | {"universe": {"rank_by": "volume_30d"}})
    assert "asks for market caps, and assets are ranked by volume" in error.what
    assert error.received == "rank_by volume_30d"
    assert error.remedy == f"write {instead}, or universe.rank_by: marketcap"


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


def test_a_retired_or_unknown_key_is_reported_before_what_it_caused() -> None:
    wrong = {"experiment_id": "a", "title": 1, "feature": []}
    assert refused(wrong).what == "unknown key feature"
    wrong["backtest"] = {"train_window_days": 1}
    assert refused(wrong).what == "train_window_days is no key of MSM"


def test_keys_that_are_no_text() -> None:
    keys: dict[Any, Any] = {**MINIMAL}
    error = refused(keys | {dt.date(2024, 1, 1): 1, 5: 2})
    assert "a key of the experiment is not text" in error.what


def test_an_alias_to_itself_is_refused() -> None:
    loop: dict[str, Any] = dict(MINIMAL)
    loop["window"] = loop
    assert refused(loop).what == "the values are nested too deeply"


def test_long_values_are_cut() -> None:
    assert len(str(refused(spec("window.start", "x" * 5_000)).received)) == 200


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


def test_long_lists_are_checked() -> None:
    """A check that grows with the square of their length would take minutes here."""
    assets = [f"A{i}" for i in range(100_000)]
    found = from_resolved(spec("universe.exclude_assets", assets)).universe.exclude_assets
    assert refused(spec("universe.exclude_assets", [*assets[:-1], "A7"])).received == "A7"
    refused(spec("universe.exclude_assets", [f"A{i}" for i in range(100_001)]))
    assert refused(spec("features", [{"id": "momentun", "weight": 1}] * 1_000)).where
    assert found == tuple(sorted(assets))
