"""The table of child processes: start, notice the end, stop, and hold them to their limits. Used by the supervisor.

Nothing here waits for a child, but for the few milliseconds that `start` takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock
from farero.base.errors import Invalid
from farero.compute import enter, limits, logfiles, processes, zygotes
from farero.compute.lifeline import Lifeline
from farero.compute.zygotes import Zygotes
from farero.records.compute import ProcessSpec, ProcessStatus

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable
    from pathlib import Path

    from farero.compute.zygotes import Asked

log = logging.getLogger(__name__)

#: Ended processes that are remembered; the oldest is forgotten first.
MOST_ENDED = 10_000
#: Until what did not die of SIGKILL, stuck in the kernel, is killed again.
AGAIN_S = 1.0
#: A program that is not running after that long may be stuck in a mount; it is not waited for.
ENTER_WITHIN_S = 2.0


@dataclass(slots=True, kw_only=True)
class Child:
    """A child that runs."""

    spec: ProcessSpec
    status: ProcessStatus
    pid: int
    #: Open descriptor of the namespace made for it, which keeps its number unique; -1 for none.
    namespace: int
    #: Monotonic time at which SIGKILL follows; None before `stop`.
    kill_at: float | None = None
    out_of_memory: bool = False
    forget: bool = False

    def members(self) -> list[processes.Running]:
        """Return every living process that this child has started, itself included."""
        spaces = {os.fstat(self.namespace).st_ino} if self.namespace >= 0 else set[int]()
        return processes.of_leaders({self.pid}, spaces)


class Children:
    """Every child of this process, running or remembered."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        level: str = enter.PLAIN,
        hidden: tuple[Path, ...] = (),
    ) -> None:
        """selector: is waited on by the caller, who then calls what is registered with each socket."""
        self.level = level
        self._hidden = hidden
        self._clock = SystemClock()
        self._lifeline = Lifeline()
        self._own_namespace = processes.mount_namespace()
        self._count_at_start = processes.count()
        self._running: dict[int, Child] = {}
        self._by_name: dict[str, Child] = {}
        self._ended: dict[str, ProcessStatus] = {}
        #: Ended before there was a process; told with the next ones that have.
        self._never_ran: list[Child] = []
        self.zygotes = Zygotes(
            selector,
            start=lambda spec, passed: self.start(spec, passed=passed, is_trusted=True),
            stop=lambda name: self.stop(name, 0.0),
            adopt=self._adopt,
            fall_back=self._fall_back,
        )

    def open(self) -> None:
        """Start the lifeline; call before the first `start`."""
        enter.be_subreaper()
        self._lifeline.start()

    def close(self) -> None:
        """Kill whatever is left, orphans included, and let the lifeline go."""
        own = os.getpid()
        keep = {own, self._lifeline.pid}
        leaders = set(self._running)
        processes.kill_all(
            lambda: [
                one
                for one in processes.scan()
                if one.pid not in keep and (one.parent == own or {one.session, one.group} & leaders)
            ]
        )
        self._lifeline.end()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass

    def start(
        self,
        spec: ProcessSpec,
        *,
        passed: int | None = None,
        is_trusted: bool = False,
        run: Callable[[], int] | None = None,
    ) -> ProcessStatus:
        """Start `spec` unless its name runs already; return how it is.

        passed: a descriptor of ours that the child gets as 3. is_trusted: one of the platform's own processes.
        run: what a fork of this process does in place of the program.

        Raises Invalid if there is no program or the log cannot be opened.
        """
        if spec.name in self._by_name:
            return self._by_name[spec.name].status
        if spec.name in self.zygotes.asked:
            return self.status(spec.name)
        if not spec.argv:
            raise Invalid(f"process '{spec.name}' has no program to run")
        if self.zygotes.ask(spec, self._clock.now()):
            self._ended.pop(spec.name, None)
            return self.status(spec.name)
        return self._start_afresh(spec, passed, is_trusted=is_trusted, run=run)

    def _start_afresh(
        self,
        spec: ProcessSpec,
        passed: int | None = None,
        *,
        is_trusted: bool = False,
        run: Callable[[], int] | None = None,
    ) -> ProcessStatus:
        output = logfiles.open_for(spec.log_path)
        try:
            entry = self._entry(spec, output, passed, is_trusted=is_trusted, run=run)
            child = self._fork(spec, entry)
        finally:
            os.close(output)
        self._running[child.pid] = self._by_name[spec.name] = child
        self._ended.pop(spec.name, None)
        return child.status

    def status(self, name: str) -> ProcessStatus:
        """Say how `name` is; `unknown` if it was never started or is forgotten."""
        if name in self._by_name:
            return self._by_name[name].status
        if asked := self.zygotes.asked.get(name):
            return ProcessStatus(name=name, state="running", started_at=asked.started_at)
        return self._ended.get(name) or ProcessStatus(name=name, state="unknown")

    def list(self, prefix: str = "") -> list[ProcessStatus]:
        """Return all whose name begins with `prefix`, by name."""
        names = sorted({*self._by_name, *self._ended, *self.zygotes.asked})
        return [self.status(name) for name in names if name.startswith(prefix)]

    def running(self, prefix: str = "") -> list[Child]:
        """Return the children that run and whose name begins with `prefix`."""
        return [child for name, child in self._by_name.items() if name.startswith(prefix)]

    def leaders(self, prefix: str = "") -> list[dict[str, object]]:
        """Return where to find in the process table what runs: pid, namespace made for it (0: none), limit, folder."""
        return [
            {
                "name": child.spec.name,
                "pid": child.pid,
                "namespace": os.fstat(child.namespace).st_ino if child.namespace >= 0 else 0,
                "started_at": child.status.started_at and child.status.started_at.isoformat(),
                "memory_bytes": child.spec.memory_bytes,
                "folder": os.fspath(child.spec.cwd),
            }
            for child in self.running(prefix)
        ]

    def is_confined(self, pid: int) -> bool:
        """Say whether `pid` lives in a namespace made for one of the children: a model or a job, or started by one."""
        space = processes.mount_namespace(pid)
        pinned = [child.namespace for child in self._by_name.values() if child.namespace >= 0]
        return any(os.fstat(one).st_ino == space for one in pinned)

    def stop(self, name: str, grace_s: float | None = None) -> None:
        """Send SIGTERM to the child's group and remember when to kill; a shorter grace wins."""
        if asked := self.zygotes.cancel(name):
            self._note_never_ran(asked)
        if (child := self._by_name.get(name)) is None:
            return
        grace_s = child.spec.grace_s if grace_s is None else grace_s
        if child.kill_at is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        kill_at = time.monotonic() + max(0.0, grace_s)
        child.kill_at = kill_at if child.kill_at is None else min(child.kill_at, kill_at)
        self.kill_overdue()

    def forget(self, name: str) -> None:
        """Drop what is remembered of `name`, as soon as it has ended."""
        self._ended.pop(name, None)
        if name in self._by_name:
            self._by_name[name].forget = True

    def reap(self) -> list[Child]:
        """Collect every child that has ended and kill what it left behind; the status says how it ended."""
        ended = [self._end(child, -signal.SIGTERM) for child in self._never_ran]
        self._never_ran.clear()
        with contextlib.suppress(ChildProcessError):
            # WNOWAIT: the pid stays taken until the group has been killed, so no stranger can be hit.
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if child := self._running.pop(found.si_pid, None):
                    processes.kill_all(child.members)
                    self._lifeline.remove(child.pid)
                _, status = os.waitpid(found.si_pid, 0)
                if child:
                    ended.append(self._end(child, os.waitstatus_to_exitcode(status)))
                    self.zygotes.ended(child.spec.name)
                elif found.si_pid == self._lifeline.pid:
                    log.warning("lifeline ended; starting another", extra={"pid": found.si_pid})
                    self._lifeline.start()
        return ended

    def kill_overdue(self) -> None:
        """SIGKILL every child whose grace is over."""
        now = time.monotonic()
        for child in self._by_name.values():
            if child.kill_at is not None and child.kill_at <= now:
                processes.kill_all(child.members)
                child.kill_at = now + AGAIN_S

    def next_kill(self) -> float | None:
        """Return the monotonic time of the next SIGKILL that is due later, None if there is none."""
        now = time.monotonic()
        return min(
            (c.kill_at for c in self._by_name.values() if c.kill_at and c.kill_at > now),
            default=None,
        )

    def refuse_forks(self) -> None:
        """Begin nothing more by way of a zygote; what was asked of one counts as stopped."""
        for asked in self.zygotes.close():
            self._note_never_ran(asked)

    def check_limits(self) -> None:
        """Kill what uses too much memory or too many processes; cut logs that have grown too long."""
        self.zygotes.check()
        for path in {child.spec.log_path for child in self._by_name.values()}:
            logfiles.cut(path)
        limits.check(self._by_name.values(), self._count_at_start)

    def _fork(self, spec: ProcessSpec, entry: enter.Entry) -> Child:
        parent = os.getpid()
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            enter.enter(entry, parent=parent, talk=theirs.fileno())
        self._lifeline.add(pid)
        theirs.close()
        with ours:
            namespace, reason = self._let_begin(pid, ours)
        if reason:
            log.warning(reason, extra={"name_of_process": spec.name})
        status = ProcessStatus(
            name=spec.name, state="running", pid=pid, started_at=self._clock.now()
        )
        return Child(spec=spec, status=status, pid=pid, namespace=namespace)

    def _let_begin(self, pid: int, talk: socket.socket) -> tuple[int, str]:
        """Wait until a child is in its namespaces, have them watched, and only then let its program begin.

        Returns the descriptor of its mount namespace, -1 for none, and why the program cannot run, "" if it does.
        """
        talk.settimeout(ENTER_WITHIN_S)
        reason = b""
        try:
            if (first := talk.recv(1)) != enter.READY:
                reason = first
        except TimeoutError:
            talk.setblocking(False)  # it may be stuck in a mount, and is not waited for any longer
        namespace = self._pin(pid)
        if namespace >= 0:
            self._lifeline.add(pid, os.fstat(namespace).st_ino)
        with contextlib.suppress(OSError):
            talk.send(b"g")
            while piece := talk.recv(4096):
                reason += piece
        return namespace, reason.decode(errors="replace")

    def _entry(
        self,
        spec: ProcessSpec,
        output: int,
        passed: int | None = None,
        *,
        is_trusted: bool = False,
        run: Callable[[], int] | None = None,
    ) -> enter.Entry:
        return enter.Entry(
            argv=spec.argv,
            env=spec.env,
            cwd=spec.cwd,
            output=output,
            passed=passed,
            level=enter.PLAIN if is_trusted else self.level,
            opt_ml=spec.opt_ml,
            hidden=self._hidden,
            is_trusted=is_trusted,
            run=run,
        )

    def _adopt(self, asked: Asked, pid: int) -> None:
        """Take a fork of a zygote as a child; its parent we are already."""
        spec = asked.spec
        found = processes.find(pid)
        if found is None or found.parent != os.getpid():  # it has died at once
            self._fall_back(asked)
            return
        self._lifeline.add(pid)
        namespaces: list[int] = []
        space = 0
        try:
            namespaces = enter.make_namespaces(self._entry(spec, -1), ENTER_WITHIN_S)
            space = os.fstat(namespaces[-1]).st_ino if namespaces else 0
            self._lifeline.add(pid, space)  # before it can start anything
            if reason := zygotes.go(asked.talk, namespaces, ENTER_WITHIN_S):
                log.warning(reason, extra={"name_of_process": spec.name})
        except OSError as error:
            log.warning("fork cannot go on: %s", error, extra={"name_of_process": spec.name})
        for one in namespaces[:-1]:
            os.close(one)
        status = ProcessStatus(
            name=spec.name, state="running", pid=pid, started_at=asked.started_at
        )
        child = Child(
            spec=spec, status=status, pid=pid, namespace=namespaces[-1] if namespaces else -1
        )
        self._running[pid] = self._by_name[spec.name] = child
        self._lifeline.add(pid, space)  # again: now its namespace can be pinned

    def _fall_back(self, asked: Asked) -> None:
        try:
            self._start_afresh(asked.spec)
        except (OSError, Invalid) as error:
            log.warning("cannot start: %s", error, extra={"name_of_process": asked.spec.name})
            self._note_never_ran(asked)

    def _note_never_ran(self, asked: Asked) -> None:
        status = ProcessStatus(name=asked.spec.name, state="running", started_at=asked.started_at)
        self._never_ran.append(Child(spec=asked.spec, status=status, pid=0, namespace=-1))

    def _pin(self, pid: int) -> int:
        if processes.mount_namespace(pid) not in (0, self._own_namespace):
            with contextlib.suppress(OSError):
                return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
        return -1

    def _end(self, child: Child, code: int) -> Child:
        self._by_name.pop(child.spec.name, None)
        if child.namespace >= 0:
            os.close(child.namespace)
        logfiles.cut(child.spec.log_path)
        child.status = dataclasses.replace(
            child.status,
            state="exited",
            exit_code=code,
            ended_at=self._clock.now(),
            out_of_memory=child.out_of_memory,
        )
        if not child.forget:
            self._ended[child.spec.name] = child.status
            if len(self._ended) > MOST_ENDED:
                del self._ended[next(iter(self._ended))]
        return child
