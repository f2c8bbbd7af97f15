"""Whether an answer is what was asked for: looked at before it becomes a file."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from msm_py.pull.datasets import Dataset


class Again(Exception):
    """It may work when it is tried again.

    Parameters
    ----------
    reason
        What happened, without a full stop; never holds a key.
    seconds
        How long the vendor wants to be left alone; None if it does not say.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class Refused(Exception):
    """It will not work however often it is tried.

    Parameters
    ----------
    reason
        What happened, without a full stop; never holds a key.
    is_general
        Whether the other requests of the source would fare no better.
    is_worn_out
        Whether it was tried again and again.
    """

    def __init__(self, reason: str, *, is_general: bool = False, is_worn_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_general = is_general
        self.is_worn_out = is_worn_out


def n_rows(content: bytes, data: Dataset) -> int | None:
    """Return how many rows an answer holds; None for an archive, whose rows nobody counted.

    Parameters
    ----------
    content
        The answer.
    data
        What it is an answer to.

    Raises
    ------
    Again
        Something else than an answer, or one that asks for patience.
    Refused
        The vendor says no, or the answer is full, so that rows may be cut off.
    """
    if data.shape == "archives":
        _check_zip(content)
        return None
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise Again(f"the answer is no JSON: {_beginning(content)}") from None
    _check_code(answer, data)
    rows = answer
    for key in data.rows:
        rows = rows.get(key) if isinstance(rows, dict) else None
    if not isinstance(rows, list):
        raise Refused(f"the answer holds no list of rows: {_beginning(content)}")
    if data.most_rows and len(rows) >= data.most_rows:
        raise Refused(
            f"the answer has {len(rows)} rows, as many as fit into one, so that some may lack"
        )
    return len(rows)


def _check_code(answer: Any, data: Dataset) -> None:
    vendor = data.vendor
    if vendor.code is None or not isinstance(answer, dict):
        return
    code = str(answer.get(vendor.code))
    if code != vendor.fine:
        reason = f"{vendor.code} {code}: {str(answer.get(vendor.message))[:200]}"
        raise Again(reason) if code in vendor.busy else Refused(reason)


def _check_zip(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise Again(f"the answer is no whole zip file: {_beginning(content)}") from None
    if not names:
        raise Again("the zip file is empty")


def _beginning(content: bytes) -> str:
    """Return the first characters of something unexpected, in one line."""
    return " ".join(content[:80].decode("utf-8", errors="replace").split()) or "nothing"
