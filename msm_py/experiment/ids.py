"""What identifies an experiment, and the definitions that many experiments share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msm_py.experiment.schema import FEATURES_WITH_PARAMS

Resolved = dict[str, Any]


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return the one JSON text of a resolved dict (keys sorted, no spaces), for hashing.

    Examples
    --------
    >>> canonical_json({"b": 1.0, "a": None})
    '{"a":null,"b":1.0}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def universe_id(resolved: Mapping[str, Any]) -> str:
    """Return the id of the universe: 10 hex digits of what decides which assets are alts.

    Parameters
    ----------
    resolved
        A dict from `resolve`.
    """
    return short_hash(_universe(resolved))


def basket_id(resolved: Mapping[str, Any]) -> str:
    """Return the id of the short basket: the universe, its size and its weighting.

    Parameters
    ----------
    resolved
        A dict from `resolve`.
    """
    leg = resolved["target"]["short_leg"]
    return short_hash({**_universe(resolved), "n": leg["n"], "weighting": leg["weighting"]})


def feature_key(feature: Mapping[str, Any]) -> str:
    """Return the key of a feature's raw values within a universe.

    Parameters
    ----------
    feature
        An item of ``resolved["features"]``.

    Examples
    --------
    >>> feature_key({"id": "momentum", "weight": 1.0, "params": {}})
    'momentum'
    >>> params = {"weighting": "oi", "min_oi_coverage": 0.0}
    >>> feature_key({"id": "funding_skew", "weight": 1.0, "params": params})
    'funding_skew|oi|0.0'
    """
    if feature["id"] not in FEATURES_WITH_PARAMS:
        return str(feature["id"])
    params = feature["params"]
    return f"{feature['id']}|{params['weighting']}|{params['min_oi_coverage']!r}"


def run_id(resolved: Mapping[str, Any], lake_fingerprint: str, code_fingerprint: str) -> str:
    """Return the id of a run: the same question on the same data with the same code.

    Parameters
    ----------
    resolved
        A dict from `resolve`.
    lake_fingerprint, code_fingerprint
        Of the lake's content and of the code that computes.

    Returns
    -------
    str
        ``<experiment_id>-<10 hex digits>``.
    """
    question = {"spec": resolved, "lake": lake_fingerprint, "code": code_fingerprint}
    return f"{resolved['experiment_id']}-{short_hash(question)}"


def _universe(resolved: Mapping[str, Any]) -> dict[str, Any]:
    universe = resolved["universe"]
    return {
        "majors": sorted(universe["majors"]),
        "exclude_assets": sorted(universe["exclude_assets"]),
        "min_mcap_usd": universe["min_mcap_usd"],
        "min_volume_usd": resolved["target"]["short_leg"]["min_volume_usd"],
    }


def short_hash(value: Mapping[str, Any]) -> str:
    """Return the 10 hex digits that stand for a resolved dict, or a part of one, in ids."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:10]
