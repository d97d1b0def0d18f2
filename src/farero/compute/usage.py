"""What processes take of the machine: processor time, memory, disk; of each with all that it has started.

One pass over the process table serves all of them (`proc(5)`); only the memory of those asked about is looked at
closely.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock
from farero.compute import processes
from farero.records.compute import ProcessUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from farero.compute.control import Value

#: Limits of the group in which the whole platform runs, as a container's: cgroup 2, cgroup 1.
GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def measure(leaders: Sequence[Mapping[str, Value]]) -> list[ProcessUsage]:
    """Return the usage of each leader that lives; leaders: as `Children.leaders` returns them."""
    if not leaders:
        return []
    now = SystemClock().now()
    machine_bytes = machine_memory_bytes()
    disks: dict[str, tuple[int, int]] = {}
    found: list[ProcessUsage] = []
    members = by_leader(
        processes.scan(),
        {one["pid"] for one in leaders},
        {one["namespace"]: one["pid"] for one in leaders if one["namespace"]},
    )
    for one in leaders:
        mine = members.get(one["pid"])
        if not mine:
            continue
        used, size = disks.setdefault(one["folder"], _disk(one["folder"]))
        found.append(
            ProcessUsage(
                name=one["name"],
                at=now,
                started_at=dt.datetime.fromisoformat(one["started_at"]),
                cpu_s=sum(process.cpu_s for process in mine),
                memory_bytes=sum(processes.proportional_bytes(process.pid) for process in mine)
                or sum(process.resident_bytes for process in mine),
                memory_limit_bytes=one["memory_bytes"] or machine_bytes,
                disk_used_bytes=used,
                disk_size_bytes=size,
            )
        )
    return found


def by_leader(
    running: Iterable[processes.Running], leaders: set[int], namespaces: Mapping[int, int]
) -> dict[int, list[processes.Running]]:
    """Return each leader's processes: its session and group, and what left both within its own namespace.

    namespaces: mount namespaces that belong to one leader alone, and that leader's pid.
    """
    found: dict[int, list[processes.Running]] = defaultdict(list)
    for one in running:
        leader = one.session if one.session in leaders else one.group
        if leader not in leaders and namespaces:
            leader = namespaces.get(processes.mount_namespace(one.pid), 0)
        if leader in leaders:
            found[leader].append(one)
    return found


def machine_memory_bytes(group_limits: Iterable[str] = GROUP_LIMITS) -> int:
    """Return how much memory there is for all: the machine's, or less where the platform runs in a container."""
    least = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in group_limits:
        with contextlib.suppress(OSError, ValueError):  # no such group, or "max"
            least = min(least, int(Path(path).read_text(encoding="ascii")))
    return least


def _disk(folder: str) -> tuple[int, int]:
    """Return used and all bytes as df(1) counts them: what is kept for root is not there."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0, 0
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    return used, used + disk.f_bavail * disk.f_frsize
