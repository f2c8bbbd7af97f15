"""What a sweep expands to, how its variants are named, and what a user is told when it is wrong."""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve, run_id
from msm_py.experiment.json_schema import json_schema
from msm_py.experiment.load import from_resolved, load_experiment
from msm_py.experiment.paths import value_at
from msm_py.experiment.variants import Expansion, Rejected, collect, expand

SHIPPED = ROOT / "experiments" / "msm"
BASE: dict[str, Any] = {
    "experiment_id": "base",
    "title": "The base",
    "description": "Why.",
    "features": [{"id": "momentum", "weight": 1}, {"id": " funding_skew ", "weight": 0.5}],
}
LOW, HIGH = "state_mapping.thresholds.low", "state_mapping.thresholds.high"
N, LAG = "target.short_leg.n", "backtest.execution_lag_days"


def sweep(block: object = ..., **more: object) -> dict[str, Any]:
    raw = copy.deepcopy(BASE) | more
    return raw if block is ... else raw | {"sweep": block}


def grid(**values: list[Any]) -> dict[str, Any]:
    return {"grid": {path.replace("__", "."): items for path, items in values.items()}}


def values_at(expansion: Expansion, *paths: str) -> list[tuple[Any, ...]]:
    resolved = [resolve(variant) for variant in expansion.variants]
    return [tuple(value_at(one, path) for path in paths) for one in resolved]


def drawn(how: dict[str, Any], n: int = 200, seed: int = 1, path: str = LAG) -> list[Any]:
    block = {"random": {"n": n, "seed": seed, "ranges": {path: how}}}
    return [value for (value,) in values_at(expand(sweep(block)), path)]


def write(path: Path, document: object) -> Path:
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


# --- Which variants ------------------------------------------------------------------------------


def test_grid_points_come_in_the_order_of_the_file() -> None:
    expansion = expand(sweep({"grid": {N: [10, 5], LAG: [0, 1]}}))
    assert values_at(expansion, N, LAG) == [(10, 0), (10, 1), (5, 0), (5, 1)]
    assert expansion.base_id == "base"
    assert expansion.rejected == ()
    assert expansion.n_duplicates == 0


def test_zip_walks_its_lists_together() -> None:
    expansion = expand(sweep({"zip": {LOW: [-0.4, -0.6], HIGH: [0.4, 0.6]}}))
    assert values_at(expansion, LOW, HIGH) == [(-0.4, 0.4), (-0.6, 0.6)]


def test_every_grid_point_meets_every_row_and_the_same_draws() -> None:
    block = {
        "grid": {N: [5, 10]},
        "zip": {LOW: [-0.4, -0.6], HIGH: [0.4, 0.6]},
        "random": {"n": 3, "ranges": {"features.momentum.weight": {"uniform": [0, 1]}}},
    }
    found = values_at(expand(sweep(block)), N, LOW, "features.momentum.weight")
    assert len(found) == 2 * 2 * 3
    draws = [weight for _, _, weight in found[:3]]
    assert len(set(draws)) == 3
    assert found == [(n, low, w) for n in (5, 10) for low in (-0.4, -0.6) for w in draws]


def test_a_variant_is_what_someone_would_have_written() -> None:
    (variant,) = expand(sweep(grid(backtest__rebalance_weekday=["Monday"]))).variants
    own = {"experiment_id": variant.experiment_id, "title": "backtest.rebalance_weekday monday"}
    by_hand = sweep(backtest={"rebalance_weekday": "monday"}) | own
    assert variant == from_resolved(by_hand)
    assert variant.description == "Why."


def test_defaults_follow_what_is_swept() -> None:
    found = values_at(
        expand(sweep(grid(state_mapping__n_regimes=[3, 5]))),
        "state_mapping.thresholds.strong_low",
        "backtest.position_scale",
    )
    assert [strong for strong, _ in found] == [None, -1.5]
    assert [len(scale) for _, scale in found] == [3, 5]


def test_paths_reach_features_sections_maps_and_whole_values() -> None:
    raw = sweep(
        {
            "grid": {
                "features.funding_skew.weight": [-1],
                "features.funding_skew.params.weighting": ["median"],
                "features.momentum.winsorize": [0.05],
                "feature_params.z_clip": [3],
                "backtest.position_scale.BALANCED": [0.25],
                "target.horizons_days": [[5, 1]],
                "target.long_leg.weights": [{"BTC": 0.7, "ETH": 0.3}],
                "state_mapping.high_vol_gate.max_abs_return": ["2e-1"],
                "window.start": [dt.date(2023, 1, 1)],
                "allow_missing_features": [True],
            }
        },
        backtest={"position_scale": {"STRONG_RISK_ON_MAJORS": 1, "BALANCED": 0}},
        state_mapping={"high_vol_gate": None},
    )
    (variant,) = expand(raw).variants
    resolved = resolve(variant)
    assert resolved["features"] == [
        {
            "id": "funding_skew",
            "weight": -1.0,
            "params": {"weighting": "median", "min_oi_coverage": 0.0},
            "winsorize": None,
        },
        {"id": "momentum", "weight": 1.0, "params": {}, "winsorize": 0.05},
    ]
    assert resolved["feature_params"]["z_clip"] == 3.0
    scale = resolved["backtest"]["position_scale"]
    assert {state: share for state, share in scale.items() if share} == {
        "BALANCED": 0.25,
        "STRONG_RISK_ON_MAJORS": 1.0,
    }
    assert resolved["target"]["horizons_days"] == [1, 5]
    assert resolved["state_mapping"]["high_vol_gate"] == {
        "btc_return_days": 7,
        "max_abs_return": 0.2,
    }
    assert variant.title == (
        "window.start 2023-01-01, funding_skew -1, funding_skew.params.weighting median, "
        "momentum.winsorize 0.05, feature_params.z_clip 3, "
        "long_leg.weights {BTC: 0.7, ETH: 0.3}, target.horizons_days [1, 5], "
        "high_vol_gate.max_abs_return 0.2, position_scale.BALANCED 0.25, "
        "allow_missing_features true"
    )


def test_a_section_can_be_switched_on_and_off() -> None:
    expansion = expand(sweep(grid(state_mapping__high_vol_gate=[None, {}])))
    (off,), (on,) = values_at(expansion, "state_mapping.high_vol_gate")
    assert off is None
    assert on["btc_return_days"] == 7


def test_expanding_leaves_what_it_was_given() -> None:
    raw = sweep({"grid": {N: [1, 2], "features.momentum.weight": [1, 2]}})
    before = copy.deepcopy(raw)
    expand(raw, start="2023-01-01")
    assert raw == before


def test_a_file_without_the_block_is_its_own_variant() -> None:
    assert expand(sweep()) == Expansion("base", (from_resolved(sweep()),), (), 0)


def test_duplicates_are_dropped_and_counted() -> None:
    expansion = expand(sweep({"grid": {N: [20, "2e1", 20.0, 10]}}))
    assert values_at(expansion, N) == [(20,), (10,)]
    assert expansion.n_duplicates == 2
    expansion = expand(sweep({"grid": {"target.horizons_days": [[1, 5], [5, 1]]}}))
    assert (len(expansion.variants), expansion.n_duplicates) == (1, 1)


def test_invalid_variants_are_rejected_and_take_nothing_else_down() -> None:
    expansion = expand(sweep({"grid": {LOW: [-0.4, 0.6, 0.6], HIGH: [0.5]}}))
    assert values_at(expansion, LOW) == [(-0.4,)]
    assert expansion.rejected == (
        Rejected(
            "thresholds.low 0.6, high 0.5",
            "the thresholds are not in order (state_mapping.thresholds: "
            "strong_low -1.5, low 0.6, high 0.5, strong_high 1.5)",
        ),
    )
    assert expansion.n_duplicates == 1


def test_start_and_end_hold_for_all_variants() -> None:
    expansion = expand(sweep(grid(target__short_leg__n=[1, 2])), start="2023-01-01")
    assert values_at(expansion, "window.start") == [("2023-01-01",)] * 2
    expansion = expand(sweep({"grid": {"window.end": ["2025-01-01"]}}), start="2023-01-01")
    assert values_at(expansion, "window.start", "window.end") == [("2023-01-01", "2025-01-01")]


# --- Draws ---------------------------------------------------------------------------------------


def test_draws_stay_in_their_ranges_and_reach_all_of_them() -> None:
    assert set(drawn({"integer": [2, 5]})) == {2, 3, 4, 5}
    weight = "features.momentum.weight"
    assert set(drawn({"choice": [0.5, 2, -1]}, path=weight)) == {0.5, 2.0, -1.0}
    uniform = drawn({"uniform": [-1, 3]}, path=weight)
    assert -1 <= min(uniform) < -0.9
    assert 2.9 < max(uniform) <= 3
    logs = drawn({"log_uniform": [0.01, 100]}, path=weight)
    assert 0.01 <= min(logs) < 0.012
    assert 80 < max(logs) <= 100
    assert 70 < sum(value < 1 for value in logs) < 130  # half of them below the middle, 1


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 2**63 - 1))
@settings(max_examples=30, deadline=None)
def test_rounding_never_leaves_a_range(low: float, width: float, seed: int) -> None:
    high = low + width
    weight = "features.momentum.weight"
    values = drawn({"uniform": [low, high]}, n=5, seed=seed, path=weight)
    assert all(low <= value <= high for value in values)
    values = drawn({"log_uniform": [width, width * 3]}, n=5, seed=seed, path=weight)
    assert all(width <= value <= width * 3 for value in values)


def test_draws_are_these_for_ever() -> None:
    # 1 + int(9 u) and -1 + 2 u of the streams "7 <path>"; other draws would rename all runs
    ranges = {LAG: {"integer": [1, 9]}, "features.momentum.weight": {"uniform": [-1, 1]}}
    block = {"random": {"n": 3, "seed": 7, "ranges": ranges}}
    found = values_at(expand(sweep(block)), LAG, "features.momentum.weight")
    assert found == [(8, -0.30007), (3, -0.76889), (1, -0.77754)]


def test_more_draws_and_more_paths_keep_the_draws_there_are() -> None:
    how = {"integer": [0, 1000]}
    few, many = drawn(how, n=5), drawn(how, n=50)
    assert many[:5] == few
    assert drawn(how, n=5, seed=2) != few
    two = {"random": {"n": 5, "seed": 1, "ranges": {N: {"integer": [1, 99]}, LAG: how}}}
    assert [lag for (lag,) in values_at(expand(sweep(two)), LAG)] == few


# --- Names ---------------------------------------------------------------------------------------


def names(raw: dict[str, Any]) -> dict[str, str]:
    return {variant.experiment_id: variant.title or "" for variant in expand(raw).variants}


def test_names_depend_on_the_values_alone() -> None:
    first = names(sweep({"grid": {LOW: [-0.4], HIGH: [0.4, 0.6]}}))
    assert list(first.values()) == [
        "thresholds.low -0.4, high 0.4",
        "thresholds.low -0.4, high 0.6",
    ]
    assert all(re.fullmatch(r"base_[0-9a-f]{10}", one) for one in first)
    # other values beside them, another order, another way to write them, another part of the block
    assert (
        first.items() <= names(sweep({"grid": {HIGH: ["6e-1", 0.7, 0.4], LOW: [-1, -0.4]}})).items()
    )
    assert first == names(sweep({"zip": {HIGH: [0.4, 0.6], LOW: [-0.4, -0.4]}}))
    # the base's own value at a swept path plays no part
    base = sweep({"grid": {LOW: [-0.4], HIGH: [0.4, 0.6]}})
    assert first == names(base | {"state_mapping": {"thresholds": {"low": -0.1}}})


def test_an_added_value_keeps_the_run_ids() -> None:
    def run_ids(values: list[float]) -> list[str]:
        variants = expand(sweep({"grid": {LOW: values}})).variants
        return [run_id(variant, "lake", "code") for variant in variants]

    assert set(run_ids([-0.4, -0.6])) < set(run_ids([-0.7, -0.6, -0.5, -0.4]))


def test_ids_differ_and_stay_short_enough() -> None:
    raw = sweep({"grid": {N: list(range(1, 200))}}) | {"experiment_id": "x" * 200}
    found = names(raw)
    assert len(found) == 199
    assert {len(one) for one in found} == {200}
    for variant in expand(raw).variants[:3]:
        assert from_resolved(resolve(variant)) == variant


# --- What is refused -----------------------------------------------------------------------------

LONG = list(range(1, 400))
INTEGER = {N: {"integer": [1, 2]}}
AT_N = "sweep.grid.target.short_leg.n"


@pytest.mark.parametrize(
    ("block", "what", "where", "remedy"),
    [
        (None, "sweep is empty", "sweep", "write a map"),
        ({}, "the sweep changes nothing", "sweep", "at least one of grid"),
        ({"gird": {}}, "unknown key gird", "sweep.gird", "did you mean sweep.grid?"),
        ({"grid": {N: 5}}, "n must be a list", AT_N, "write a list"),
        ({"grid": {N: []}}, "n must be a list of at least 1", AT_N, "all combinations"),
        ({"grid": [N]}, "grid must be a map", "sweep.grid", "dotted path"),
        ({"zip": {LOW: [1], HIGH: [1, 2]}}, "differ in length", "sweep.zip", "one length"),
        ({"grid": {N: [1]}, "zip": {N: [2]}}, f"{N} in grid sets the same", "sweep.zip", "keep"),
        (
            {"grid": {"target.short_leg": [{}], N: [2]}},
            "target.short_leg in grid sets the same value",
            "sweep.grid",
            "keep one of the two",
        ),
        ({"grid": {N: LONG, LAG: LONG}}, "more than 100,000 variants", "sweep", "shorten"),
        ({"random": {"ranges": INTEGER}}, "n is missing", "sweep.random.n", "Number of draws"),
        ({"random": {"n": 0, "ranges": INTEGER}}, "n must be at least 1", "sweep.random.n", ""),
        ({"random": {"n": 5}}, "ranges is missing", "sweep.random.ranges", "how its value"),
        ({"random": {"n": 5, "ranges": {}}}, "ranges is empty", "sweep.random.ranges", "{path:"),
    ],
)
def test_bad_blocks(block: object, what: str, where: str, remedy: str) -> None:
    with pytest.raises(MsmError) as caught:
        expand(sweep(block))
    assert what in caught.value.what
    assert caught.value.where == where
    assert remedy in (caught.value.remedy or "")
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("state_mapping.threshold.low", f"did you mean {LOW}?"),
        ("thresholds.low", f"did you mean {LOW}?"),
        ("features.momentun.weight", "did you mean features.momentum.weight?"),
        ("features.oi_risk.weight", "add oi_risk to the features of the file"),
        ("backtest.train_window_days", "backtest.lookback_window_days: nothing is trained"),
        ("features.momentum.id", "did you mean features.momentum"),
        ("features.0.weight", "a listed feature's such as features.momentum.weight"),
        ("target.horizons_days.0", "did you mean target.horizons_days? "),
        ("backtest.position_scale.BALANCED", "a map that the file writes out"),
        ("experiment_id", "a path is a key"),
        ("sweep.random.n", "a path is a key"),
        ("zzz", "a path is a key"),
    ],
)
@pytest.mark.parametrize("part", ["grid", "zip", "random"])
def test_unknown_paths(part: str, path: str, remedy: str) -> None:
    ranges = {"random": {"n": 2, "ranges": {path: {"choice": [1]}}}}
    with pytest.raises(MsmError) as caught:
        expand(sweep(ranges if part == "random" else {part: {path: [1]}}))
    assert caught.value.what == "unknown path"
    assert caught.value.where == f"sweep.{'random.ranges' if part == 'random' else part}"
    assert caught.value.received == path
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("how", "what", "remedy"),
    [
        ([1, 2], "n must say how it is drawn", "{uniform: [0, 1]}"),
        ({}, "n must say how it is drawn", "{integer: [1, 9]}"),
        ({"unifrom": [1, 2]}, "n must say how it is drawn", "did you mean uniform?"),
        ({"uniform": [1, 2], "integer": [1, 2]}, "in one way", ""),
        ({"uniform": [2, 1]}, "uniform must be two numbers, the smaller one first", "[1, 2]"),
        ({"integer": [1, 2, 3]}, "integer must be two numbers", "[1, 2]"),
        ({"integer": [1, 2.5]}, "not a whole number", ""),
        ({"log_uniform": [0, 1]}, "must be above 0", ""),
        ({"log_uniform": [1e-300, 1e15]}, "log_uniform spans too much", "larger first number"),
        ({"log_uniform": [1, 1e308]}, "must be at most 1e+15", ""),
        ({"uniform": [-1e308, 1e308]}, "must be at least -1e+15", ""),
        ({"integer": [1, 10**400]}, "must be at most 9.22", ""),
        ({"choice": [1] * 100_001}, "choice must be of at most 100000 entries", ""),
        ({"uniform": ["a", 1]}, "not a finite number", ""),
        ({"choice": []}, "a list of at least 1", ""),
    ],
)
def test_bad_ranges(how: object, what: str, remedy: str) -> None:
    with pytest.raises(MsmError) as caught:
        expand(sweep({"random": {"n": 5, "ranges": {N: how}}}))
    assert what in caught.value.what
    assert (caught.value.where or "").startswith("sweep.random.ranges.target.short_leg.n")
    assert remedy in (caught.value.remedy or "")


def test_what_the_command_line_fixes_cannot_be_swept() -> None:
    raw = sweep({"grid": {"window.start": ["2023-01-01", "2023-02-01"]}})
    with pytest.raises(MsmError, match="the sweep varies what --start fixes"):
        expand(raw, start="2023-03-01")
    assert len(expand(raw, end="2025-01-01").variants) == 2


def test_a_wrong_base_is_one_error_not_a_thousand(tmp_path: Path) -> None:
    raw = sweep({"grid": {N: [1, 2]}}, backtets={})
    path = write(tmp_path / "x.yaml", raw)
    with pytest.raises(MsmError) as caught:
        expand(path)
    assert caught.value.where == f"{path}: backtets"
    with pytest.raises(MsmError) as caught:
        expand(write(path, sweep({"grid": {"zzz": [1]}})))
    assert caught.value.where == f"{path}: sweep.grid"


def test_a_sweep_is_no_single_experiment(tmp_path: Path) -> None:
    path = write(tmp_path / "x.yaml", sweep({"grid": {N: [1]}}))
    with pytest.raises(MsmError) as caught:
        load_experiment(path)
    assert str(caught.value) == (
        f"this file is a sweep\n  where:    {path}: sweep\n  remedy:   run it with `msm sweep`"
    )
    with pytest.raises(MsmError, match="this is a sweep"):
        from_resolved(sweep(None))


# --- Several files -------------------------------------------------------------------------------


def test_collect_takes_experiments_and_sweeps(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.yaml", sweep(experiment_id="msm_v1_a")),
        write(tmp_path / "b.yaml", sweep({"grid": {N: [20, 10, 0]}}, experiment_id="msm_v1_b")),
        write(tmp_path / "c.yaml", sweep(experiment_id="msm_v1_c", features=[])),
    ]
    expansion = collect(paths, start="2023-01-01")
    assert expansion.base_id == "msm_v1"
    assert values_at(expansion, N, "window.start") == [(20, "2023-01-01"), (10, "2023-01-01")]
    assert expansion.variants[0].experiment_id == "msm_v1_a"  # the sweep's first asks the same
    assert expansion.n_duplicates == 1
    assert expansion.rejected == (
        Rejected("short_leg.n 0", "n must be at least 1 (target.short_leg.n: 0)"),
        Rejected(str(paths[2]), "features must be a list of at least 1 (features: [])"),
    )


def test_collect_of_one_file_is_its_expansion(tmp_path: Path) -> None:
    path = write(tmp_path / "b.yaml", sweep({"grid": {N: [10, 10, 0]}}))
    assert collect([path]) == expand(path)
    with pytest.raises(MsmError):
        collect([write(path, sweep(features=[]))])
    with pytest.raises(MsmError, match="there are no experiment files"):
        collect([])


def test_collect_refuses_one_id_for_two_specs(tmp_path: Path) -> None:
    one = write(tmp_path / "a.yaml", sweep({"grid": {N: [10]}}))
    other = write(tmp_path / "b.yaml", sweep({"grid": {N: [10]}}, allow_missing_features=True))
    with pytest.raises(MsmError, match="one experiment_id stands for two") as caught:
        collect([one, other])
    assert caught.value.where == f"{one} and {other}"
    same = write(tmp_path / "c.yaml", sweep({"grid": {N: [10]}}, title="Another"))
    assert collect([one, same]).n_duplicates == 1


def test_collect_refuses_a_broken_sweep_beside_others(tmp_path: Path) -> None:
    good = write(tmp_path / "a.yaml", sweep())
    bad = write(tmp_path / "b.yaml", sweep({"grid": {"zzz": [1]}}))
    with pytest.raises(MsmError, match="unknown path"):
        collect([good, bad])


def test_families_without_a_common_word(tmp_path: Path) -> None:
    one = write(tmp_path / "a.yaml", sweep(experiment_id="abc"))
    other = write(tmp_path / "b.yaml", sweep(experiment_id="abd", allow_missing_features=True))
    assert collect([one, other]).base_id == "experiments"


# --- Speed, and what is shipped ------------------------------------------------------------------


@pytest.mark.parametrize(("name", "n_variants"), [("threshold_grid", 54), ("weight_search", 64)])
def test_shipped_sweep(name: str, n_variants: int) -> None:
    (path,) = SHIPPED.parent.rglob(f"{name}.yaml")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../experiment.schema.json\n")
    expansion = expand(path)
    assert expansion.base_id == name
    assert len(expansion.variants) == n_variants
    assert (expansion.rejected, expansion.n_duplicates) == ((), 0)
    as_editors_see_it = json.loads(json.dumps(yaml.safe_load(text), default=str))
    validator = jsonschema.Draft7Validator(json_schema())
    validator.validate(as_editors_see_it)
    baseline = resolve(load_experiment(SHIPPED / "msm_v1_baseline.yaml"))
    base = resolve(from_resolved({k: v for k, v in yaml.safe_load(text).items() if k != "sweep"}))
    assert {
        k: v for k, v in base.items() if k not in ("experiment_id", "title", "description")
    } == {k: v for k, v in baseline.items() if k not in ("experiment_id", "title", "description")}


@pytest.mark.parametrize(
    "block",
    [
        {"grid": {N: 5}},
        {"gird": {N: [5]}},
        {"random": {"ranges": {N: {"integer": [1, 2]}}}},
        {"random": {"n": 5, "ranges": {N: {"integer": [1, 2, 3]}}}},
        {"random": {"n": 5, "ranges": {N: {}}}},
        {"random": {"n": 5, "ranges": {N: {"uniform": [1, 2], "integer": [1, 2]}}}},
    ],
)
def test_editors_refuse(block: object) -> None:
    assert not jsonschema.Draft7Validator(json_schema()).is_valid(sweep(block))


def test_the_example_of_the_reference_expands_as_it_says() -> None:
    text = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    lines = text[text.index("sweep:\n  grid:") :].split("\n```")[0]
    block = yaml.safe_load(lines)["sweep"]
    assert len(expand(sweep(block)).variants) == 120
