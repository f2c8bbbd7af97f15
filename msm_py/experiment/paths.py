"""The dotted paths of a sweep: which there are in an experiment, and what stands at them.

``features.momentum.weight`` reaches a feature by its id, because the place of a feature in the
list has no meaning; for the same reason other lists are only given whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msm_py.errors import MsmError
from msm_py.experiment.foreign_keys import FOREIGN
from msm_py.experiment.messages import RETIRED, places
from msm_py.experiment.registry import feature_registry
from msm_py.experiment.sweep_schema import Sweep
from msm_py.text import did_you_mean

FIXED = ("experiment_id", "title", "description", "category_path", "sweep")


def known_paths(raw: dict[str, Any]) -> list[str]:
    """Return the paths that may be swept in the order of the schema, features by their id.

    Keys of a free map count when the file writes the map out: in a map that it leaves to the
    default, one key alone would replace the whole default.
    """
    ids = sorted(feature["id"].strip() for feature in raw["features"])
    schema = [path for path in places() if path.split(".")[0] not in FIXED]
    known: list[str] = []
    for path in schema:
        if path.startswith("features[]"):
            known += [path.replace("[]", f".{one}") for one in ids if path != "features[].id"]
            continue
        known.append(path)
        given = value_at(raw, path)
        if isinstance(given, dict) and not any(one.startswith(f"{path}.") for one in schema):
            known += [f"{path}.{key}" for key in sorted(given)]
    return known


def value_at(node: Any, path: str) -> Any:
    """Return what a raw or resolved experiment holds at a path; None where there is nothing."""
    for part in path.split("."):
        if isinstance(node, list):
            node = node[_index(node, part)]
        else:
            node = None if node is None else node.get(part)
    return node


def with_value(node: Any, parts: Sequence[str], value: Any) -> Any:
    """Return a raw experiment with another value; what is not on the way to it is shared."""
    if not parts:
        return value
    if isinstance(node, list):
        index = _index(node, parts[0])
        return [*node[:index], with_value(node[index], parts[1:], value), *node[index + 1 :]]
    node = node or {}  # a section that is left out, or null
    return {**node, parts[0]: with_value(node.get(parts[0]), parts[1:], value)}


def _index(features: list[Any], feature_id: str) -> int:
    return next(i for i, item in enumerate(features) if item["id"].strip() == feature_id)


def checked_paths(
    sweep: Sweep, known: Sequence[str], given: Mapping[str, str], prefix: str
) -> list[str]:
    """Return all paths in the order of ``known``; ``given`` are the options that fix some."""
    blocks: dict[str, Iterable[str]] = {"grid": sweep.grid, "zip": sweep.zip}
    if sweep.random:
        blocks["random.ranges"] = sweep.random.ranges
    taken: dict[str, str] = {}
    for block, paths in blocks.items():
        for path in paths:
            fault = _fault(path, known, given, taken)
            if fault:
                what, remedy = fault
                where = f"{prefix}sweep.{block}"
                raise MsmError(what, where=where, received=path, remedy=remedy)
            taken[path] = block
    return sorted(taken, key=known.index)


def _fault(
    path: str, known: Sequence[str], given: Mapping[str, str], taken: Mapping[str, str]
) -> tuple[str, str] | None:
    """Say what is wrong with a path, and the remedy."""
    if path not in known:
        return "unknown path", _meant(path, known)
    for key, option in given.items():
        if path in ("window", key):
            return f"the sweep varies what {option} fixes", f"leave out {option}, or this path"
    for other, block in taken.items():
        if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
            return f"{other} in {block} sets the same value", "keep one of the two"
    return None


def _meant(path: str, known: Sequence[str]) -> str:
    head, *parts = path.split(".")
    if parts and parts[-1] in RETIRED:
        return FOREIGN[parts[-1]]
    if head == "features" and parts and f"features.{parts[0]}.weight" not in known:
        if parts[0] in feature_registry():
            return f"add {parts[0]} to the features of the file; weight: 0 leaves it out"
    close = _close(path, known)
    if close is None and head != "features" and parts and parts[-1] in FOREIGN:
        return FOREIGN[parts[-1]]
    return (f"did you mean {close}? " if close else "") + (
        "a path is a key such as backtest.costs.taker_fee_bps, a listed feature's such as "
        "features.momentum.weight, or one in a map that the file writes out; lists are given whole"
    )


def _close(path: str, known: Sequence[str]) -> str | None:
    """Return the path that was meant: its end, one with a part misspelled, or what it lies in."""
    for one in known:
        if one.endswith(f".{path}"):
            return one
    parts = path.split(".")
    for one in known:
        others = one.split(".")
        differ = [pair for pair in zip(parts, others, strict=False) if pair[0] != pair[1]]
        if len(others) == len(parts) and len(differ) == 1 and did_you_mean(differ[0][0], others):
            return one
    for one in known:
        if path.startswith(f"{one}.") and not any(x.startswith(f"{one}.") for x in known):
            return one
    section = path.rpartition(".")[0]
    return did_you_mean(path, [one for one in known if one.rpartition(".")[0] == section])
