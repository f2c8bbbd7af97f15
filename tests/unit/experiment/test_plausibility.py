"""Settings that are likely meant otherwise are doubted, and ruin by construction is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.experiments import SHIPPED, refused, spec

from msm_py.experiment.load import from_resolved, load_experiment
from msm_py.experiment.plausibility import doubtful_settings, unreached_cuts


def doubts(dotted: str, value: object, **more: Any) -> list[str]:
    return doubtful_settings(from_resolved(spec(dotted, value) | more))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("backtest.gross.long", 50, "If 50% is meant, write 0.5."),
        ("backtest.gross.short", 50, "If 50% is meant, write 0.5."),
        ("backtest.position_scale", {"STRONG_RISK_ON_MAJORS": 100}, "If 100% is meant, write 1."),
        ("backtest.costs.taker_fee_bps", 0.0005, "If a fraction is meant, write 5."),
        ("backtest.costs.slippage_bps", 0.05, "If a percentage is meant, write 5."),
        ("backtest.costs.taker_fee_bps", 500, "if 5 basis points are meant, write 5."),
        ("state_mapping.high_vol_gate", {"max_abs_return": 15}, "If 15% is meant, write 0.15."),
        ("universe.max_abs_return_1d", 200, "If 200% is meant, write 2."),
        ("universe.max_abs_return_1d", 0.1, "ordinary days"),
        ("backtest.max_participation", 10, "If 10% is meant, write 0.1."),
        ("backtest.max_participation", 0.0005, "A tenth of the volume is 0.1."),
    ],
)
def test_a_mistaken_unit_is_doubted(key: str, value: object, says: str) -> None:
    found = doubts(key, value, allow_extreme=True)
    assert key.split(".")[1] in found[0]
    assert says in found[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backtest.gross", {"long": 1.5, "short": 1.5}),
        ("backtest.costs.taker_fee_bps", 0),
        ("backtest.costs.taker_fee_bps", 0.1),
        ("backtest.costs.taker_fee_bps", 100),
        ("state_mapping.high_vol_gate", {"max_abs_return": 0.5}),
        ("universe.max_abs_return_1d", 2),
        ("backtest.max_participation", 1),
        ("backtest.max_participation", 0.001),
    ],
)
def test_what_may_well_be_meant_is_not_doubted(key: str, value: object) -> None:
    assert doubts(key, value) == []


def test_shipped_experiments_are_beyond_doubt() -> None:
    for file in SHIPPED:
        assert doubtful_settings(load_experiment(file)) == [], file.name


CUTS = {"strong_low": -1.5, "low": -0.5, "high": 0.5, "strong_high": 1.5}


@pytest.mark.parametrize(
    ("lowest", "highest", "named"),
    [
        (-0.9, 0.9, None),  # strong states are rare, not out of reach
        (-0.7, 0.7, "strong_low -1.5, strong_high 1.5"),
        (-0.9, 0.5, "high 0.5"),  # a score on the cut is not beyond it
        (-0.4, 0.9, "low -0.5"),
        (-0.01, 0.01, "strong_low -1.5, low -0.5, high 0.5, strong_high 1.5"),
        (-2.0, 2.0, None),
    ],
)
def test_cuts_out_of_reach_are_named(lowest: float, highest: float, named: str | None) -> None:
    found = unreached_cuts(CUTS, lowest, highest)
    if named is None:
        assert found == []
    else:
        assert f"reaches {named}:" in found[0]
        assert f"from {lowest:.2f} to {highest:.2f}" in found[0]


@pytest.mark.parametrize(
    ("key", "value", "received"),
    [
        ("backtest.gross.short", 50, "gross.short 50 x position_scale 1 = 50"),
        ("backtest.gross.long", 2, "gross.long 2 x position_scale 1 = 2"),
        ("backtest.position_scale", {"BALANCED": 100}, "gross.long 0.5 x position_scale 100 = 50"),
        ("backtest.costs.slippage_bps", 9995, "10000 basis points of a trade of 1 times"),
    ],
)
def test_ruin_by_construction_is_refused(key: str, value: object, received: str) -> None:
    error = refused(spec(key, value))
    assert received in str(error.received)
    assert "allow_extreme: true" in str(error.remedy)
    from_resolved(spec(key, value) | {"allow_extreme": True})


def test_a_scale_that_keeps_a_large_gross_small_is_fine() -> None:
    small = spec("backtest.gross.short", 3)
    small["backtest"]["position_scale"] = {"STRONG_RISK_ON_MAJORS": 0.6}
    from_resolved(small)
