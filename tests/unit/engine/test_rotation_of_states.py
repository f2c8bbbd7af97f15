"""States rotated in time."""

from __future__ import annotations

import numpy as np

from msm_py.engine.state_machine import rotate


def test_rotation_by_hand() -> None:
    # ten days; the second run decides on days 2 to 8 only
    path = np.array([[2, 2, 2, 3, 3, 4, 4, 4, 3, 2], [-1, -1, 0, 0, 1, 1, 1, 2, 2, 2]])
    age = np.array([[0, 1, 2, 0, 1, 0, 1, 2, 0, 0], [-1, -1, 0, 1, 0, 1, 2, 0, 1, 2]])
    first, n_days = np.array([0, 2]), np.array([10, 7])
    state, found = rotate(path, age, first, n_days, np.array([3, 5]))
    # day i has the state of day i - 3; the last 2 and the first three 2s become one stay
    assert state[0].tolist() == [4, 3, 2, 2, 2, 2, 3, 3, 4, 4]
    assert found[0].tolist() == [0, 0, 0, 1, 2, 3, 0, 1, 0, 1]
    # 0 0 1 1 1 2 2 rotated by 5 of 7; what is outside of the decision days stays
    assert state[1].tolist() == [-1, -1, 1, 1, 1, 2, 2, 0, 0, 2]
    assert found[1].tolist() == [-1, -1, 0, 1, 2, 0, 1, 0, 1, 2]
    for days in (np.array([0, 0]), n_days):
        same = rotate(path, age, first, n_days, days)
        assert (same[0] == path).all()
        assert (same[1] == age).all()
