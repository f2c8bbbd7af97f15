"""A page: a Jinja2 template, its figures, and the scripts that all pages of a folder share.

What stands on a page comes from files that anybody may have written, so every text is escaped, data
reach the script as JSON that is no markup, and the page allows no script but those in the shared
folder, and no connection at all. Scripts are written once per runs folder (`SHARED`, hidden there);
their names say what is in them, so pages of other versions keep theirs.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from msm_py.errors import MsmError
from msm_py.report.terminal import visible
from msm_py.store import scratch

HERE: Final = Path(__file__).parent
SHARED: Final = ".pages"
SCRIPTS: Final = ("plotly-cartesian.min.js", "page.js")
"""In the order in which a page loads them; docs/architecture.md says where Plotly is from."""


def write_page(file: Path, template: str, *, runs: Path | None, **content: Any) -> None:
    """Write a page, wholly or not at all.

    Parameters
    ----------
    file
        Where to.
    template
        Name of the template, which extends ``base.html``.
    runs
        The runs folder, which keeps what pages share; None for a page without scripts.
    content
        What the template shows; `msm_py.report.pages.figure.Figure` among it.

    Raises
    ------
    MsmError
        When it cannot be written.
    """
    try:
        scripts: list[str] = []
        if runs is not None:
            shared = os.path.relpath(shared_folder(runs), file.parent)
            scripts = [f"{Path(shared).as_posix()}/{name}" for name in _assets()]
        text = environment().get_template(template).render(scripts=scripts, **content)
        _put(text.encode(errors="replace"), file, file.parent if runs is None else runs)
    except OSError as error:
        raise MsmError(
            "a page could not be written",
            where=str(file),
            received=error.strerror or str(error),
            remedy="free space on the disk, or give a place that you may write to"
            if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
            else "something else lies where this page or its folder belongs: move it away",
        ) from None


def shared_folder(runs: Path) -> Path:
    """Return the folder of what the pages of a runs folder share, with all that belongs there."""
    folder = runs / SHARED
    for name, content in _assets().items():
        file = folder / name
        if not file.exists() or file.stat().st_size != len(content):
            folder.mkdir(parents=True, exist_ok=True)
            _put(content, file, runs)
    return folder


@cache
def environment() -> jinja2.Environment:
    """Return where templates are rendered: everything escaped, a name that is missing an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["data"] = script_json
    found.globals["style"] = Markup((HERE / "assets" / "page.css").read_text("utf-8"))
    return found


def script_json(value: object) -> Markup:
    r"""Return JSON for a script element: nothing in it ends the element or a line of JavaScript.

    Examples
    --------
    >>> print(script_json({"title": "</script>\u00e9\u2028"}))
    {"title":"\u003c/script\u003e\u00e9\ufffd"}
    """
    # non-ASCII is escaped too
    text = json.dumps(_visible(value), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _visible(value: Any) -> Any:
    """Return a value whose texts hold nothing that reorders a line or hides in it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    if isinstance(value, dict):
        return {name: _visible(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(x) for x in value]
    return value


@cache
def _assets() -> dict[str, bytes]:
    """Return the scripts by the names that they have in a runs folder."""
    found = {}
    for name in SCRIPTS:
        content = (HERE / "assets" / name).read_bytes()
        stem, _, ending = name.partition(".")
        found[f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.{ending}"] = content
    return found


def _put(content: bytes, file: Path, place: Path) -> None:
    """Write a file, wholly or not at all; ``place`` is where its scratch folder is made."""
    with scratch.file_for(file, place) as unfinished:
        unfinished.write_bytes(content)
