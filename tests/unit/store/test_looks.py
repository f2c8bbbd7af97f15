"""The ledger of looks at the hold-out."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.lakes import run_of

from msm_py.errors import MsmError
from msm_py.store import looks

# --- The ledger ----------------------------------------------------------------------------------


def look_spec(
    name: str, holdout_start: str = "2025-01-01", digits: str = "0123456789"
) -> dict[str, Any]:
    evaluation = {"holdout_start": holdout_start, "look": True}
    return {"run_id": f"{name}-{digits}", "experiment_id": name, "evaluation": evaluation}


def filled(runs: Path, number: int = 3) -> list[str]:
    for index in range(number):
        (new,) = looks.record(
            runs, [run_of(**look_spec(f"family_{index:010x}"))], f"reason {index}"
        )
        assert new.family == "family"
    return (runs / looks.LEDGER).read_text().splitlines()


def put(runs: Path, lines: list[str]) -> looks.Ledger:
    (runs / looks.LEDGER).write_text("".join(f"{line}\n" for line in lines))
    return looks.read(runs)


def test_an_untouched_ledger_has_no_fault(tmp_path: Path) -> None:
    assert looks.read(tmp_path) == looks.Ledger()
    lines = filled(tmp_path)
    ledger = looks.read(tmp_path)
    assert [look.reason for look in ledger.looks] == ["reason 0", "reason 1", "reason 2"]
    assert ledger.fault is None
    assert looks.record(tmp_path, [run_of(**look_spec("family_0000000001"))], "again") == []
    assert (tmp_path / looks.LEDGER).read_text().splitlines() == lines


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("how", ["taken away", "changed", "broken"])
def test_a_line_that_was_changed_or_taken_away_is_noticed(
    place: int, how: str, tmp_path: Path
) -> None:
    lines = filled(tmp_path)
    if how == "taken away":
        lines.pop(place)
    elif how == "changed":
        lines[place] = lines[place].replace("reason", "better reason")
    else:
        lines[place] = lines[place][:40]
    ledger = put(tmp_path, lines)
    assert ledger.fault is not None
    # what is written later does not hide it
    looks.record(tmp_path, [run_of(**look_spec("another"))], "later")
    later = looks.read(tmp_path)
    assert later.looks[-1].reason == "later"
    assert how == "taken away" or later.fault is not None


def test_a_whole_ledger_that_was_taken_away_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / looks.LEDGER).unlink()
    assert looks.read(tmp_path).fault is not None


def test_a_crash_between_the_two_files_is_no_fault(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    head = (tmp_path / looks.HEAD).read_bytes()
    looks.record(tmp_path, [run_of(**look_spec("second"))], "why")
    (tmp_path / looks.HEAD).write_bytes(head)
    assert looks.read(tmp_path).fault is None
    # an unfinished line is one, and swallows nothing
    with (tmp_path / looks.LEDGER).open("a") as file:
        file.write('{"looked_at": "20')
    looks.record(tmp_path, [run_of(**look_spec("another"))], "later")
    assert looks.read(tmp_path).looks[-1].reason == "later"


def test_many_looks_at_once_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda i: looks.record(tmp_path, [run_of(**look_spec(f"run_{i}"))], "x"), range(24)
            )
        )
    ledger = looks.read(tmp_path)
    assert ledger.fault is None
    assert len(ledger.looks) == 24


def test_a_look_whose_line_finds_room_for_its_half_only_is_not_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = filled(tmp_path)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda place, line: write(place, line[: len(line) // 2]))
        with pytest.raises(MsmError, match="No space left on device"):
            looks.record(tmp_path, [run_of(**look_spec("another"))], "why")
    assert (tmp_path / looks.LEDGER).read_text().splitlines() == lines
    assert looks.read(tmp_path).fault is None
    looks.record(tmp_path, [run_of(**look_spec("another"))], "why")
    assert len(looks.read(tmp_path).looks) == len(lines) + 1


def test_no_look_without_a_place_to_record_it(tmp_path: Path) -> None:
    (tmp_path / looks.LEDGER).mkdir()
    with pytest.raises(MsmError, match="cannot be recorded"):
        looks.record(tmp_path, [run_of(**look_spec("a"))], "why")


# --- What a reader is told -----------------------------------------------------------------------


def seen_by(
    runs: Path, spec: dict[str, Any], last_date: str, made: str = "2999-01-01"
) -> looks.Seen:
    manifest = {"run_id": spec["run_id"], "spec": spec, "finished_at": f"{made}T00:00:00+00:00"}
    return looks.seen(runs, manifest, last_date)


def test_a_moved_hold_out_and_touched_days_are_reported(tmp_path: Path) -> None:
    assert seen_by(tmp_path, look_spec("a"), "2024-12-31").alarms != (), "a look without an entry"
    no_holdout = {**look_spec("a"), "evaluation": {}}
    assert seen_by(tmp_path, no_holdout, "2024-12-31") == looks.Seen(None, (), ())

    first = look_spec("a", "2024-07-01")
    looks.record(tmp_path, [run_of(**first)], "curious")
    own = seen_by(tmp_path, first, "2025-06-30")
    assert own.alarms == ()
    assert "opened on" in str(own.holdout)
    assert not any("Not untouched" in note for note in own.notes)

    moved = look_spec("a_0123456789", "2025-01-01")
    moved["evaluation"]["look"] = False
    seen = seen_by(tmp_path, moved, "2024-12-31")
    assert seen.holdout == "from 2025-01-01 on: hidden"
    # who looked from an earlier day on has seen these as well
    assert "looked once at days from this one on, last on" in seen.notes[0]
    assert "at days from 2024-07-01 on" in seen.notes[0]
    assert "Not untouched" in seen.notes[1]
    assert len(seen.notes) == 2
    earlier = look_spec("a_0123456789", "2024-04-01")
    earlier["evaluation"]["look"] = False
    (note,) = seen_by(tmp_path, earlier, "2024-03-31").notes
    assert "looked once at days from 2024-07-01 on, which are among these" in note
    # a run whose days end before, one that was made before, and another family
    for spec, last, made in (
        (moved, "2024-06-30", "2999-01-01"),
        (moved, "2024-12-31", "2000-01-01"),
        (look_spec("b") | {"evaluation": {}}, "2024-12-31", "2999-01-01"),
    ):
        notes = seen_by(tmp_path, spec, last, made).notes
        assert not any("Not untouched" in note for note in notes)


def test_runs_of_the_family_that_saw_the_days_without_a_look_are_reported(tmp_path: Path) -> None:
    for name, last in (("a-0000000001", "2025-03-01"), ("a-0000000002", "2024-12-31")):
        (tmp_path / name).mkdir()
        entry = {"last_date": last, "is_look": False}
        (tmp_path / name / "catalog_entry.json").write_text(json.dumps(entry))
        (tmp_path / name / "manifest.json").write_text(json.dumps({"run_id": name}))
    shutil.copytree(tmp_path / "a-0000000001", tmp_path / "a-0000000003")  # that is no other run
    spec = look_spec("a")
    spec["evaluation"]["look"] = False
    (note,) = [x for x in seen_by(tmp_path, spec, "2024-12-31").notes if "without a look" in x]
    assert note.startswith("1 other run of this family")
    assert "a-0000000001" in note


def test_a_reason_that_no_record_can_hold_is_refused(tmp_path: Path) -> None:
    """Bytes of the command line that are no UTF-8 arrive as halves of characters."""
    with pytest.raises(MsmError, match="the reason of a look is no text") as caught:
        looks.record(tmp_path, [run_of(**look_spec("a"))], "\udcff reason")
    assert caught.value.received == "'\\udcff reason'"
    assert list(tmp_path.iterdir()) == []
