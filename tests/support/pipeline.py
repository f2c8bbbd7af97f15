"""Running experiments as a user does, and reading what they wrote."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from msm_py.cli.app import STOPPING, main
from msm_py.runner.invocation import PARSED

ROOT = Path(__file__).resolve().parents[2]
CACHE: Path | None = ROOT / ".pytest_cache" / "msm"
"""The cache of all places; None: each has its own, see `own_caches`."""
EXCLUDED = frozenset(
    row["asset_id"]
    for row in csv.DictReader((ROOT / "seeds" / "excluded_assets.csv").read_text().splitlines())
)


@dataclass(frozen=True)
class Done:
    """A finished command.

    Parameters
    ----------
    code, out, err
        Exit code and what was printed.
    runs
        The runs folder.
    warehouse
        The warehouse file.
    """

    code: int
    out: str
    err: str
    runs: Path
    warehouse: Path

    def folder(self, experiment_id: str) -> Path:
        """Return the one run folder of an experiment."""
        (found,) = self.runs.glob(f"{experiment_id}-*")
        return found


@contextmanager
def own_caches() -> Iterator[None]:
    """Give every place a cache of its own, empty when it is first used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "CACHE", None)
        yield


def environment(place: Path, **more: str) -> dict[str, str]:
    """Return an environment in which everything is written below ``place``, but for the cache."""
    return {
        **os.environ,
        "MSM_RUNS": str(place / "runs"),
        "MSM_WAREHOUSE": str(place / "warehouse" / "msm.duckdb"),
        "MSM_TARGET": str(place / "target"),
        **({} if CACHE is None else {"MSM_CACHE": str(CACHE), "MSM_CACHE_GB": "2"}),
        "COLUMNS": "120",
        **more,
    }


def command(words: Sequence[str], place: Path, *, cwd: Path = ROOT, **env: Any) -> Done:
    """Run a command in the project's environment, everything written below ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment(place, **env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return _done(place, done.returncode, done.stdout, done.stderr)


def _done(place: Path, code: int, out: str, err: str) -> Done:
    return Done(code, out, err, place / "runs", place / "warehouse" / "msm.duckdb")


def msm_process(*words: str, place: Path, **env: Any) -> Done:
    """Run `msm` as a process of its own."""
    return command([sys.executable, "-m", "msm_py.cli", *words], place, **env)


def msm(*words: str, place: Path, **env: Any) -> Done:
    """Run `msm` within this process, which saves the seconds that it takes to import dbt."""
    place.mkdir(parents=True, exist_ok=True)
    out, err = _Captured(), _Captured()
    with _as_a_command(["msm", *words], environment(place, **env)), _parsed_before(place):
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return _done(place, code, out.getvalue(), err.getvalue())


@contextmanager
def _parsed_before(place: Path) -> Iterator[None]:
    """Let dbt start from what it parsed in an earlier test: it parses again what has changed."""
    kept, shared = place / "target" / PARSED, ROOT / ".pytest_cache" / PARSED
    if shared.exists() and not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(shared, kept)
    yield
    if kept.exists():
        shared.parent.mkdir(exist_ok=True)
        fresh = shared.with_suffix(f".{os.getpid()}")
        shutil.copyfile(kept, fresh)
        os.replace(fresh, shared)


@contextmanager
def in_project(place: Path) -> Iterator[None]:
    """Let code below call dbt as a command does, everything written below ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    with _as_a_command(["msm"], environment(place)), _parsed_before(place):
        yield
        gc.collect()  # dbt leaves the file of its log open


class _Captured(io.TextIOWrapper):
    """A stream of UTF-8 that keeps what is written, as text or as bytes."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def getvalue(self) -> str:
        """Return all that was written."""
        written = self.buffer
        assert isinstance(written, io.BytesIO)
        return written.getvalue().decode()


@contextmanager
def _as_a_command(words: Sequence[str], env: Mapping[str, str]) -> Iterator[None]:
    """Give this process the words, environment, folder and warnings of a command of its own."""
    before = dict(os.environ), sys.argv, Path.cwd(), [*map(signal.getsignal, STOPPING)]
    try:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            for kind in (DeprecationWarning, ResourceWarning):
                warnings.simplefilter("ignore", kind)
            os.environ.update(env)
            sys.argv = list(words)
            os.chdir(ROOT)
            yield
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        sys.argv = before[1]
        os.chdir(before[2])
        for number, handler in zip(STOPPING, before[3], strict=True):
            signal.signal(number, handler)


def dbt(*words: str, place: Path, **env: Any) -> Done:
    """Run `dbt` as someone without msm would."""
    scratch = {"MSM_SCRATCH": str(place / "target" / "scratch.duckdb")}
    return command(
        [
            str(Path(sys.executable).parent / "dbt"),
            *words,
            "--profiles-dir",
            str(ROOT),
            "--target-path",
            str(place / "target"),
            "--log-path",
            str(place / "logs"),
        ],
        place,
        **{**scratch, **env},
    )


def run_experiments(
    specs: Sequence[Mapping[str, Any]], lake: Path, place: Path, **env: str
) -> Done:
    """Run resolved experiments with one `msm run`."""
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for spec in specs:
        file = place / f"{spec['experiment_id']}.yaml"
        file.write_text(yaml.safe_dump(dict(spec), sort_keys=False))
        files.append(str(file))
    return msm("run", *files, "--lake", str(lake), place=place, **env)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a run folder but the manifest and the page, by name."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.name not in ("manifest.json", "report.html")
    }


def contents_apart_from_ids(folder: Path) -> dict[str, bytes]:
    """Return `contents` without what differs between lakes: run id and lake fingerprint."""
    manifest = json.loads((folder / "manifest.json").read_text())
    ids = (manifest["run_id"], manifest["lake"]["fingerprint"], manifest["lake"]["name"])
    found = contents(folder)
    for name, content in found.items():
        if not name.endswith(".parquet"):
            for text in ids:
                content = content.replace(text.encode(), b"...")
            found[name] = content
    return found


Facts = dict[str, tuple[int, int, bytes]]


def facts(folder: Path) -> Facts:
    """Return mode, time of the last change and content of everything in a folder."""
    return {
        str(entry.relative_to(folder)): (
            entry.stat().st_mode,
            entry.stat().st_mtime_ns,
            entry.read_bytes() if entry.is_file() else b"",
        )
        for entry in sorted([folder, *folder.rglob("*")])
    }
