"""Ids: equal for equal meaning, and changed by nothing else."""

from __future__ import annotations

import hashlib
import json
import re

from support.experiments import spec

from msm_py.experiment.ids import (
    basket_id,
    canonical_json,
    feature_key,
    resolve,
    run_id,
    universe_id,
)
from msm_py.experiment.load import from_resolved


def test_ids_change_with_what_defines_them_and_nothing_else() -> None:
    base = from_resolved(spec())
    universe = {"universe.min_mcap_usd": 1, "universe.exclude_assets": ["XRP"]}
    universe |= {"universe.majors": ["BTC"], "target.short_leg.min_volume_usd": 1}
    for key, value in universe.items():
        other = from_resolved(spec(key, value))
        assert universe_id(other) != universe_id(base)
        assert basket_id(other) != basket_id(base)
    for key, value in {"target.short_leg.n": 5, "target.short_leg.weighting": "mcap"}.items():
        other = from_resolved(spec(key, value))
        assert universe_id(other) == universe_id(base)
        assert basket_id(other) != basket_id(base)
    other = from_resolved(spec("backtest.rebalance_weekday", "monday"))
    assert basket_id(other) == basket_id(base)
    assert run_id(other, "lake", "code") != run_id(base, "lake", "code")


def test_run_id() -> None:
    base = from_resolved(spec())
    assert re.fullmatch(r"a-[0-9a-f]{10}", run_id(base, "lake", "code"))
    ids = {run_id(base, lake, code) for lake in ("1", "2") for code in ("1", "2")}
    assert len(ids) == 4
    again = from_resolved(json.loads(canonical_json(resolve(base))))
    assert run_id(again, "1", "1") in ids
    # what a run id hashes is this text and no other: runs that are there keep their names
    text = canonical_json({"spec": resolve(base), "lake": "lake", "code": "code"})
    digits = hashlib.sha256(text.encode()).hexdigest()[:10]
    assert run_id(base, "lake", "code") == f"a-{digits}"


def test_feature_key() -> None:
    features = [{"id": "funding_heating", "weight": 1, "params": {"weighting": "median"}}]
    features += [{"id": " funding_skew ", "weight": 1}, {"id": "oi_risk", "weight": 1}]
    keys = [feature_key(feature) for feature in from_resolved(spec("features", features)).features]
    assert keys == ["funding_heating|median|0.0", "funding_skew|oi|0.0", "oi_risk"]
