"""A resolved experiment as rows of key and value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def flat_params(value: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield the leaves of a resolved experiment as rows with their dotted path.

    Examples
    --------
    >>> list(flat_params({"a": {"b": 2}, "c": ["x"]}))[0]
    {'param': 'a.b', 'value': '2', 'value_number': 2.0}
    """
    if isinstance(value, dict):
        if "id" in value:  # a feature: named by its id, not by its place
            path = f"{path.rsplit('.', 1)[0]}.{value['id']}"
            value = {key: part for key, part in value.items() if key != "id"}
        for key, part in value.items():
            yield from flat_params(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from flat_params(part, f"{path}.{place}")
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        as_text = value if isinstance(value, str) else json.dumps(value)
        yield {
            "param": path,
            "value": None if value is None else as_text,
            "value_number": float(value) if is_number else None,
        }
