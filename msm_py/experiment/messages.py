"""From pydantic's findings to one clear message: what, where, received, remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from msm_py.errors import MOST_TOLD, MsmError, together
from msm_py.experiment.foreign_keys import FOREIGN, OF_FEATURES
from msm_py.experiment.sweep_schema import SweepFile
from msm_py.text import Location, did_you_mean, dotted, join_dotted, shortened, shown

SHAPES = {"model_type": "a map", "model_attributes_type": "a map", "dict_type": "a map"}
SHAPES |= {"tuple_type": "a list", "string_type": "text", "bool_type": "true or false"}


def translate(
    error: ValidationError, raw: object, prefix: str, names: Mapping[str, str] | None = None
) -> MsmError:
    """Tell what is wrong with an experiment, what most likely caused the rest first.

    Keys of an earlier system come first, then unknown ones, then the rest in the order of the
    schema. A key that is missing because it is misspelled is told once.

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
    retired = {
        path: MsmError(
            f"{path[-1]} is no key of MSM",
            where=prefix + dotted(path),
            received=shown(value),
            remedy=FOREIGN[str(path[-1])],
        )
        for path, value in _walk(raw)
        if path and path[-1] in RETIRED
    }
    found, told = list(retired.values()), set(retired)
    details = error.errors(include_url=False)
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")  # stable
    locations = [detail["loc"] for detail in details]
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    meant = {(*x[:-1], _close_key(shortened(x))) for x in unknown[:MOST_TOLD]}
    around = {location[:n] for location in locations for n in range(len(location))}
    n_more = 0
    for detail in details:
        location = detail["loc"]
        is_told = any(location[:n] in told for n in range(len(location) + 1))
        follows = location in around
        is_misspelled = detail["type"] == "missing" and location in meant
        if is_told or follows or is_misspelled:
            continue
        told.add(location)
        if len(found) < MOST_TOLD:
            found.append(_message(detail, prefix, names or {}))
        else:
            n_more += 1
    return together(found, n_more)


RETIRED: Final = ("train_window_days", "slippage_adv_multiplier")
"""Keys of the earlier system that are told wherever they stand, even in a map of free keys."""


def _message(detail: ErrorDetails, prefix: str, names: Mapping[str, str]) -> MsmError:
    location, about_key = shortened(detail["loc"]), detail["loc"][-1:] == ("[key]",)
    if about_key:  # the key itself is wrong, so name the map
        location = location[:-2]
    elif detail["type"] == "invalid_key":
        location = location[:-1]
    context = detail.get("ctx", {})
    key = dotted(location)
    if context.get("key"):
        key = context["key"] if not key else join_dotted(key, context["key"])
    name = key.rsplit(".", 1)[-1] or "the experiment"
    what, remedy = _what_and_remedy(detail, location, f"a key of {name}" if about_key else name)
    where = names.get(key) or (prefix + key if key else prefix.rstrip(": ."))
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
    if kind == "invalid_key":
        return (
            f"a key of {name} is not text",
            "put it in quotes: YAML reads ON, NO, YES, dates and bare numbers as other things",
        )
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
    if shape == "a map" and isinstance(value, str) and name.startswith("features["):
        remedy = f"write {{id: {value}, weight: 0.3}}: a feature has an id and a weight"
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


def _close_key(location: Location) -> str | None:
    """Return the key of the section at hand that is spelled most like an unknown one."""
    *parents, last = location
    section = _section_at(tuple(parents))
    return None if section is None else did_you_mean(str(last), section.model_fields)


def _place_of(location: Location) -> str:
    """Say which key was meant: one of the section at hand, or one that is known to be foreign.

    What is spelled alike in another section is no hint: `universe.basket_size` is no block size.
    """
    *parents, last = location
    parent, name = dotted(tuple(parents)), str(last)
    if location == ("state_mapping", "backtest"):
        return "move it one level out: backtest stands beside state_mapping, not inside it"
    if parents[:1] == ["features"] and name in OF_FEATURES:
        return OF_FEATURES[name]
    elsewhere = [
        place
        for place in places()
        if place.rsplit(".", 1)[-1] == name and not place.startswith(OPTIONAL_BLOCKS)
    ]
    if len(elsewhere) == 1:
        return f"it belongs at {elsewhere[0]}"
    close = _close_key(location)
    if close:
        return f"did you mean {join_dotted(parent, close)}?"
    if name.lower() in FOREIGN:
        return FOREIGN[name.lower()]
    section = _section_at(tuple(parents))
    here = list(section.model_fields) if section is not None else []
    return f"remove it; the keys here are {', '.join(here)}"


OPTIONAL_BLOCKS: Final = ("sweep", "backtest.grid_search", "state_mapping.high_vol_gate")
"""Blocks of their own kind: a key that is found in one of them only was hardly meant for it."""
