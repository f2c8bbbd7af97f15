"""What identifies an experiment, and the definitions that many experiments share.

Inside, an experiment is its model, `msm_py.experiment.schema.Experiment`. At the border (what ids
hash, dbt's variables, manifests) it is a plain dict, ready for JSON, with all defaults filled in,
so that equal meaning gives equal bytes. What is computed once for many experiments (universe,
basket, feature) has an id that hashes the sections of the experiment that define it, with all their
keys but those named here: one that nobody thought of splits what could be shared, and never gives a
run the numbers of another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from msm_py.experiment.schema import Experiment, Feature, FeatureParams

OF_BASKET: Final = ("n", "weighting")
"""Keys of the short leg that choose among alts, and do not decide which assets are alts."""
OF_SCORE: Final = ("min_coverage",)
"""Keys that hold for all features, but say how z-scores are used, not what they are."""
NOT_OF_LEGS: Final = {
    "": ("experiment_id", "title", "description", "category_path", "state_mapping"),
    "backtest": (
        *("gross", "position_scale", "costs", "capital_usd"),
        *("impact_coefficient", "max_participation"),
    ),
    "evaluation": ("bootstrap",),
}
"""Keys by section that decide nothing of what legs hold and earn, nor on which days."""


@dataclass(frozen=True)
class ResolvedRun:
    """An experiment, and the id of its run on one lake with one code.

    Parameters
    ----------
    run_id
        See `run_id`.
    experiment
        What is asked.
    """

    run_id: str
    experiment: Experiment

    @classmethod
    def of(
        cls, experiment: Experiment, lake_fingerprint: str, code_fingerprint: str
    ) -> ResolvedRun:
        """Return the run of an experiment on a lake, with a code."""
        return cls(run_id(experiment, lake_fingerprint, code_fingerprint), experiment)

    @property
    def title(self) -> str:
        """Its line for people."""
        assert self.experiment.title is not None  # validation fills it in
        return self.experiment.title

    def as_variable(self) -> dict[str, Any]:
        """Return what dbt's variables hold of it: the run id beside the experiment's keys."""
        return {"run_id": self.run_id, **resolve(self.experiment)}


def resolve(experiment: Experiment) -> dict[str, Any]:
    """Return the canonical dict of an experiment.

    Parameters
    ----------
    experiment
        A validated experiment.

    Returns
    -------
    dict
        Ready for JSON, keys in schema order, defaults filled in, lists that mean sets sorted,
        dates as ISO text, whole numbers int and all others float.

    Examples
    --------
    >>> features = [{"id": "momentum", "weight": 1}]
    >>> x = Experiment.model_validate({"experiment_id": "a", "features": features})
    >>> resolve(x)["features"]
    [{'id': 'momentum', 'weight': 1.0, 'params': {}, 'winsorize': None}]
    """
    return experiment.model_dump(mode="json")


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


def universe_id(experiment: Experiment) -> str:
    """Return the id of the universe: 10 hex digits of what decides which assets are alts."""
    return short_hash(_universe(experiment))


def basket_id(experiment: Experiment) -> str:
    """Return the id of the short basket: 10 hex digits of the universe and the short leg."""
    leg = experiment.target.short_leg.model_dump(mode="json")
    return short_hash({**_universe(experiment), "short_leg": leg})


def long_weights_id(experiment: Experiment) -> str:
    """Return what the long leg is, as text.

    Examples
    --------
    >>> features = [{"id": "momentum", "weight": 1}]
    >>> long_weights_id(Experiment.model_validate({"experiment_id": "a", "features": features}))
    '{"weights":{"BTC":1.0}}'
    """
    return canonical_json(experiment.target.long_leg.model_dump(mode="json"))


def feature_set_id(experiment: Experiment) -> str:
    """Return the id of the z-scores: 10 hex digits of universe, features and their params."""
    params = experiment.feature_params.model_dump(mode="json", exclude=set(OF_SCORE))
    keys = sorted(z_key(x, experiment.feature_params) for x in experiment.features)
    return short_hash({**_universe(experiment), "params": params, "features": keys})


def legs_id(experiment: Experiment, *, looks: bool) -> str:
    """Return the id of legs, schedules and forward returns: 10 hex digits of what decides them.

    Parameters
    ----------
    experiment
        The experiment.
    looks
        Whether its look at the hold-out, if it wants one, is recorded.
    """
    spec = resolve(experiment)
    for section, names in NOT_OF_LEGS.items():
        for name in names:
            del (spec[section] if section else spec)[name]
    return short_hash({**spec, "looks": looks})


def feature_key(feature: Feature) -> str:
    """Return the key of a feature's raw values within a universe.

    Examples
    --------
    >>> feature_key(Feature(id="momentum", weight=1.0))
    'momentum'
    >>> feature_key(Feature(id="funding_skew", weight=1.0))
    'funding_skew|oi|0.0'
    """
    params = {} if feature.params is None else feature.params.model_dump(mode="json")
    return "|".join([feature.id, *map(str, params.values())])


def z_key(feature: Feature, params: FeatureParams) -> str:
    """Return the key of a feature's z-scores within a universe.

    Examples
    --------
    >>> z_key(Feature(id="momentum", weight=1.0, winsorize=0.05), FeatureParams(z_clip=3.0))
    'momentum|0.05|60|3.0'
    """
    shared = params.model_dump(mode="json", exclude=set(OF_SCORE))
    return "|".join([feature_key(feature), str(feature.winsorize), *map(str, shared.values())])


def run_id(experiment: Experiment, lake_fingerprint: str, code_fingerprint: str) -> str:
    """Return the id of a run: the same question on the same data with the same code.

    Parameters
    ----------
    experiment
        The question.
    lake_fingerprint, code_fingerprint
        Of the lake's content and of the code that computes.

    Returns
    -------
    str
        ``<experiment_id>-<10 hex digits>``.
    """
    return run_id_of(resolve(experiment), lake_fingerprint, code_fingerprint)


def run_id_of(spec: Mapping[str, Any], lake_fingerprint: str, code_fingerprint: str) -> str:
    """Return the id of a run, as `run_id` does, of an experiment as manifests have it."""
    question = {"spec": spec, "lake": lake_fingerprint, "code": code_fingerprint}
    return f"{spec['experiment_id']}-{short_hash(question)}"


def _universe(experiment: Experiment) -> dict[str, Any]:
    leg = experiment.target.short_leg.model_dump(mode="json", exclude=set(OF_BASKET))
    return {"universe": experiment.universe.model_dump(mode="json"), "alts": leg}


def short_hash(value: Mapping[str, Any]) -> str:
    """Return the 10 hex digits that stand for a resolved dict, or a part of one, in ids."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:10]
