"""What this process may use of the machine: memory and cores, as its container grants them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
"""Where Linux says what a container is granted; elsewhere there is no such folder."""


def memory_bytes(cgroup: Path = CGROUP) -> int:
    """Return the bytes of memory that there are, or that the container is granted if fewer.

    Examples
    --------
    >>> memory_bytes() > 0
    True
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups 2 and 1
        with suppress(OSError, ValueError):  # not there, or "max": no limit
            found.append(int((cgroup / name).read_text()))
    return min(found)


def n_cores(cgroup: Path = CGROUP) -> int:
    """Return how many cores there are, or this process may use if fewer; at least 1.

    Examples
    --------
    >>> 1 <= n_cores() <= (os.cpu_count() or 1)
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    found = [(os.cpu_count() or 1) if affinity is None else len(affinity(0))]
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        found.append(int(quota) // int(period))
    with suppress(OSError, ValueError):
        quota, period = (
            (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
        if int(quota) > 0:  # -1: no limit
            found.append(int(quota) // int(period))
    return max(1, min(found))
