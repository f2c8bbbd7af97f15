"""A disk that is full ends what would fail again."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lakes import run_of

from msm_py.errors import MsmError, NoSpace
from msm_py.experiment.ids import ResolvedRun
from msm_py.runner import invocation
from msm_py.runner.batches import run_sweep
from msm_py.runner.invocation import Outcome
from msm_py.settings import Places

FULL = """Runtime Error in model run_artifacts (models/artifacts/run_artifacts.py)
  Python model failed:
  Traceback (most recent call last):
    File "x.py", line 1, in model
  {}
  "runs"
  compiled code at target/run/msm/models/artifacts/run_artifacts.py"""


@pytest.mark.parametrize(
    ("error", "n_attempts"), [(NoSpace("no room"), 1), (MsmError("anything else"), 7)]
)
def test_a_batch_that_found_no_room_is_not_halved(
    error: MsmError, n_attempts: int, tmp_path: Path
) -> None:
    attempts = []

    def compute(specs: list[ResolvedRun], places: Places) -> tuple[list[Outcome], str, float]:
        attempts.append(len(specs))
        raise error

    specs = [run_of(f"x-{i:010}") for i in range(4)]
    places = Places(tmp_path, tmp_path / "runs", tmp_path / "wh.duckdb")
    try:
        trials = list(run_sweep(specs, places, compute=compute))
        assert {trial.error for trial in trials} == {"anything else"}
    except NoSpace:
        assert isinstance(error, NoSpace)
    assert len(attempts) == n_attempts


@pytest.mark.parametrize("name", ["NoSpace", "MsmError"])
def test_what_a_model_says_of_a_full_disk_is_shown_as_it_is(name: str, tmp_path: Path) -> None:
    told = f"msm_py.errors.{name}: a run could not be written\n  received: No space left on device"
    error = invocation._error([FULL.format(told)], tmp_path / "own" / "dbt.log")
    assert isinstance(error, NoSpace)
    assert str(error).startswith("a run could not be written\n")
    assert "MSM_TARGET" not in str(error)


def test_what_dbt_and_duckdb_say_of_a_full_disk_names_the_scratch_folder(tmp_path: Path) -> None:
    said = 'IO Error: Could not write file "scratch.duckdb": No space left on device'
    error = invocation._error(["x: skipped", FULL.format(said)], tmp_path / "own" / "dbt.log")
    assert isinstance(error, NoSpace)
    for part in (f"{tmp_path} (MSM_TARGET)", f"received: {said}"):
        assert part in str(error)
