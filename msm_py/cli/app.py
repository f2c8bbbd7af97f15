"""The command ``msm``: its sub-commands, and how it ends."""

from __future__ import annotations

import errno
import signal
import sys
from contextlib import suppress
from types import FrameType

from msm_py.cli import (  # noqa: F401  (importing them adds their commands)
    check,
    export,
    ingest,
    report,
    run,
    show,
    status,
    trust,
)
from msm_py.cli.cache import cache_app
from msm_py.cli.catalog import catalog_app
from msm_py.cli.lake import lake_app
from msm_py.cli.options import app, err, out, tell_in_red
from msm_py.cli.sweep import sweep_app
from msm_py.errors import Interrupted, MsmError, not_written, tells_no_space

app.add_typer(sweep_app, name="sweep")
app.add_typer(lake_app, name="lake")
app.add_typer(catalog_app, name="catalog")
app.add_typer(cache_app, name="cache")
# somebody asks the process to stop, or closes its terminal; Windows knows no terminal to close
STOPPING = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
INTERRUPTED = 130  # the exit code that shells expect after Ctrl-C


def main() -> None:
    """Run the command line; a user's mistake is one paragraph and exit code 1."""
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: go on when the terminal is gone
            signal.signal(number, _like_ctrl_c)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now, while it can be told that there is no room for it
    except MsmError as error:
        tell_in_red("error:", str(error))
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt):  # the latter before typer listens
        _tell_interrupted()
    except Exception as error:
        told = _unwritten(error)
        if told is None:
            raise
        with suppress(OSError):
            out.on_broken_pipe()  # what is left of the output would fail again when Python ends
        tell_in_red("error:", str(told))
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what typer makes of Ctrl-C outside of dbt
            _tell_interrupted()
        raise


def _unwritten(error: Exception) -> MsmError | None:
    """Return what there is to say when something could not be written; None: that is not it.

    What commands write is told of where it is written, with what to do; this is for the rest.
    """
    duckdb = sys.modules.get("duckdb")  # what was never imported has raised nothing
    if not isinstance(error, OSError | (duckdb.Error if duckdb else OSError)):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if not tells_no_space(str(error)) and number not in (errno.EACCES, errno.EPERM, errno.EROFS):
        return None
    file = getattr(error, "filename", None)
    return not_written(
        "something could not be read or written",
        file or "the output of this command, or a file that the system did not name",
        error,
        "free space there, or see to it that you may read and write there",
    )


def _like_ctrl_c(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    # what a shell starts in the background ignores Ctrl-C, but not this
    (handler if callable(handler) else signal.default_int_handler)(number, frame)


def _tell_interrupted() -> None:
    err.print("stopped; complete runs are kept, nothing half-written is left")
    sys.exit(INTERRUPTED)
