import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msm_py.stats import sums
from msm_py.stats.sums import Terms, sums_of_slices


@pytest.mark.parametrize("at_once", [2**17, 50])
@pytest.mark.parametrize("add", [sums.plain, sums.compiled()])
@pytest.mark.parametrize("length", [1, 3, 16, 41])
def test_sums_equal_a_plain_loop_to_the_bit(
    length: int, add: sums.Add, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "_AT_ONCE", at_once)
    rng = np.random.default_rng(length)
    table = rng.normal(size=280)
    number = [0, 1, 4, 5, 0, 11, 60]
    begin = rng.integers(table.size - length + 1, size=sum(number))
    factor = rng.choice([-2.0, -1.0, 0.5, 1.0], size=sum(number))
    offset = np.concatenate([[0], np.cumsum(number)])
    table[begin[0]] = -0.0
    expected = np.zeros((len(number), length))
    for row, (first, end) in enumerate(itertools.pairwise(offset)):
        for term in range(first, end):
            expected[row] += factor[term] * table[begin[term] : begin[term] + length]
    found = np.zeros(expected.shape)
    add(table, begin, factor, offset, found)
    assert found.tobytes() == expected.tobytes()


def test_what_takes_long_goes_on_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = Terms(np.array([1]), np.ones(1), np.array([0, 1]))
    used = []
    monkeypatch.setattr(sums, "plain", lambda *_: used.append("plain"))
    monkeypatch.setattr(sums, "compiled", lambda: lambda *_: used.append("compiled"))
    for spent in (0.0, sums._PAYS):
        monkeypatch.setattr(sums, "_spent", spent)
        sums_of_slices(np.ones(3), terms, 2)
    assert used == ["plain", "compiled"]


@pytest.mark.parametrize("begin", [-1, 4])
def test_a_slice_outside_the_table_is_refused(begin: int) -> None:
    with pytest.raises(ValueError, match="outside the table"):
        sums_of_slices(np.zeros(6), Terms(np.array([begin]), np.ones(1), np.array([0, 1])), 3)


def test_nothing_to_add_is_zero() -> None:
    terms = Terms(np.zeros(0, dtype=np.int64), np.zeros(0), np.array([0, 0]))
    np.testing.assert_array_equal(sums_of_slices(np.zeros(2), terms, 2), np.zeros((1, 2)))


@pytest.mark.parametrize("add", [sums.plain, sums.compiled()])
def test_slices_may_have_no_length(add: sums.Add) -> None:
    found = np.zeros((1, 0))
    add(np.zeros(3), np.array([0, 1]), np.ones(2), np.array([0, 2]), found)
    assert found.shape == (1, 0)


COMPILED = (
    "from msm_py.stats.sums import *; s = np.zeros((1, 2));"
    "compiled()(np.ones(3), np.array([1]), np.ones(1), np.array([0, 1]), s); print(s)"
)


@pytest.mark.parametrize("harm", ["nowhere to keep it", "damaged", "damaged index"])
def test_compiled_code_that_is_not_kept_is_compiled_anew(tmp_path: Path, harm: str) -> None:
    """As in a read-only installation of a user without a home, or after a full disk."""
    code, environment = COMPILED, {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    if harm == "nowhere to keep it":
        code = "import numba.core.caching as c; c.CacheImpl._locator_classes = [];" + code
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.stdout == "[[1. 1.]]\n", done.stderr
        for file in tmp_path.rglob("*.nbi" if harm == "damaged index" else "*.nbc"):
            file.write_bytes(b"")
