"""Names and values in messages."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable
from pathlib import Path


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(names)


def hint(word: str, known: Iterable[str]) -> str:
    """Return a did-you-mean when a known name is close, else nothing."""
    close = difflib.get_close_matches(word.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    spelled = {k.lower(): k for k in known}
    return f" (did you mean {spelled[close[0]]}?)" if close else ""


Location = tuple[int | str, ...]


def dotted(location: Location) -> str:
    """Return a location as people write it.

    Examples
    --------
    >>> dotted(("features", 0, "id"))
    'features[0].id'
    """
    text = ""
    for part in location:
        text = join_dotted(text, f"[{part}]" if isinstance(part, int) else str(part))
    return text


def shortened(location: Location) -> Location:
    """Return a location whose keys are cut, as `shown` does: a key may be of any length."""
    return tuple(shown(part) if isinstance(part, str) and part else part for part in location)


def shown(value: object, limit: int = 200) -> str:
    """Return a value as YAML users know it (``null``, ``true``), cut to ``limit`` characters."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):  # keys that JSON has not; a YAML alias to itself
        text = repr(value)
    if isinstance(value, str) and value.strip():
        text = value
    return text if len(text) <= limit else text[: limit - 3] + "..."


def join_dotted(left: str, right: str) -> str:
    """Return two parts of a location as one."""
    return left + right if not left or right.startswith("[") else f"{left}.{right}"


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """Return the option that is spelled most like ``word``, or None.

    Examples
    --------
    >>> did_you_mean("funding_scew", ["funding_skew", "momentum"])
    'funding_skew'
    """
    by_lower_case = {option.lower(): option for option in options}
    matches = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None


def relative_path(path: Path) -> str:
    """Return a path as seen from the working directory."""
    return os.path.relpath(path)
