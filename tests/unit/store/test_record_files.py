"""Hidden records: a damaged one is named, and a new one is there wholly or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.made_up_runs import (
    full_disk,
    names,
    publish,
    write_made_up_run,
)

from msm_py.errors import MsmError
from msm_py.store import (
    record_files,
    robustness_records,
    sweep_records,
    warehouse,
)


@pytest.fixture
def recorded(place: Path) -> Path:
    """The same runs with two sweeps and the panel of each run."""
    runs = place / "runs"
    sweep = {"name": "s", "n_trials": 2, "members": [], "trials": [], "runs": [], "edges": []}
    for name in (sweep_records.FOLDER, robustness_records.FOLDER):
        (runs / name).mkdir()
    for sweep_id in ("s-0123456789", "s-abcdefabcd"):
        file = runs / sweep_records.FOLDER / f"{sweep_id}.json"
        record_files.replace(file, {**sweep, "sweep_id": sweep_id, "overall": {"n_runs": 0}})
    for run_id in ("a-0000000001", "b-0000000002"):
        panel: dict[str, Any] = {
            "run_id": run_id,
            "title": "x",
            "rows": [],
            "summary": {"n_flips": 1},
        }
        record_files.replace(runs / robustness_records.FOLDER / f"{run_id}.json", panel)
    counts = publish(place)
    assert (counts["sweeps"], counts["robustness_summary"]) == (2, 2)
    assert warehouse.alarms(runs) == []
    return place


def _cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (_cut_short, "no JSON"),
    "empty": (lambda file: os.truncate(file, 0), "no JSON"),
    "binary": (lambda file: file.write_bytes(b"\xff\xfe\x00"), "no JSON"),
    "a list": (lambda file: file.write_text("[]"), "a list where a map belongs"),
    "a key missing": (lambda file: file.write_text("{}"), "is missing"),
    "a folder": (_folder_instead, "no plain file"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_record_is_left_out_and_named(what: str, recorded: Path) -> None:
    runs = recorded / "runs"
    broken = (runs / ".sweeps" / "s-0123456789.json", runs / ".robustness" / "a-0000000001.json")
    damage, fault = DAMAGE[what]
    for file in broken:
        damage(file)
    assert write_made_up_run(runs, "c-0000000003", sharpe=3.0)
    counts = publish(recorded)
    assert (counts["catalog"], counts["sweeps"], counts["robustness_summary"]) == (3, 1, 1)
    told = warehouse.alarms(runs)
    assert len(told) == 2
    for file, sentence in zip(broken, told, strict=True):
        assert str(file) in sentence
        assert fault in sentence
    asks: tuple[Callable[[], Any], ...] = (
        lambda: sweep_records.find_record(runs, "s-01"),
        lambda: robustness_records.read_record(runs, "a-0000000001"),
    )
    for ask in asks:
        with pytest.raises(MsmError, match="a record is damaged") as caught:
            ask()
        for part in (fault, "where:", "remedy:   move it elsewhere; "):
            assert part in str(caught.value)
    assert sweep_records.find_record(runs, "s-ab")["n_trials"] == 2


def test_a_record_is_replaced_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".sweeps" / "x.json"
    record_files.replace(file, {"n": 1})
    assert file.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(MsmError, match="No space left on device") as caught:
        record_files.replace(file, {"n": 2})
    assert str(file) in str(caught.value)
    assert (names(tmp_path), names(file.parent)) == ([".sweeps"], ["x.json"])
    assert json.loads(file.read_text()) == {"n": 1}
