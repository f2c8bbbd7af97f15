"""``msm cache``: what is kept for the next run."""

from __future__ import annotations

from pathlib import Path

import typer

from msm_py import settings
from msm_py.cli.options import out, print_lines
from msm_py.errors import MsmError

cache_app = typer.Typer(
    help="Tables of lakes and definitions, kept for the next run.", no_args_is_help=True
)


@cache_app.command()
def show() -> None:
    """Show what the cache holds, the least recently used first: that goes first.

    Example: msm cache show
    """
    from msm_py.report import cache_report
    from msm_py.store import cache

    folder = _folder()
    print_lines(cache_report.listing(folder, cache.entries(folder), settings.cache_bytes()))


@cache_app.command()
def clear() -> None:
    """Remove what the cache holds; the next run computes it again.

    Example: msm cache clear
    """
    from msm_py.report import cache_report
    from msm_py.store import cache

    folder = _folder()
    out.print(cache_report.removed(folder, cache.clear(folder)), soft_wrap=True)


def _folder() -> Path:
    folder = settings.cache_dir()
    if folder is None:
        raise MsmError(
            "there is no cache",
            where="MSM_CACHE",
            received="an empty name, which turns it off",
            remedy="name a folder there, or unset it",
        )
    return folder
