"""Logs of failed invocations: the last ones are kept, in a folder of their own."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

KEPT: Final = 10
NAME: Final = re.compile(r"msm-[0-9]{8}-[0-9]{6}-[0-9a-f]{8}\.log")


def keep(log: Path, folder: Path) -> str:
    """Keep the log of an invocation that failed, and say where; older ones than the last ten go.

    Never an error: a log that cannot be kept must not hide what it is about.

    Parameters
    ----------
    log
        The log, in a scratch folder that goes away.
    folder
        Where it is kept. Files there that are not called as logs of ours stay.
    """
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    kept = folder / f"msm-{now}-{secrets.token_hex(4)}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, kept)
    except OSError as error:
        with suppress(OSError):
            kept.unlink(missing_ok=True)
        return (
            f"the log of this invocation could not be kept in {folder} (MSM_LOGS): "
            f"{error.strerror or error}"
        )
    with suppress(OSError):  # another process may be at it too
        others = [file for file in _logs(folder) if file != kept]
        for older in others[: 1 - KEPT]:
            older.unlink(missing_ok=True)
    return f"the log of this invocation, {kept} (the last {KEPT} are kept)"


def _logs(folder: Path) -> list[Path]:
    """Return the logs in a folder, the newest last, by time of writing."""
    logs = [
        file for file in folder.iterdir() if NAME.fullmatch(file.name) and not file.is_symlink()
    ]
    return sorted(logs, key=lambda file: (file.stat().st_mtime_ns, file.name))
