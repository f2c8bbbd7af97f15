"""What this process may use of the machine: memory and cores, as its container grants them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
"""Where Linux says what a container is granted; elsewhere there is no such folder."""
OWN_GROUPS: Final = Path("/proc/self/cgroup")
"""Where Linux says in which groups this process is."""


def memory_bytes(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return the bytes of memory that there are, or that the process is granted if fewer.

    Examples
    --------
    >>> memory_bytes() > 0
    True
    """
    granted = []
    for group in _groups("memory", cgroup, own_groups):
        for name in ("memory.max", "memory.limit_in_bytes"):  # cgroups 2 and 1
            with suppress(OSError, ValueError):  # not there, or "max": no limit
                granted.append(int((group / name).read_text()))
    there_is = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([there_is, *(limit for limit in granted if limit > 0)])


def n_cores(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return how many cores there are, or this process may use if fewer; at least 1.

    Examples
    --------
    >>> 1 <= n_cores() <= (os.cpu_count() or 1)
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    found = [(os.cpu_count() or 1) if affinity is None else len(affinity(0))]
    for group in _groups("cpu", cgroup, own_groups):
        for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):  # cgroups 2 and 1
            with suppress(OSError, ValueError):
                words = " ".join((group / name).read_text() for name in files).split()
                quota, period = map(int, words)
                if quota > 0 and period > 0:  # -1: no limit
                    found.append(quota // period)
    return max(1, min(found))


def _groups(controller: str, cgroup: Path, own_groups: Path) -> Iterator[Path]:
    """Yield the folders that may limit the process: of its own group and of those above it.

    Each limits those within it. What a container sees of them begins at its own.
    """
    yield from (cgroup, cgroup / controller)
    with suppress(OSError, ValueError):
        for line in own_groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:  # cgroups 2
                top = cgroup
            elif controller in controllers.split(","):
                top = cgroup / controllers
            else:
                continue
            own = Path(path.lstrip("/"))
            yield from (top / group for group in (own, *own.parents))
