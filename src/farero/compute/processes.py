"""What Linux tells about processes: who lives in which session, how much memory, who holds a port (`proc(5)`)."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
KILL_ROUNDS = 100


class Running(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    group: int
    session: int
    resident_bytes: int
    #: Processor time of it and of the children that it has waited for.
    cpu_s: float


def scan() -> Iterator[Running]:
    """Go through every living process that this user may see; zombies are left out."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - half the time of pathlib here
        if entry.isdigit() and (found := find(int(entry))) is not None:
            yield found


def count() -> int:
    """Return how many threads the machine runs; far cheaper than `scan`."""
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[3].partition("/")[2])


def find(pid: int) -> Running | None:
    """Return what the table says about `pid`, None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - half the time of pathlib here
            text = file.read()
    except OSError:
        return None
    # The command name stands in brackets and may hold anything, brackets and blanks included.
    state, *fields = text[text.rindex(b")") + 2 :].split()
    if state in b"ZX":
        return None
    parent, group, session = int(fields[0]), int(fields[1]), int(fields[2])
    # utime, stime, cutime, cstime
    ticks = int(fields[10]) + int(fields[11]) + int(fields[12]) + int(fields[13])
    resident_bytes = int(fields[20]) * PAGE_BYTES
    return Running(pid, parent, group, session, resident_bytes, ticks / TICKS_A_SECOND)


def proportional_bytes(pid: int) -> int:
    """Return resident memory with shared pages divided among their users; 0 if not readable."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def mount_namespace(pid: int | str = "self") -> int:
    """Return the number of a process's mount namespace, 0 if it is gone or may not be seen."""
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116
    return 0


def of_leaders(leaders: set[int], namespaces: set[int]) -> list[Running]:
    """Return what the leaders have started: their sessions and groups, and all in the namespaces made for them.

    namespaces: mount namespaces of the leaders alone. A grandchild that left the session is still found there.
    """
    return [
        one
        for one in scan()
        if one.session in leaders
        or one.group in leaders
        or (namespaces and mount_namespace(one.pid) in namespaces)
    ]


def kill_all(find_them: Callable[[], list[Running]]) -> None:
    """SIGKILL what `find_them` returns until it returns nothing, so that a fork cannot slip through."""
    for _ in range(KILL_ROUNDS):
        found = find_them()
        if not found:
            return
        for one in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one.pid, signal.SIGKILL)


def port_holder(port: int) -> str:
    """Name who listens on a TCP port, e.g. `nginx (pid 812)`; empty if that cannot be seen."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for entry in os.listdir("/proc") if inodes else ():  # noqa: PTH208
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{entry}/fd"):  # noqa: PTH208
                if os.readlink(f"/proc/{entry}/fd/{descriptor}") in inodes:  # noqa: PTH115
                    with open(f"/proc/{entry}/comm", encoding="utf-8") as file:  # noqa: PTH123
                        return f"{file.read().strip()} (pid {entry})"
    return ""


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:  # noqa: PTH123
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
