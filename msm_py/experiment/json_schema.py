"""The JSON Schema that editors complete experiment files with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msm_py.experiment.registry import feature_registry
from msm_py.experiment.sweep_schema import SweepFile

NUMBER_AS_TEXT = r"^[+-]?[0-9][0-9_]*(\.[0-9_]*)?([eE][+-]?[0-9]+)?$"


def json_schema(feature_ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the JSON Schema that editors complete and check the YAML with.

    Parameters
    ----------
    feature_ids
        The features that exist; those of the project's registry when left out.

    Returns
    -------
    dict
        A JSON Schema (draft 7 vocabulary). Cross-field rules are not in it.
    """
    known = list(feature_registry() if feature_ids is None else feature_ids)
    schema = _for_editors(SweepFile.model_json_schema())
    schema["$defs"]["Feature"]["properties"]["id"]["enum"] = known
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _for_editors(node: Any) -> Any:
    """Allow ``50_000_000`` for numbers, which editors take for text, and drop what only repeats."""
    if isinstance(node, list):
        return [_for_editors(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {
        key: _for_editors(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and isinstance(value, dict))
    }
    if node.get("type") in ("number", "integer"):
        about = {key: node.pop(key) for key in ("description", "default") if key in node}
        return {"anyOf": [node, {"type": "string", "pattern": NUMBER_AS_TEXT}], **about}
    return node


def json_schema_text(feature_ids: Sequence[str] | None = None) -> str:
    """Return `json_schema` as the text of ``experiments/experiment.schema.json``."""
    return json.dumps(json_schema(feature_ids), indent=2, ensure_ascii=False) + "\n"
