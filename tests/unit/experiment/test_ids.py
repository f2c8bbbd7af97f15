"""Ids: equal for equal meaning, and changed by nothing else."""

from __future__ import annotations

import json
import re

from support.experiments import resolved

from msm_py.experiment.ids import basket_id, canonical_json, feature_key, run_id, universe_id


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
