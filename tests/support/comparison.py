"""Frames of a run held against those of the oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd

TOLERANCE = 1e-9


def compare(name: str, expected: pd.DataFrame, actual: pd.DataFrame, key: list[str]) -> None:
    for frame in (expected, actual):
        if "date" in frame:
            frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[us]")
    expected = expected.set_index(key).sort_index()
    actual = actual.set_index(key).sort_index()
    assert list(expected.index) == list(actual.index), f"{name}: rows differ"
    for column in expected.columns.intersection(actual.columns):
        left, right = expected[column], actual[column]
        if left.dtype.kind in "fiu":
            left, right = left.astype(float), right.astype(float)
            assert (left.isna() == right.isna()).all(), f"{name}.{column}: other values missing"
            scale = np.nanmax(np.abs(left.to_numpy()), initial=0.0)
            worst = np.nanmax(np.abs((left - right).to_numpy()), initial=0.0)
            assert worst <= TOLERANCE * scale, f"{name}.{column}: off by {worst} of {scale}"
        else:
            same = (left == right) | (left.isna() & right.isna())
            assert same.all(), f"{name}.{column}: other values"
