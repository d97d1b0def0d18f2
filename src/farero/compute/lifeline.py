"""Nothing outlives the supervisor: a tiny process waits for its end and kills what it had started.

Children also ask the kernel to be killed when their parent ends (PR_SET_PDEATHSIG); that does not reach their own
children. The lifeline does: it is told the leader of every process group and, before a program runs in it, the number
of its mount namespace; it pins that so that the number stays unique, and acts when its pipe closes, which happens even
when the supervisor is killed by -9. Its program is `watch.py`.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from farero.compute import watch

if TYPE_CHECKING:
    from typing import NoReturn

#: The name it goes by in `ps`, 15 letters at most.
NAME = watch.NAME
#: A program that dies so soon may be unable to live here.
QUICK_DEATH_S = 1.0


class Lifeline:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self.pid = 0
        self._write = -1
        self._born = -math.inf
        #: Whether it is a program of its own; a fork, which is larger, where that one does not live.
        self._is_program = True
        #: With the number of the mount namespace of each, 0 for none.
        self._leaders: dict[int, int] = {}

    def start(self) -> None:
        """Fork the lifeline process, again if it has died, and tell it everything."""
        self._close()
        if self._born > time.monotonic() - QUICK_DEATH_S:
            self._is_program = False
        self._born = time.monotonic()
        read, self._write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _watch(read, is_program=self._is_program)
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


def _watch(pipe: int, *, is_program: bool) -> NoReturn:
    """Become the program, or do its work in this fork."""
    try:
        _keep_only(pipe)
        with contextlib.suppress(OSError):
            if is_program:
                os.execv(sys.executable, [sys.executable, "-I", "-S", watch.__file__])  # noqa: S606
        watch.main()
    finally:
        os._exit(1)


def _keep_only(pipe: int) -> None:
    """Hold the pipe, as standard input, and nothing else."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(pipe, 0)
    os.set_inheritable(0, True)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (1, 2):
        os.dup2(null, standard)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
