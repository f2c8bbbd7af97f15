"""Pulling: what a spec wants and is not there yet, source by source, a file per answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from msm_py.errors import MsmError
from msm_py.pull.answers import Refused
from msm_py.pull.manifest import Entry, Manifest
from msm_py.pull.requests import Request, oldest_kept, requests_of
from msm_py.pull.spec import Source, Spec, key_of

if TYPE_CHECKING:
    from msm_py.pull.client import Client

GIVE_UP_AFTER: Final = 3
"""Requests in a row that failed in spite of all attempts: the vendor is down."""


@dataclass(frozen=True)
class Missing:
    """What could not be had.

    Parameters
    ----------
    what
        A file, or what else lacks.
    reason
        Why.
    """

    what: str
    reason: str


@dataclass
class SourcePulled:
    """What became of the requests of a source.

    Parameters
    ----------
    source_id
        Its name.
    n_pulled, n_there
        Files that were written, and that were there and final.
    n_bytes
        Size of those that were written.
    absent
        Archives that the vendor does not have: days before a listing, or not published yet.
    missing
        What failed.
    """

    source_id: str
    n_pulled: int = 0
    n_there: int = 0
    n_bytes: int = 0
    absent: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


@dataclass(frozen=True)
class SourceBegun:
    """A source is turned to, with so many requests to make or to find made."""

    source_id: str
    n_requests: int


@dataclass(frozen=True)
class RequestEnded:
    """A request was made, or found made."""


@dataclass(frozen=True)
class TriedAgain:
    """Something is tried again after a pause."""

    reason: str


Event = SourceBegun | RequestEnded | TriedAgain
Tell = Callable[[Event], object]


def pull(
    spec: Spec,
    raw: Path,
    tell: Tell = lambda _: None,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> list[SourcePulled]:
    """Pull what a spec wants and is not there yet.

    Parameters
    ----------
    spec
        What is wanted.
    raw
        The folder of raw files; each source has a folder in it. Nothing else is written.
    tell
        Is told what happens.
    now
        The time, UTC.

    Returns
    -------
    list of SourcePulled
        In the order of the spec. One that failed does not keep the others from being pulled.

    Raises
    ------
    MsmError
        The extra is not installed, a key is not there, nothing is over yet, a folder cannot be
        written to or another process is at it. Nothing was asked then.
    """
    from msm_py.pull.client import Client, Pace

    keys = [key_of(source) for source in spec.sources]
    plans = [list(requests_of(source, now().date())) for source in spec.sources]
    pace = Pace()
    pulled = []
    for source, key, plan in zip(spec.sources, keys, plans, strict=True):
        tell(SourceBegun(source.id, len(plan)))
        with (
            _own_folder(raw / source.id) as manifest,
            Client(source, key, pace, lambda reason: tell(TriedAgain(reason))) as client,
        ):
            pulled.append(_Source(source, manifest, client, tell, now).pull(plan))
    return pulled


class _Source:
    """The work on one source."""

    def __init__(
        self,
        source: Source,
        manifest: Manifest,
        client: Client,
        tell: Tell,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._source = source
        self._manifest = manifest
        self._client = client
        self._tell = tell
        self._now = now
        self._done = SourcePulled(source.id)
        self._entries: dict[str, list[Entry]] = {symbol: [] for symbol in source.symbols}
        self._n_failed_in_a_row = 0

    def pull(self, plan: Sequence[Request]) -> SourcePulled:
        kept = list(self._kept(plan))
        for n_before, request in enumerate(kept):
            reason = self._one(request)
            self._tell(RequestEnded())
            if reason is not None:
                n_left = len(kept) - n_before - 1
                if n_left:
                    self._miss(f"{n_left} more files", f"not asked for after that: {reason}")
                break
        else:
            self._find_unknown_symbols()
        return self._done

    def _kept(self, plan: Sequence[Request]) -> Iterator[Request]:
        """Yield the requests that the vendor can still answer; others are missing, or there."""
        days = self._source.data.kept_days
        oldest = oldest_kept(self._source, self._now().date())
        gone: dict[str, list[Request]] = {}
        for request in plan:
            if days is None or request.start >= oldest:
                yield request
            elif self._manifest.holds(request):
                self._done.n_there += 1
            else:
                gone.setdefault(request.symbol, []).append(request)
        for symbol, requests in gone.items():
            self._miss(
                f"{symbol} from {requests[0].start} to {requests[-1].end.date() - dt.timedelta(1)}",
                f"the vendor keeps {days} days; write from: {oldest} or leave it out",
            )

    def _one(self, request: Request) -> str | None:
        """Make one request, if it must be; return why no other one is to be made, or None."""
        entry = self._manifest.settled(request)
        if entry is not None:
            self._done.n_there += entry.status == 200
        else:
            time = self._now()
            try:
                answer = self._client.ask(request)
            except Refused as error:
                self._miss(request.file, error.reason)
                self._n_failed_in_a_row += error.is_worn_out
                is_down = self._n_failed_in_a_row >= GIVE_UP_AFTER
                return error.reason if error.is_general or is_down else None
            self._n_failed_in_a_row = 0
            content = answer.content if answer.status == 200 else None
            entry = self._manifest.write(request, content, answer.rows, time)
            if content is not None:
                self._done.n_pulled += 1
                self._done.n_bytes += len(content)
        if entry.status == 404 and request.instead:
            return next(filter(None, map(self._one, request.instead)), None)
        if entry.status == 404:
            self._done.absent.append(request.file)
        self._entries[request.symbol].append(entry)
        return None

    def _find_unknown_symbols(self) -> None:
        """Name symbols of which there is nothing at all: they are misspelled, or never traded."""
        for symbol, entries in self._entries.items():
            if entries and all(entry.status == 404 or entry.rows == 0 for entry in entries):
                self._miss(symbol, "the vendor has nothing of it on these days: check the spelling")

    def _miss(self, what: str, reason: str) -> None:
        self._done.missing.append(Missing(what, reason))


@contextmanager
def _own_folder(folder: Path) -> Iterator[Manifest]:
    """Yield the manifest of a source's folder, which no other process is at meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", blocking=False):
            manifest = Manifest(folder)
            manifest.remove_parts()
            yield manifest
    except Timeout:
        raise MsmError(
            "another process is pulling into this folder",
            where=str(folder),
            remedy="wait until it has ended, or give each its own --raw",
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(place: Path, error: OSError) -> MsmError:
    return MsmError(
        "an answer cannot be written",
        where=str(error.filename or place),
        received=error.strerror or str(error),
        remedy="make room, or give yourself the right to write there; the next pull goes on",
    )
