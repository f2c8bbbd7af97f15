"""What was pulled: a line per answer, in ``manifest.jsonl`` beside the files of a source."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msm_py.pull.requests import ARCHIVES_ARE_LATE, Request

NAME: Final = "manifest.jsonl"
SETTLED: Final = dt.timedelta(hours=1)
"""How long after the end of a period its last rows may still come."""


@dataclass(frozen=True)
class Entry:
    """One answer.

    Parameters
    ----------
    file
        Relative to the folder of the source.
    url, body
        What was asked; no key is part of it.
    time
        When it was answered, UTC, as ISO 8601.
    status
        200, or 404 for an archive that was not there.
    size, sha256
        Of the file; None without one.
    rows
        How many it holds; None where nobody counted.
    """

    file: str
    url: str
    body: dict[str, Any] | None
    time: str
    status: int
    size: int | None = None
    sha256: str | None = None
    rows: int | None = None

    def settles(self, request: Request) -> bool:
        """Return whether a request needs not be made again: it was, and nothing more can come.

        The host does not count: who moves to a mirror keeps the files.
        """
        late = SETTLED if self.status == 200 else ARCHIVES_ARE_LATE
        return (
            _question(self.url) == _question(request.url)
            and self.body == request.body
            and dt.datetime.fromisoformat(self.time) >= request.end + late
        )


class Manifest:
    """The manifest of a source.

    Parameters
    ----------
    folder
        Of the source; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / NAME
        self._entries: dict[str, Entry] = {}
        content = self._file.read_bytes() if self._file.exists() else b""
        if content and not content.endswith(b"\n"):  # killed while a line was written
            content = content[: content.rfind(b"\n") + 1]
            os.truncate(self._file, len(content))
        for line in content.splitlines():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue  # what it told is asked anew
            self._entries[entry.file] = entry

    def settled(self, request: Request) -> Entry | None:
        """Return the entry of a file that is final and as it was written; None without one."""
        entry = self._entries.get(request.file)
        if entry is None or not entry.settles(request):
            return None
        if entry.status == 200:
            try:
                if (self._folder / entry.file).stat().st_size != entry.size:
                    return None
            except OSError:
                return None
        return entry

    def holds(self, request: Request) -> bool:
        """Return whether there is a file of a request, final or not."""
        entry = self._entries.get(request.file)
        return entry is not None and entry.status == 200

    def write(
        self, request: Request, content: bytes | None, rows: int | None, time: dt.datetime
    ) -> Entry:
        """Put an answer into its file, whole or not at all, and note it; without one, note that.

        Parameters
        ----------
        request
            What was asked.
        content
            The answer; None if there is none.
        rows
            How many rows it holds, if somebody counted.
        time
            When it was asked, UTC.
        """
        entry = Entry(
            request.file,
            request.url,
            request.body,
            time.isoformat(timespec="seconds"),
            404 if content is None else 200,
        )
        if content is not None:
            place = self._folder / request.file
            place.parent.mkdir(exist_ok=True)
            part = place.with_name(f".{place.name}.part")
            part.write_bytes(content)
            os.replace(part, place)
            size, sha256 = len(content), hashlib.sha256(content).hexdigest()
            entry = Entry(**{**asdict(entry), "size": size, "sha256": sha256, "rows": rows})
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
        self._entries[entry.file] = entry
        return entry

    def remove_parts(self) -> None:
        """Remove what a killed process left unfinished."""
        for part in self._folder.glob("*/.*.part"):
            part.unlink()


def _question(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.path, parts.query
