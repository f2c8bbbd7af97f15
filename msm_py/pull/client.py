"""Asking a vendor: politely, patiently, and without ever showing a key.

This module needs the extra ``pull``; nothing imports it before something is pulled.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from msm_py import __version__
from msm_py.errors import MsmError
from msm_py.pull.answers import Again, Refused, n_rows
from msm_py.pull.requests import Request
from msm_py.pull.spec import Source

try:
    import httpx
    import stamina
    from stamina.instrumentation import set_on_retry_hooks
except ImportError as error:
    raise MsmError(
        f"{error.name} is not installed",
        where="msm lake pull",
        remedy='pip install --editable ".[pull]"',
    ) from None

ATTEMPTS: Final = 6
LONGEST_PAUSE: Final = 300.0
"""Seconds; a vendor that wants to be left alone for longer is."""
MOST_BYTES: Final = 500_000_000
_ANSWERS: Final = frozenset({200, 404})
_SLOW_DOWN: Final = frozenset({418, 429})


@dataclass(frozen=True)
class Answer:
    """What a vendor said.

    Parameters
    ----------
    status
        200, or 404 for an archive that is not there.
    content
        The bytes, without the compression of the way.
    rows
        How many rows they hold; None where nobody counted.
    """

    status: int
    content: bytes
    rows: int | None = None


class Pace:
    """When a host may be asked again: requests are spread evenly.

    Parameters
    ----------
    now, sleep
        The clock.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._next: dict[str, float] = {}

    def wait(self, host: str, per_minute: float) -> None:
        """Wait until it is polite to ask a host."""
        now = self._now()
        due = self._next.get(host, now)
        if due > now:
            self._sleep(due - now)
        self._next[host] = max(due, now) + 60 / per_minute


class Client:
    """Asks one vendor; a context manager.

    Parameters
    ----------
    source
        Whom, and how often.
    key
        Goes into the header that the vendor wants, and nowhere else.
    pace
        Shared by all sources, since several may ask one host.
    waiting
        Is told why something is tried again.
    """

    def __init__(
        self, source: Source, key: str | None, pace: Pace, waiting: Callable[[str], object]
    ) -> None:
        set_on_retry_hooks([])  # what is to be said is said by `waiting`
        logging.getLogger("httpcore").setLevel(logging.WARNING)  # below that it logs headers
        self._source = source
        self._key = key
        self._pace = pace
        self._waiting = waiting
        self._host = urlsplit(source.address).netloc
        headers = {"User-Agent": f"msm/{__version__}"}
        if key is not None and source.data.vendor.key_header is not None:
            headers[source.data.vendor.key_header] = key
        self._http = httpx.Client(headers=headers, timeout=30.0, follow_redirects=False)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self._http.close()

    def ask(self, request: Request) -> Answer:
        """Return the answer to a request, looked over.

        What may pass (too many requests, a server's fault, a cut connection, a page of HTML, an
        answer cut short) is tried up to `ATTEMPTS` times, after pauses that double or that the
        vendor names.

        Raises
        ------
        Refused
            There is none.
        """
        try:
            for attempt in stamina.retry_context(
                on=self._pause, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=60.0
            ):
                with attempt:
                    return self._answer(request)
        except Again as error:
            reason = f"{self._plain(error.reason)}, {ATTEMPTS} times"
        except Refused as error:
            raise Refused(self._plain(error.reason), is_general=error.is_general) from None
        raise Refused(reason, is_worn_out=True)

    def _pause(self, error: Exception) -> bool | float:
        if not isinstance(error, Again):
            return False
        self._waiting(self._plain(error.reason))
        return True if error.seconds is None else error.seconds

    def _answer(self, request: Request) -> Answer:
        data = self._source.data
        answer = self._once(request.url, request)
        if answer.status == 404:
            if data.shape == "archives":
                return answer
            text = answer.content.decode("utf-8", errors="replace")
            raise Refused(_short(f"404 Not Found: {text}"))
        if self._key is not None and self._key.encode() in answer.content:
            raise Refused("the answer repeats the key, and is not kept", is_general=True)
        if data.shape == "archives":
            self._check_sum(request, answer.content)
        return Answer(200, answer.content, n_rows(answer.content, data))

    def _check_sum(self, request: Request, content: bytes) -> None:
        """Compare an archive with the sum beside it, where there is one."""
        stated = self._once(f"{request.url}.CHECKSUM", request)
        if stated.status == 404:
            return
        wanted = stated.content.split()[:1]
        if wanted != [hashlib.sha256(content).hexdigest().encode()]:
            raise Again("the archive is not what its CHECKSUM says")

    def _once(self, url: str, request: Request) -> Answer:
        self._pace.wait(self._host, self._source.pace)
        try:
            with self._http.stream(
                "GET" if request.body is None else "POST", url, json=request.body
            ) as response:
                if response.status_code == 200:
                    _check_kind(response)
                content = bytearray()
                for part in response.iter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise Refused(f"the answer has more than {MOST_BYTES:,} bytes")
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(_short(f"{type(error).__name__}: {error}")) from None
        except httpx.InvalidURL as error:
            raise Refused(f"the base_url is no address: {error}", is_general=True) from None
        if response.status_code not in _ANSWERS:
            raise _fault(response, bytes(content))
        return Answer(response.status_code, bytes(content))

    def _plain(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, "***")


def _check_kind(response: httpx.Response) -> None:
    kind = response.headers.get("content-type", "")
    if "html" in kind.lower():
        raise Again(f"a page of HTML instead of data ({kind})")


def _fault(response: httpx.Response, content: bytes) -> Again | Refused:
    """Return what an answer without data means."""
    status = response.status_code
    text = content.decode("utf-8", errors="replace")
    what = _short(f"{status} {response.reason_phrase}: {text}").rstrip(": ")
    if status in _SLOW_DOWN or status == 503:
        seconds = _seconds(response.headers.get("retry-after"))
        if seconds is not None and seconds > LONGEST_PAUSE:
            return Refused(
                f"{what}; come back in {dt.timedelta(seconds=round(seconds))}", is_general=True
            )
        return Again(what, seconds)
    if status >= 500 or status == 408:
        return Again(what)
    if 300 <= status < 400:
        where = response.headers.get("location", "elsewhere")
        return Refused(
            _short(
                f"{status}: it leads to {where}, and is not followed; "
                "if you trust that place, make it the base_url"
            ),
            is_general=True,
        )
    if status in (401, 403, 407, 451):
        return Refused(
            f"{what}; check key, plan and whether it serves your country", is_general=True
        )
    return Refused(what)


def _seconds(retry_after: str | None) -> float | None:
    """Return how long a header asks to wait: seconds, or until a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max(0.0, (until - dt.datetime.now(dt.UTC)).total_seconds())


def _short(text: str) -> str:
    """Return a text as one line of moderate length."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
