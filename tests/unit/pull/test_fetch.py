"""Fetching a lake: complete, checked and in its place, or nothing has changed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from support.pipeline import msm

from msm_py.errors import MsmError
from msm_py.lake.opening import open_lake
from msm_py.pull.lake_copy import Fetched, fetch_lake

fsspec = pytest.importorskip("fsspec", reason="the extra s3 is not installed")

DAYS = [dt.date(2024, 1, day) for day in (1, 2)]


def write_lake(folder: Path, close: float = 1.0) -> Path:
    """The smallest lake, its prices in a file per year."""
    for table, column in (("price", "close"), ("marketcap", "marketcap"), ("volume", "volume")):
        rows = pa.table({"asset_id": ["BTC"] * 2, "date": DAYS, column: [close, 2.0]})
        place = folder / f"fact_{table}"
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, place / "2024.parquet")
    (folder / "lake.yaml").write_text("name: far away\n")
    (folder / "notes.txt").write_text("no part of a lake")
    return folder


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return write_lake(tmp_path / "far")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def contents(lake: Path) -> dict[str, bytes]:
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in lake.rglob("*")
        if path.is_file() and path.name != "fetched.json"
    }


def refusal(url: str | Path, here: Path) -> str:
    with pytest.raises(MsmError) as caught:
        fetch_lake(str(url), here)
    assert not list(here.glob(".fetching-*"))
    return str(caught.value)


def test_a_lake_is_copied_and_the_link_leads_to_it(far: Path, here: Path) -> None:
    fetched = fetch_lake(far.as_uri(), here)
    assert (here / "lake").resolve() == fetched.lake.resolve()
    wanted = contents(far)
    del wanted["notes.txt"]
    assert contents(here / "lake") == wanted
    assert open_lake(here / "lake").settings.name == "far away"
    assert fetched == Fetched(
        fetched.lake, is_new=True, n_copied=4, n_linked=0,
        n_bytes=sum(map(len, wanted.values())), n_hashed=0, n_sized=4,
    )  # fmt: skip


def test_what_is_unchanged_is_linked(far: Path, here: Path) -> None:
    old = fetch_lake(str(far), here).lake
    same = fetch_lake(str(far), here)
    assert (same.lake, same.is_new, same.n_copied, same.n_linked) == (old, False, 0, 4)
    table = pa.table({"asset_id": ["BTC"] * 2, "date": DAYS, "close": [5.0, 6.0]})
    pq.write_table(table, far / "fact_price" / "2024.parquet")
    new = fetch_lake(str(far), here)
    assert (new.is_new, new.n_copied, new.n_linked) == (True, 1, 3)
    volume = Path("fact_volume/2024.parquet")
    assert (old / volume).samefile(new.lake / volume)
    assert contents(old) != contents(new.lake)
    assert (here / "lake").resolve() == new.lake.resolve()


def test_a_generation_that_was_damaged_is_mended(far: Path, here: Path) -> None:
    lake = fetch_lake(str(far), here).lake
    size = (lake / "fact_price" / "2024.parquet").stat().st_size
    (lake / "fact_price" / "2024.parquet").write_bytes(b"x" * size)
    fetched = fetch_lake(str(far), here)
    assert (fetched.lake, fetched.n_copied) == (lake, 1)
    assert (lake / "fact_price" / "2024.parquet").read_bytes() == (
        far / "fact_price" / "2024.parquet"
    ).read_bytes()


def test_hashes_that_the_lake_states_are_compared(far: Path, here: Path) -> None:
    hashes = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in contents(far).items()
        if name != "notes.txt"
    }
    (far / "provenance.json").write_text(json.dumps({"files": hashes}))
    fetched = fetch_lake(str(far), here)
    assert (fetched.n_hashed, fetched.n_sized) == (4, 1)  # nothing states provenance.json's own
    os.utime(far / "fact_price" / "2024.parquet")  # written anew, with the same content
    assert fetch_lake(str(far), here).n_linked == 4 + 1
    hashes["fact_price/2024.parquet"] = "0" * 64
    (far / "provenance.json").write_text(json.dumps({"files": hashes}))
    assert "fact_price/2024.parquet\n  received: SHA-256" in refusal(far, here)
    assert (here / "lake").resolve() == fetched.lake.resolve()


def test_an_interrupted_copy_leaves_the_old_lake(
    far: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fetch_lake(str(far), here).lake
    before = contents(old)
    write_lake(far, close=7.0)
    from fsspec.implementations.local import LocalFileSystem

    def breaks(self: Any, path: str, place: str) -> None:
        if "fact_volume" in path:
            raise ConnectionResetError("gone")
        Path(place).write_bytes(Path(path).read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "get_file", breaks)
        assert "ConnectionResetError: gone" in refusal(far, here)
        patch.setattr(LocalFileSystem, "get_file", lambda *_: Path(_[2]).write_bytes(b"cut"))
        assert "3 bytes instead of" in refusal(far, here)
        patch.setattr(
            LocalFileSystem, "get_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            fetch_lake(str(far), here)
    assert sorted(x.name for x in here.iterdir() if not x.name.startswith(".")) == sorted(
        ["lake", old.name]
    )
    assert (here / "lake").resolve() == old.resolve()
    assert contents(here / "lake") == before
    left = here / ".fetching-killed"
    left.mkdir()
    fetch_lake(str(far), here)
    assert not left.exists()


def test_a_lake_that_changes_meanwhile_is_refused(
    far: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MsmError, match="changed while it was copied"):
        fetch_lake(str(far), here, lambda done, of: write_lake(far, 3.0) and None)
    assert not os.path.lexists(here / "lake")


@pytest.fixture
def memory() -> Iterator[Any]:
    storage = fsspec.filesystem("memory")
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


def test_any_storage_that_lists_folders_will_do(far: Path, here: Path, memory: Any) -> None:
    memory.put(f"{far}/", "/bucket/lake", recursive=True)
    assert fetch_lake("memory://bucket/lake", here).n_copied == 4
    assert fetch_lake("memory://bucket/lake/", here).n_linked == 4


def test_names_that_lead_elsewhere_are_refused(far: Path, here: Path, memory: Any) -> None:
    memory.put(f"{far}/", "/bucket/lake", recursive=True)
    stored = memory.store["/bucket/lake/fact_price/2024.parquet"]
    memory.store["/bucket/lake/fact_price/../../../evil.parquet"] = stored
    assert "a name that leads elsewhere" in refusal("memory://bucket/lake", here)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://nothing", "received: nothing at that address"),
        ("https://example.com/lake", "cannot be fetched from there"),
        ("simplecache::s3://b/lake", "cannot be fetched from there"),
        ("s3://key:secret@bucket/lake", "received: (not shown)"),
        ("gs://bucket/lake", "is not installed"),
    ],
)
def test_an_address_without_a_lake_is_one_message(url: str, words: str, here: Path) -> None:
    assert words in refusal(url, here)
    assert not here.exists()


def test_a_folder_that_is_no_lake_is_refused(far: Path, here: Path) -> None:
    for file in (far / "fact_price").iterdir():
        file.unlink()
    assert "received: a folder with fact_marketcap" in refusal(far, here)
    assert "give the folder that holds fact_price.parquet" in refusal(far, here)


def test_a_lake_that_breaks_the_contract_is_refused(far: Path, here: Path) -> None:
    (far / "fact_price" / "2024.parquet").write_bytes(b"no parquet")
    message = refusal(far, here)
    assert str(far / "fact_price") in message
    assert not os.path.lexists(here / "lake")


def test_the_place_may_be_taken(far: Path, here: Path) -> None:
    (here / "lake").mkdir(parents=True)
    assert "the place of the fetched lake is taken" in refusal(far, here)
    with FileLock(here / ".lock"), pytest.raises(MsmError, match="another process is fetching"):
        fetch_lake(str(far), here)


def test_the_command_says_what_it_did(
    far: Path, here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = msm("lake", "fetch", str(far), str(here), place=tmp_path)
    assert done.code == 0, done.err
    assert "4 files copied" in done.out
    assert "0 compared by hash, 4 by size alone; 0 unchanged files." in done.out
    link = far.with_name("link")
    link.symlink_to(far)
    done = msm("lake", "fetch", str(link), str(here), place=tmp_path)
    assert "Nothing new: 4 unchanged files." in done.out
    assert ", as before." in done.out
    done = msm("lake", "fetch", str(far), str(far / "in"), place=tmp_path)
    assert "nothing is ever written into a lake" in done.err
    monkeypatch.setitem(sys.modules, "fsspec", None)
    done = msm("lake", "fetch", "s3://bucket/lake", str(here), place=tmp_path)
    assert done.code == 1
    assert 'pip install --editable ".[s3]"' in done.err
