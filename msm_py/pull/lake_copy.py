"""A lake from object storage as a local generation: copied whole, checked, then put in its place.

``DIR/<id>/`` is a lake whose id comes from its content, ``DIR/lake`` a link to the newest one. The
link is replaced in one step when a copy is complete and sound; whoever opened the lake before reads
on in the old one. Needs fsspec, and for S3 s3fs: the extra ``s3``, imported when a lake is fetched.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from filelock import FileLock, Timeout

from msm_py.errors import MsmError
from msm_py.lake.contract import TABLES
from msm_py.lake.files import SUFFIX
from msm_py.lake.opening import open_lake
from msm_py.text import hint, listed, shown

LAKE: Final = "lake"
RECORD: Final = "fetched.json"
"""What was fetched, from where and when; a file that no table of a lake is."""
PROVENANCE: Final = "provenance.json"
SCRATCH: Final = ".fetching-"
_ID_DIGITS: Final = 12
_MOST_FILES: Final = 1_000_000
# other protocols cannot list a folder, or not reliably
PROTOCOLS: Final = ("s3", "s3a", "gs", "gcs", "abfs", "az", "file", "local", "memory")
_EXTRAS: Final = MappingProxyType(
    {"s3": 'pip install --editable ".[s3]"', "s3a": 'pip install --editable ".[s3]"'}
)
_BESIDE: Final = (".yaml", ".yml", ".csv", ".json")
"""What lies beside the tables and is copied with them: lake.yaml, provenance.json and such."""
_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class RemoteFile:
    """A file of a lake that is elsewhere.

    Parameters
    ----------
    path
        As its file system calls it.
    size
        Bytes.
    version
        What changes with its content: an ETag, or when it was written; None if nothing is known.
    """

    path: str
    size: int
    version: str | None


@dataclass(frozen=True)
class FetchedFile:
    """A file of a generation.

    Parameters
    ----------
    size, sha256
        Of the local copy.
    version
        Of the remote file it is a copy of.
    """

    size: int
    sha256: str
    version: str | None


@dataclass(frozen=True)
class Fetched:
    """What came of it.

    Parameters
    ----------
    lake
        The generation.
    is_new
        Whether the link led to another one before.
    n_copied, n_linked
        Files that were copied, and that an earlier generation had.
    n_bytes
        Of those that were copied.
    n_hashed, n_sized
        Files compared by a hash that the storage states, and by their size alone.
    """

    lake: Path
    is_new: bool
    n_copied: int
    n_linked: int
    n_bytes: int
    n_hashed: int
    n_sized: int


def fetch_lake(
    url: str, folder: Path, tell: Callable[[int, int], object] = lambda done, of: None
) -> Fetched:
    """Copy a lake into a folder of generations, and let its link lead there.

    Parameters
    ----------
    url
        Where the lake is: ``s3://bucket/path``, or what else fsspec knows that can list folders.
    folder
        Where generations are kept; made if it is not there.
    tell
        Is told how many files of how many are done.

    Returns
    -------
    Fetched
        Also for a lake that has not changed: the link then stays as it is.

    Raises
    ------
    MsmError
        No package for such an address, nothing there that looks like a lake, a copy that differs
        from what the storage states, a lake that changed meanwhile or breaks the contract; or the
        folder cannot be written to. The link leads where it led before.
    """
    storage, root = _storage(url)
    try:
        remote = _listing(storage, root, url)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", blocking=False):
            _check_place(folder)
            for left in folder.glob(f"{SCRATCH}*"):  # by a killed process: this one has the lock
                shutil.rmtree(left)
            scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder)).resolve()
            try:
                return _Copy(storage, url, root, remote, folder, scratch).fetch(tell)
            finally:
                shutil.rmtree(scratch)
    except Timeout:
        raise MsmError(
            "another process is fetching into this folder",
            where=str(folder),
            remedy="wait until it has ended, or give each a folder of its own",
        ) from None
    except MsmError:
        raise
    except Exception as error:  # what storage raises is the business of many packages
        raise MsmError(
            "the lake cannot be fetched",
            where=url,
            received=shown(f"{type(error).__name__}: {error}"),
            remedy="check address, rights and connection; the lake that was there is as it was",
        ) from None


class _Copy:
    """The work on one copy."""

    def __init__(
        self,
        storage: Any,
        url: str,
        root: str,
        remote: Mapping[str, RemoteFile],
        folder: Path,
        scratch: Path,
    ) -> None:
        self._storage = storage
        self._url = url
        self._root = root
        self._remote = remote
        self._folder = folder
        self._made = scratch / LAKE
        self._link = scratch / "link"
        self._old = _published(folder)
        self._before = _record(self._old)
        self._n_linked = self._n_hashed = self._n_bytes = 0

    def fetch(self, tell: Callable[[int, int], object]) -> Fetched:
        self._made.mkdir()
        files = {}
        # what says how the others must be comes first
        names = sorted(self._remote, key=lambda name: (name != PROVENANCE, name))
        for n_done, name in enumerate(names, start=1):
            files[name] = self._one(name, self._remote[name])
            tell(n_done, len(names))
        self._check_unchanged()
        self._check_contract()
        generation = self._placed(files)
        is_new = generation != self._old
        if is_new:
            self._link.symlink_to(generation.name)
            os.replace(self._link, self._folder / LAKE)
        return Fetched(
            generation,
            is_new,
            n_copied=len(files) - self._n_linked,
            n_linked=self._n_linked,
            n_bytes=self._n_bytes,
            n_hashed=self._n_hashed,
            n_sized=len(files) - self._n_linked - self._n_hashed,
        )

    def _one(self, name: str, file: RemoteFile) -> FetchedFile:
        place = self._made / name
        place.parent.mkdir(parents=True, exist_ok=True)
        stated = self._stated_hashes().get(name)
        known = self._before.get(name)
        if known and self._old and self._is_same(known, file, stated):
            _link(self._old / name, place)
            if place.stat().st_size == known.size and _sha256(place) == known.sha256:
                self._n_linked += 1
                return FetchedFile(known.size, known.sha256, file.version)
            place.unlink()  # damaged since: copied anew
        self._storage.get_file(file.path, str(place))
        size, sha256 = place.stat().st_size, _sha256(place)
        if size != file.size:
            raise self._differs(name, f"{size:,} bytes instead of {file.size:,}")
        if stated is not None:
            if sha256 != stated:
                raise self._differs(name, f"SHA-256 {sha256} instead of {stated}")
            self._n_hashed += 1
        else:
            self._n_hashed += self._has_its_md5(name, file, place)
        self._n_bytes += size
        return FetchedFile(size, sha256, file.version)

    @staticmethod
    def _is_same(known: FetchedFile, file: RemoteFile, stated: str | None) -> bool:
        if known.size != file.size:
            return False
        if stated is not None:
            return stated == known.sha256
        return file.version is not None and file.version == known.version

    def _stated_hashes(self) -> Mapping[str, str]:
        """Return the hashes that the lake itself states, once its provenance is here."""
        try:
            files = json.loads((self._made / PROVENANCE).read_bytes())["files"]
        except (OSError, ValueError, LookupError, TypeError):
            return {}
        return files if isinstance(files, dict) else {}

    def _has_its_md5(self, name: str, file: RemoteFile, place: Path) -> bool:
        """Return whether an ETag that is an MD5 was compared.

        It is none of files that came in parts, and none of those that storage encrypts with a key
        of its customer.
        """
        found = _MD5.fullmatch(file.version or "")
        if found is None:
            return False
        with place.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
        if digest.hexdigest() == found[1]:
            return True
        if self._storage.info(file.path).get("ServerSideEncryption") in ("aws:kms", "aws:kms:dsse"):
            return False
        raise self._differs(name, f"MD5 {digest.hexdigest()} instead of {found[1]} (ETag)")

    def _check_unchanged(self) -> None:
        now = _listing(self._storage, self._root, self._url)
        changed = sorted(
            name
            for name in now.keys() | self._remote.keys()
            if now.get(name) != self._remote.get(name)
        )
        if changed:
            raise MsmError(
                "the lake changed while it was copied",
                where=self._url,
                received=listed(changed[:5]),
                remedy="fetch it again when nobody writes to it; "
                "the lake that was there is as it was",
            )

    def _check_contract(self) -> None:
        try:
            open_lake(self._made)
        except MsmError as error:
            where = None if error.where is None else error.where.replace(str(self._made), self._url)
            raise MsmError(
                error.what, where=where, received=error.received, remedy=error.remedy
            ) from None

    def _placed(self, files: Mapping[str, FetchedFile]) -> Path:
        """Return the generation of these files: this copy, or one that was there before."""
        content = {name: file.sha256 for name, file in files.items()}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        record = {
            "url": self._url,
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "files": {name: asdict(file) for name, file in files.items()},
        }
        (self._made / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        generation = self._folder / digest[:_ID_DIGITS]
        if not generation.is_dir():
            os.rename(self._made, generation)
            return generation
        for name in (*files, RECORD):  # equal, unless a file there was damaged or removed
            (generation / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._made / name, generation / name)
        return generation

    def _differs(self, name: str, how: str) -> MsmError:
        return MsmError(
            "a copied file is not what the storage states",
            where=f"{self._url.rstrip('/')}/{name}",
            received=how,
            remedy="fetch it again; if it stays so, the file is damaged there: write it anew",
        )


def _storage(url: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    protocol, separator, rest = url.partition("://")
    if not separator:
        protocol, rest = "file", url
    if "::" in url or protocol not in PROTOCOLS:
        raise MsmError(
            "a lake cannot be fetched from there",
            where="URL",
            received=protocol if separator else url,
            remedy="give the address of a folder that can be listed, such as s3://bucket/lake "
            f"({listed(PROTOCOLS)})",
        )
    if protocol != "file" and "@" in rest.partition("/")[0]:
        raise MsmError(
            "the address holds a name or a key",
            where="URL",
            received="(not shown)",
            remedy="leave out what stands before @: keys come from the environment, or from where "
            "the tools of the storage look for them",
        )
    try:
        import fsspec

        storage, root = fsspec.url_to_fs(url if separator else os.path.realpath(url))
    except ImportError:
        raise MsmError(
            f"what reads {protocol}:// is not installed",
            where="msm lake fetch",
            remedy=_EXTRAS.get(
                protocol, 'pip install --editable ".[s3]", or what fsspec needs for it'
            ),
        ) from None
    except ValueError as error:
        raise MsmError(
            "the address cannot be read",
            where="URL",
            received=shown(str(error)),
            remedy="write it as s3://bucket/path",
        ) from None
    return storage, str(root)


def _listing(storage: Any, root: str, url: str) -> dict[str, RemoteFile]:
    """Return the files of a lake by their names in it.

    Raises
    ------
    MsmError
        There is nothing that looks like a lake; or a file whose name leads out of it.
    """
    storage.invalidate_cache()
    top = root.rstrip("/")
    found = {}
    others = []
    for path, info in storage.find(root, detail=True).items():
        name = str(path).removeprefix(top).lstrip("/")
        if not _is_part_of_a_lake(name):
            others.append(name)
            continue
        if ".." in name.split("/") or "\\" in name or "//" in name:
            raise MsmError(
                "a file has a name that leads elsewhere",
                where=url,
                received=name,
                remedy="rename it: names are folders and a file, with / between them",
            )
        found[name] = RemoteFile(str(path), int(info["size"]), _version(info))
        if len(found) > _MOST_FILES:
            raise MsmError(
                "there are too many files",
                where=url,
                received=f"more than {_MOST_FILES:,}",
                remedy="check that the address is that of a lake",
            )
    lacking = [
        table
        for table, spec in TABLES.items()
        if spec.required and not any(_table_of(name) == table for name in found)
    ]
    if lacking:
        entries = sorted({name.partition("/")[0] for name in [*found, *others]})
        raise MsmError(
            "nothing there looks like a lake",
            where=url,
            received=(f"a folder with {listed(entries[:12])}" + hint(lacking[0], entries))
            if entries
            else "nothing at that address",
            remedy=f"give the folder that holds {listed(f'{x}{SUFFIX}' for x in lacking)}, "
            "or folders of these names",
        )
    return found


def _is_part_of_a_lake(name: str) -> bool:
    return _table_of(name) is not None or (
        "/" not in name and name.lower().endswith(_BESIDE) and name != RECORD
    )


def _table_of(name: str) -> str | None:
    """Return the table that a file belongs to, as the contract has it."""
    top, _, rest = name.partition("/")
    table = top if rest else name.removesuffix(SUFFIX)
    return table if table in TABLES and name.lower().endswith(SUFFIX) else None


def _version(info: Mapping[str, Any]) -> str | None:
    for key in ("ETag", "etag", "md5Hash", "mtime", "created", "LastModified", "last_modified"):
        if info.get(key) is not None:
            return str(info[key])
    return None


def _check_place(folder: Path) -> None:
    place = folder / LAKE
    if os.path.lexists(place) and not place.is_symlink():
        raise MsmError(
            "the place of the fetched lake is taken",
            where=str(place),
            received="a folder" if place.is_dir() else "a file",
            remedy="move it elsewhere: MSM puts a link there, to the lake that was fetched last",
        )


def _published(folder: Path) -> Path | None:
    """Return the generation that the link leads to."""
    try:
        generation = folder / os.readlink(folder / LAKE)
    except OSError:
        return None
    return generation if generation.is_dir() else None


def _record(generation: Path | None) -> dict[str, FetchedFile]:
    """Return what is known of the files of a generation."""
    if generation is None:
        return {}
    try:
        files = json.loads((generation / RECORD).read_bytes())["files"]
        return {name: FetchedFile(**file) for name, file in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link(old: Path, place: Path) -> None:
    """Put a file at another place too: a hard link, or a copy where links cannot be."""
    try:
        os.link(old, place)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(old, place)
