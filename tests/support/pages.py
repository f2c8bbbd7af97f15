"""Pages as a browser reads them, as far as tests ask."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """The tags, texts and figures of a page; cells of tables by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.figures: dict[str, dict[str, Any]] = {}
        self.rows: list[list[str]] = []
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id") if tag == "script" else None
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._script:
            self.figures[self._script.removesuffix("-spec")] = json.loads(data)
        else:
            self.texts.append(data)
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._script = None
        if tag == "table":
            self.rows.append([])  # texts that follow are no cell's
