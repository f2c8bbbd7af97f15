"""Text from files passes the whole command line as it stands."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hostile_text import ENCODINGS, HOSTILE, SHOWN_IN, clean, terminal
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import ROOT, environment

from msm_py.cli import options as cli_options
from msm_py.errors import MsmError
from msm_py.store import warehouse

# --- The command line ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a process left: exit code, standard output and error."""

    code: int
    out: str
    err: str


def msm(*words: str, place: Path, encoding: str) -> Said:
    """Run `msm` in a terminal of an encoding, and see that what it says is clean."""
    done = subprocess.run(
        [sys.executable, "-m", "msm_py.cli", *words],
        cwd=ROOT,
        env=environment(place, PYTHONIOENCODING=encoding, COLUMNS="300"),
        capture_output=True,
        timeout=300,
        check=False,
    )
    said = Said(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))
    assert "Traceback" not in said.out + said.err
    assert clean(said.out), ascii(said.out)
    assert clean(said.err), ascii(said.err)
    return said


def experiment_file(place: Path, **changes: Any) -> Path:
    file = place / "hostile.yaml"
    spec = {**tiny_spec(), "experiment_id": "hostile", "title": HOSTILE, **changes}
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a lake whose name is hostile."""
    place = tmp_path_factory.mktemp("place")
    settings = tiny_lake(place / "lake", seed=3) / "lake.yaml"
    found = yaml.safe_load(settings.read_text())
    settings.write_text(yaml.safe_dump({**found, "name": f"[/red] {HOSTILE}"}))
    return place


@pytest.fixture(scope="module")
def run(place: Path) -> Said:
    """A run with a look, its title and the reason of the look hostile, in a plain terminal."""
    evaluation = {**tiny_spec()["evaluation"], "holdout_start": "2024-05-20"}
    words = ("run", str(experiment_file(place, evaluation=evaluation)), "--full", "--lake")
    look = ("--look", HOSTILE)
    return msm(*words, str(place / "lake"), *look, place=place, encoding="ascii")


def test_a_run_with_a_hostile_title_is_computed_and_shown(run: Said) -> None:
    assert run.code == 0, run.err
    title = SHOWN_IN["ascii"]
    assert f"Running {title}" in run.out
    assert f"\n{title}\n" in run.out
    assert f"from lake [/red] {title} (" in run.out
    assert f"(reason: {title})" in " ".join(run.out.split())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_run_is_shown_and_listed_in_any_encoding(run: Said, place: Path, encoding: str) -> None:
    for words in (("show", "hostile"), ("diff", "hostile", "hostile"), ("list",)):
        said = msm(*words, place=place, encoding=encoding)
        assert said.code == 0, said.err
        assert SHOWN_IN[encoding] in said.out


def test_a_reader_who_leaves_is_no_error(run: Said, place: Path) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-m", "msm_py.cli", "show", "hostile"],
        cwd=ROOT,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    reader.stdout.close()
    assert reader.stderr is not None
    assert reader.stderr.read() == b""
    reader.stderr.close()
    assert reader.wait(timeout=60) == 0


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_the_check_of_a_lake_in_any_encoding(place: Path, encoding: str) -> None:
    said = msm("lake", "check", str(place / "lake"), place=place, encoding=encoding)
    assert f"Lake [/red] {SHOWN_IN[encoding]} can be used" in " ".join(said.out.split())
    assert not said.err


def test_a_sweep_shows_its_variants_and_itself(place: Path) -> None:
    """Planned, carried out with a variant that is rejected and one that fails, and shown again."""
    here = place / "sweep"
    here.mkdir()
    late = experiment_file(here, experiment_id="late", window={"start": "2031-01-01"})
    late = late.rename(here / "late.yaml")
    grid = {"state_mapping.persistence.min_duration_days": [3, HOSTILE]}
    swept = experiment_file(here, sweep={"grid": grid}, experiment_id="swept")
    swept = swept.rename(here / "swept.yaml")
    files = (experiment_file(here), late, swept)
    words = ("sweep", *map(str, files), "--lake", str(place / "lake"))
    planned = msm(*words, "--dry-run", place=here, encoding="ascii")
    assert planned.code == 0, planned.err
    assert planned.out.count(SHOWN_IN["ascii"]) >= 3
    done = msm(*words, place=here, encoding="latin-1")
    title = SHOWN_IN["latin-1"]
    assert "1 computed, 0 were there already, 1 failed, 1 rejected" in done.out
    assert f"rejected persistence.min_duration_days {title}: " in done.out
    assert f"[1/2] hostile, {title}, " in done.out
    assert f"[2/2] late, {title}, " in done.out
    (record,) = (here / "runs" / ".sweeps").glob("*.json")
    shown_again = msm("sweep", "show", record.stem, place=here, encoding="ascii")
    assert shown_again.code == 0, shown_again.err
    assert SHOWN_IN["ascii"] in shown_again.out
    assert record.stem in msm("sweep", "show", place=here, encoding="ascii").out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_shows_what_was_received(place: Path, encoding: str) -> None:
    said = msm("show", HOSTILE, place=place, encoding=encoding)
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert f"received: {SHOWN_IN[encoding]}\n" in said.err


def test_an_alarm_is_literal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warehouse, "alarms", lambda *_, **__: [HOSTILE])
    cli_options.tell_alarms(Path("runs"))
    assert capsys.readouterr().err == f"!! {SHOWN_IN['utf-8']}\n"


def test_help_in_a_plain_terminal(tmp_path: Path) -> None:
    for words in ((), ("run",), ("sweep",), ("sweep", "show"), ("lake",), ("catalog",)):
        said = msm(*words, "--help", place=tmp_path, encoding="ascii")
        assert (said.code, said.err) == (0, "")


# --- What programs read --------------------------------------------------------------------------


def test_variables_are_json_in_a_plain_terminal(place: Path) -> None:
    title = f"{HOSTILE} é".replace("\u202e", "")
    file = experiment_file(place, title=title)
    words = ("vars", str(file), "--lake", str(place / "lake"))
    said = msm(*words, place=place, encoding="ascii")
    assert json.loads(said.out)["experiments"][0]["title"] == title


@pytest.mark.parametrize(
    ("name", "encoding", "what"),
    [
        ("é.yaml", "ascii", "holds a character that the encoding cannot say"),
        ("\x1b[31m.yaml", "utf-8", "one line in which everything is seen"),
        ("two\nlines.yaml", "utf-8", "one line in which everything is seen"),
    ],
)
def test_commands_are_exact_or_refused(place: Path, name: str, encoding: str, what: str) -> None:
    here = place / "commands"
    here.mkdir(exist_ok=True)
    file = experiment_file(here).rename(here / name)
    words = ("sweep", str(file), "--lake", str(place / "lake"), "--print-commands")
    said = msm(*words, place=place, encoding=encoding)
    assert (said.code, said.out) == (1, "")
    assert what in said.err
    assert "remedy:" in said.err


def test_an_error_is_one_paragraph_whatever_it_holds() -> None:
    console, written = terminal()
    console.print(str(MsmError(HOSTILE, where=HOSTILE, received=HOSTILE)), soft_wrap=True)
    assert written().count("\n") == 3
