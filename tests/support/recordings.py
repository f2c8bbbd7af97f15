"""A vendor on loopback that answers what a test wrote down, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer.

    Parameters
    ----------
    body
        Bytes as they are, other values as JSON.
    status, headers
        Of the answer.
    cut
        Close the connection in the middle of the body.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Asked:
    """What was asked."""

    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


Answering = Callable[[Asked], Reply]


@dataclass
class Recordings:
    """The vendor.

    Parameters
    ----------
    url
        Its address.
    answering
        What it says; tests put their own function here.
    asked
        All that it was asked, in order.
    """

    url: str
    answering: Answering = lambda _: Reply(status=404)
    asked: list[Asked] = field(default_factory=list)

    def replies(self, *replies: Reply) -> None:
        """Answer with these, one after the other, and with the last one from then on."""
        waiting = list(replies)
        self.answering = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def recordings() -> Iterator[Recordings]:
    """Yield a vendor on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes

        def do_GET(self) -> None:  # the name is http.server's
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), body, dict(self.headers))
            vendor.asked.append(asked)
            reply = vendor.answering(asked)
            content = (
                reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            )
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            self.close_connection = reply.cut

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        vendor = Recordings(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield vendor
        finally:
            server.shutdown()
            thread.join()
