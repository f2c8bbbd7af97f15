"""Text that would steer a terminal, and what is to be seen of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from msm_py.report.terminal import Terminal, visible

# markup that closes nothing, an emoji code; escape sequences in C0 and C1, a bell, directions
MARKUP = "Alts [/majors] [bold]v2[/] :smile:"
STEERING = "\x1b[31m\x9b2J\x07\u202eevil\u2066"
SEEN = "�[31m�2J��evil�"
HOSTILE = f"{MARKUP} {STEERING} — “é” 牛"

ENCODINGS = ("utf-8", "latin-1", "ascii")
SHOWN_IN = {
    "utf-8": f"{MARKUP} {SEEN} — “é” 牛",
    "latin-1": f'{MARKUP} {SEEN} - "é" ??'.replace("�", "?"),
    "ascii": f'{MARKUP} {SEEN} - "?" ??'.replace("�", "?"),
}


def clean(text: str) -> bool:
    return visible(text) == text


def terminal(encoding: str = "utf-8", **options: Any) -> tuple[Terminal, Callable[[], str]]:
    written_bytes = io.BytesIO()
    file = io.TextIOWrapper(written_bytes, encoding=encoding)
    console = Terminal(file=file, **{"width": 100, **options})

    def written() -> str:
        file.flush()
        return written_bytes.getvalue().decode(encoding)

    return console, written
