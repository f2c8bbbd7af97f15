"""The neighbours of an experiment, and the offsets of its placebos."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lakes import BASELINE, merged

from msm_py.errors import MsmError
from msm_py.experiment.ids import resolve
from msm_py.experiment.load import from_resolved
from msm_py.experiment.neighbours import Neighbour, neighbours, placebo_offsets
from msm_py.experiment.schema import Experiment
from msm_py.store.flat_params import flat_params

FIRST, N_DAYS = date(2024, 1, 1), 500


# what each check may change
CHANGES = {
    "execution lag": ("backtest.execution_lag_days",),
    "costs": (
        "backtest.costs.taker_fee_bps",
        "backtest.costs.slippage_bps",
        "backtest.impact_coefficient",
    ),
    "basket size": ("target.short_leg.n",),
    "z-window": ("feature_params.zscore_window_days",),
    "thresholds": ("state_mapping.thresholds.", "backtest.grid_search.thresholds."),
    "rebalance": ("backtest.rebalance_frequency_days", "backtest.rebalance_weekday"),
    "start": ("window.start",),
    "without feature": ("features.", "backtest.grid_search.weights."),
    "placebo": ("state_mapping.placebo_rotation_days", "evaluation.bootstrap.enabled"),
}
NAMES = ("experiment_id", "title")


def baseline(**changes: Any) -> Experiment:
    spec = {
        "experiment_id": "base",
        "features": [{"id": name, "weight": weight} for name, weight in BASELINE.items()],
    }
    return from_resolved(merged(spec, changes))


SEARCH = {
    "grid_search": {
        "weights": {"momentum": [0.0, 1.0]},
        "thresholds": {"low": [-0.7, -0.4], "high": [0.4, 0.7]},
    }
}
FREE = {"taker_fee_bps": 0, "slippage_bps": 0}
SPECS = {
    "plain": baseline(),
    "odd": baseline(
        window={"start": "2023-12-01", "end": "2026-01-01"},
        state_mapping={"n_regimes": 3, "thresholds": {"low": 0.0, "high": 0.7}},
        backtest={"rebalance_weekday": "friday", "execution_lag_days": 2},
    ),
    "searched": baseline(backtest=SEARCH),
}


def leaves(experiment: Experiment) -> dict[str, Any]:
    return {row["param"]: row["value"] for row in flat_params(resolve(experiment))}


def changed(one: Experiment, other: Experiment) -> set[str]:
    """Return the paths at which two experiments differ, apart from their names."""
    left, right = leaves(one), leaves(other)
    paths = {path for path in {**left, **right} if left.get(path, "") != right.get(path, "")}
    return paths - set(NAMES)


def only(found: list[Neighbour], check: str) -> dict[str, Neighbour]:
    return {x.setting: x for x in found if x.check == check}


def asked(neighbour: Neighbour) -> Experiment:
    assert neighbour.experiment is not None
    return neighbour.experiment


@pytest.mark.parametrize("name", SPECS)
def test_neighbours_are_valid_and_distinct_and_differ_in_what_they_should(name: str) -> None:
    spec = SPECS[name]
    before = resolve(spec)
    found = neighbours(spec, first_date=FIRST, n_days=N_DAYS)
    assert resolve(spec) == before
    run = [x for x in found if x.experiment is not None]
    assert {x.check for x in run} == set(CHANGES)
    for neighbour in run:
        other = asked(neighbour)
        assert from_resolved(resolve(other)) == other
        paths = changed(spec, other)
        assert paths, "it asks what the run asks"
        assert all(path.startswith(CHANGES[neighbour.check]) for path in paths), paths
    questions = [asked(x).model_dump_json(exclude=set(NAMES)) for x in run]
    assert len(set(questions)) == len(run)
    assert len({asked(x).experiment_id for x in run}) == len(run)
    assert sum(x.check == "placebo" for x in run) == 100


def test_values_of_the_neighbours() -> None:
    found = neighbours(SPECS["plain"], first_date=FIRST, n_days=N_DAYS)
    cuts = {
        setting: asked(x).state_mapping.thresholds.model_dump()
        for setting, x in only(found, "thresholds").items()
    }
    assert cuts == {
        "x0.8": {"strong_low": -1.2, "low": -0.4, "high": 0.4, "strong_high": 1.2},
        "x1.2": {"strong_low": -1.8, "low": -0.6, "high": 0.6, "strong_high": 1.8},
    }
    # from the first decision day, though the window has no start
    starts = [str(asked(x).window.start) for x in only(found, "start").values()]
    assert starts == ["2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29", "2024-02-05"]
    left = asked(only(found, "without feature")["momentum"])
    assert left.features == tuple(x for x in SPECS["plain"].features if x.id != "momentum")
    itself = [(x.check, x.setting) for x in found if x.is_itself]
    assert itself == [("execution lag", "0 days"), ("costs", "x1"), ("rebalance", "daily")]
    placebo = asked(next(iter(only(found, "placebo").values())))
    assert placebo.evaluation.bootstrap.enabled is False


@pytest.mark.parametrize(("capital", "impact"), [(None, [0.5, 0.5]), (1e6, [0.0, 1.0])])
def test_costs_are_impact_too_where_it_is_charged(
    capital: float | None, impact: list[float]
) -> None:
    spec = baseline(backtest={"capital_usd": capital, "impact_coefficient": 0.5})
    costs = only(neighbours(spec, first_date=FIRST, n_days=N_DAYS), "costs")
    changed = [asked(costs[name]).backtest for name in ("x0", "x2")]
    assert [x.impact_coefficient for x in changed] == impact
    assert [x.costs.taker_fee_bps for x in changed] == [
        factor * spec.backtest.costs.taker_fee_bps for factor in (0, 2)
    ]
    free = baseline(backtest={"capital_usd": capital, "costs": FREE})
    doubled = only(neighbours(free, first_date=FIRST, n_days=N_DAYS), "costs")["x2"]
    assert doubled.is_itself == (capital is None)


def test_a_search_loses_the_feature_and_has_its_cuts_scaled() -> None:
    found = neighbours(SPECS["searched"], first_date=FIRST, n_days=N_DAYS)
    left = asked(only(found, "without feature")["momentum"]).backtest.grid_search
    wide = asked(only(found, "thresholds")["x1.2"]).backtest.grid_search
    assert left is not None
    assert wide is not None
    assert left.weights == {}
    assert wide.thresholds == {"low": (-0.84, -0.48), "high": (0.48, 0.84)}


def test_what_cannot_be_is_said() -> None:
    one = baseline(
        features=[{"id": "momentum", "weight": 1}, {"id": "oi_risk", "weight": 0}],
        target={"short_leg": {"n": 5}},
        backtest={"costs": FREE},
    )
    found = neighbours(one, first_date=FIRST, n_days=252 + 20 + 20)
    skipped = {
        (x.check, x.setting): x.note for x in found if x.experiment is None and not x.is_itself
    }
    assert skipped == {
        ("basket size", "n 0"): "no alt would be left",
        ("start", "+3 weeks"): "271 days would be left, 272 are needed",
        ("start", "+4 weeks"): "264 days would be left, 272 are needed",
        ("start", "+5 weeks"): "257 days would be left, 272 are needed",
        ("without feature", "momentum"): "no feature has a weight other than 0",
        ("without feature", "oi_risk"): "its weight is 0",
    }
    assert all(x.is_itself for x in only(found, "costs").values())
    with pytest.raises(MsmError, match="a placebo has no robustness panel"):
        neighbours(
            baseline(state_mapping={"placebo_rotation_days": 5}), first_date=FIRST, n_days=N_DAYS
        )


@given(n_days=st.integers(1, 3000), least_days=st.integers(1, 400), seed=st.integers(0, 2**63 - 1))
def test_offsets_are_spread_over_all_that_may_be(n_days: int, least_days: int, seed: int) -> None:
    found = placebo_offsets(n_days, least_days=least_days, seed=seed)
    allowed = list(range(least_days, n_days - least_days + 1))
    assert len(found) == min(100, len(allowed))
    assert found == sorted(set(found))
    assert set(found) <= set(allowed)
    if found:  # one in each stretch, so that no two stretches in a row are empty
        gaps = np.diff([allowed[0] - 1, *found, allowed[-1] + 1])
        assert gaps.max() <= 2 * -(-len(allowed) // len(found))
