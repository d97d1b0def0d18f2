"""Nothing outlives the supervisor: a tiny process waits for its end and kills what it had started.

Children also ask the kernel to be killed when their parent ends (PR_SET_PDEATHSIG); that does not reach their own
children. The lifeline does: it is told the leader of every process group and, before a program runs in it, the number
of its mount namespace; it pins that so that the number stays unique, and acts when its pipe closes, which happens even
when the supervisor is killed by -9.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, NoReturn

from farero.compute import processes

if TYPE_CHECKING:
    from collections.abc import Iterable


#: The name it goes by in `ps`, 15 letters at most.
NAME = "farero-lifeline"


class Lifeline:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self.pid = 0
        self._write = -1
        #: With the number of the mount namespace of each, 0 for none.
        self._leaders: dict[int, int] = {}

    def start(self) -> None:
        """Fork the lifeline process, again if it has died, and tell it everything."""
        self._close()
        read, self._write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _watch(read)
        os.close(read)
        for leader, space in self._leaders.items():
            self._tell(f"+{leader} {space}\n")

    def add(self, leader: int, space: int = 0) -> None:
        """Put a process group under watch; again when the number of its mount namespace is known."""
        self._leaders[leader] = space
        self._tell(f"+{leader} {space}\n")

    def remove(self, leader: int) -> None:
        """Take a group off; call before its leader's pid can be used again."""
        self._leaders.pop(leader, None)
        self._tell(f"-{leader} 0\n")

    def end(self) -> None:
        """Let the lifeline process go, and wait for it."""
        self._close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        # A broken pipe means that it died; the supervisor hears of that and calls `start`.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write, line.encode())

    def _close(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1


def _watch(pipe: int) -> NoReturn:
    status = 1
    try:
        _keep_only(pipe)
        leaders = _follow(pipe)
        _end(leaders.items())
        status = 0
    finally:
        os._exit(status)


def _keep_only(pipe: int) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(NAME)


def _follow(pipe: int) -> dict[int, tuple[int, int]]:
    """Keep the table of leaders, their pinned namespaces (-1 for none) and their numbers until the pipe closes."""
    own = processes.mount_namespace()
    leaders: dict[int, tuple[int, int]] = {}
    rest = b""
    while chunk := os.read(pipe, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            leader, space = map(int, line[1:].split())
            if (pinned := leaders.pop(leader, (-1, 0))[0]) >= 0:
                os.close(pinned)
            if line.startswith(b"+"):
                leaders[leader] = _pin(leader, own), space
    return leaders


def _pin(leader: int, own: int) -> int:
    with contextlib.suppress(OSError):
        pinned = os.open(f"/proc/{leader}/ns/mnt", os.O_RDONLY)
        if os.fstat(pinned).st_ino != own:
            return pinned
        os.close(pinned)
    return -1


def _end(leaders: Iterable[tuple[int, tuple[int, int]]]) -> None:
    # one that has died could not be pinned; those it had started still hold its namespace
    known = [
        (leader, os.fstat(pin).st_ino if pin >= 0 else space) for leader, (pin, space) in leaders
    ]
    for leader, _ in known:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
    if known:
        groups = {leader for leader, _ in known}
        spaces = {space for _, space in known} - {0}
        processes.kill_all(lambda: processes.of_leaders(groups, spaces))
