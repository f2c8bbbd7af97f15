"""From pydantic's findings to one clear message: what, where, received, remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from msm_py.errors import MsmError
from msm_py.experiment.sweep_schema import SweepFile
from msm_py.text import Location, did_you_mean, dotted, join_dotted, shown

RETIRED = {
    "train_window_days": "it is called backtest.lookback_window_days: nothing is trained on it",
    "slippage_adv_multiplier": "use backtest.capital_usd and backtest.impact_coefficient: "
    "market impact follows the square-root law",
}
"""Keys of earlier systems, and what took their place."""
SHAPES = {"model_type": "a map", "model_attributes_type": "a map", "dict_type": "a map"}
SHAPES |= {"tuple_type": "a list", "string_type": "text", "bool_type": "true or false"}


def translate(
    error: ValidationError, raw: object, prefix: str, names: Mapping[str, str] | None = None
) -> MsmError:
    """Tell the finding that most likely caused the others.

    Retired keys come first, then unknown ones (a misspelled key also makes one that is missing),
    then the rest in the order of the schema.

    Parameters
    ----------
    error
        What pydantic found in ``raw``.
    raw
        The data as it was given.
    prefix
        What comes before a dotted key in ``where``: ``"file.yaml: "`` or ``"experiments[3]."``.
    names
        Other names of dotted keys, for values that came from elsewhere (the command line).

    Returns
    -------
    MsmError
        To be raised by the caller.
    """
    for path, value in _walk(raw):
        if path and path[-1] in RETIRED:
            return MsmError(
                f"{path[-1]} is no key of MSM",
                where=prefix + dotted(path),
                received=shown(value),
                remedy=RETIRED[str(path[-1])],
            )
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    location, about_key = detail["loc"], detail["loc"][-1:] == ("[key]",)
    if about_key:  # the key itself is wrong, so name the map
        location = location[:-2]
    context = detail.get("ctx", {})
    key = dotted(location)
    if context.get("key"):
        key = context["key"] if not key else join_dotted(key, context["key"])
    name = key.rsplit(".", 1)[-1] or "the experiment"
    what, remedy = _what_and_remedy(detail, location, f"a key of {name}" if about_key else name)
    where = (names or {}).get(key) or (prefix + key if key else prefix.rstrip(": ."))
    missing = detail["type"] == "missing"
    received = None if missing else shown(context.get("received", detail["input"]))
    return MsmError(what, where=where, received=received, remedy=remedy)


def _walk(
    node: object, path: Location = (), seen: set[int] | None = None
) -> Iterator[tuple[Location, object]]:
    """Yield all values with their locations; what YAML aliases repeat is visited once."""
    yield path, node
    seen = set() if seen is None else seen
    if not isinstance(node, dict | list) or id(node) in seen:
        return
    seen.add(id(node))
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from _walk(value, (*path, key if isinstance(key, int) else str(key)), seen)


def _what_and_remedy(detail: ErrorDetails, location: Location, name: str) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    field = _field_at(location)
    about = _about(field)
    if kind == "msm_rule":
        return context["what"].replace("{name}", name), context["remedy"]
    if kind == "extra_forbidden":
        return f"unknown key {location[-1]}", _place_of(location)
    if kind == "missing":
        return f"{name} is missing", f"add it: {about}"
    if kind in SHAPES:
        return _wrong_shape(name, SHAPES[kind], detail["input"], about)
    if kind in BOUNDS:
        return f"{name} must be {BOUNDS[kind].format(**context)}", f"{name}: {about}"
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        close = did_you_mean(str(detail["input"]), options)
        hint = f"did you mean {close}? " if close else ""
        return f"{name} must be {context['expected']}", f"{hint}{name}: {about}"
    if kind == "string_pattern_mismatch":
        return f"{name} does not match {context['pattern']}", f"{name}: {about}"
    return f"{name}: {detail['msg']}", about or "see experiments/README.md"


BOUNDS = {
    "greater_than": "above {gt:.12g}",
    "greater_than_equal": "at least {ge:.12g}",
    "less_than": "below {lt:.12g}",
    "less_than_equal": "at most {le:.12g}",
    "too_short": "a list of at least {min_length}",
    "too_long": "of at most {max_length} entries",
    "string_too_long": "at most {max_length} characters",
}


def _wrong_shape(name: str, shape: str, value: object, about: str) -> tuple[str, str]:
    if value is None:
        return f"{name} is empty", f"write {shape} there, or remove the key"
    found = {dict: "a map", list: "a list", str: "text", bool: "a truth value"}.get(
        type(value), "a number" if isinstance(value, int | float) else type(value).__name__
    )
    remedy = f"write {shape}: {about or 'see experiments/README.md'}"
    return f"{name} must be {shape}, not {found}", remedy


def _about(field: FieldInfo | None) -> str:
    if field is None:
        return ""
    text = (field.description or "").rstrip(".")
    simple = isinstance(field.default, bool | int | float | str)
    return text + (f" (default {shown(field.default)})" if simple else "")


def _section_in(annotation: object) -> type[BaseModel] | None:
    """Return the section that an annotation holds, through ``| None``, tuples and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        section = _section_in(inner)
        if section is not None:
            return section
    return None


def _section_at(location: Location) -> type[BaseModel] | None:
    section: type[BaseModel] | None = SweepFile
    for part in location:
        if isinstance(part, int):
            continue
        if section is None or part not in section.model_fields:
            return None
        section = _section_in(section.model_fields[part].annotation)
    return section


def _field_at(location: Location) -> FieldInfo | None:
    names = [part for part in location if isinstance(part, str)]
    # A value inside a plain map (long_leg.weights.BTC) is described where the map is.
    for length in range(len(names), 0, -1):
        section = _section_at(tuple(names[: length - 1]))
        if section is not None and names[length - 1] in section.model_fields:
            return section.model_fields[names[length - 1]]
    return None


def places(section: type[BaseModel] = SweepFile, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key; items of a list as ``features[]``."""
    for name, field in section.model_fields.items():
        path = join_dotted(prefix, name)
        yield path
        inner = _section_in(field.annotation)
        if inner is not None:
            listed = "tuple[" in str(field.annotation)
            yield from places(inner, f"{path}[]" if listed else path)


def _place_of(location: Location) -> str:
    """Say where an unknown key belongs, or which key was meant."""
    *parents, last = location
    parent, name = dotted(tuple(parents)), str(last)
    if location == ("state_mapping", "backtest"):
        return "move it one level out: backtest stands beside state_mapping, not inside it"
    section = _section_at(tuple(parents))
    here = list(section.model_fields) if section is not None else []
    close = did_you_mean(name, here)
    known = list(places())
    elsewhere = [place for place in known if place.rsplit(".", 1)[-1] == name]
    if elsewhere:
        return f"it belongs at {elsewhere[0]}"
    if close:
        return f"did you mean {join_dotted(parent, close)}?"
    close = did_you_mean(name, [place.rsplit(".", 1)[-1] for place in known])
    for place in known:
        if close is not None and place.rsplit(".", 1)[-1] == close:
            return f"did you mean {place}?"
    return f"remove it; the keys here are {', '.join(here)}"
