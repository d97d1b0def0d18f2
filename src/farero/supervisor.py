"""The parent process: holds the listening socket and every child's pid; no state, no SQL.

It starts the gateways and the worker and starts them again when they die, runs processes for the worker (asked over
a Unix socket, `farero.compute.control`), and ends all of them when it ends, however that happens. One loop, no thread.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from farero.base.config import Settings, read_settings
from farero.base.errors import Invalid, NotReady
from farero.base.sparing import standing_in, without
from farero.compute import claims, control, enter
from farero.compute.children import Child, Children
from farero.compute.fixed import CONSOLE, GATEWAY, FixedChildren, fixed_commands
from farero.compute.requests import Requests, peer
from farero.work.wake import poke

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from farero.compute.control import Value
    from farero.compute.fixed import Command

log = logging.getLogger("farero.supervisor")

TICK_S = 0.5
#: Files of the data directory that models and jobs see empty, as they do keys and spool.
SECRET = ("state.db", "state.db-wal", "telemetry.db", "telemetry.db-wal")
#: What ends after what, by name of process, and the longest grace each step gets in seconds.
DRAIN = ((GATEWAY, 10.0), ("worker", 10.0), ("", 5.0), ("endpoint/", 3.0))


class Supervisor:
    """One per data directory."""

    def __init__(
        self,
        settings: Settings,
        commands: Mapping[str, Command],
        preload: Callable[[], None] = lambda: None,
    ) -> None:
        """commands: the platform's own processes. preload: imports what those need that are forked."""
        self._settings = settings
        self._preload = preload
        self._run = settings.run_dir
        self._selector = selectors.DefaultSelector()
        secrets = [settings.data_dir / name for name in SECRET]
        self._children = Children(
            self._selector, hidden=(settings.keys_dir, settings.spool_dir, *secrets)
        )
        self._fixed = FixedChildren(settings, commands, self._children)
        self._requests = Requests(self._selector, self._do, self._children.is_confined)
        #: Steps of DRAIN still to do; None while all is well.
        self._drain: list[tuple[str, float]] | None = None
        self._last_check = 0.0

    def run(self) -> int:
        """Run until told to end; return the exit code. Raises Invalid if another one holds the data or the port."""
        os.umask(0o077)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._run.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(claims.hold_lock(self._run / "lock"))
            if self._fixed.commands:
                claims.check_depth(self._settings.data_dir, self._run)
                listening = claims.listen(self._settings.bind, self._settings.port)
                self._fixed.listening = stack.enter_context(listening)
                self._fixed.port = listening.getsockname()[1]
            if CONSOLE in self._fixed.commands:
                self._listen_for_console(stack)
            self._open(stack)
            self._preload()
            while self._drain is None or self._drain or self._children.running():
                self._step()
        log.info("supervisor ended")
        return 0

    def _open(self, stack: contextlib.ExitStack) -> None:
        if self._settings.isolation != "none":
            self._children.level = enter.isolation_level()
        self._children.open()
        stack.callback(self._children.close)
        wake, signals = socket.socketpair()
        for end in (wake, signals):
            end.setblocking(False)
            stack.enter_context(end)
        signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, -1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _leave_to_the_loop)
        self._watch(wake, self._on_signals)
        control_path, notes_path = self._run / "supervisor.sock", self._run / "notify.sock"
        requests = stack.enter_context(claims.unix_socket(control_path, socket.SOCK_STREAM))
        requests.listen(128)
        self._watch(requests, self._requests.accept)
        notes = stack.enter_context(claims.unix_socket(notes_path, socket.SOCK_DGRAM))
        notes.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._watch(notes, self._on_note)
        pid_path = self._run / "supervisor.pid"
        pid_path.write_text(f"{os.getpid()}\n", encoding="ascii")
        stack.callback(pid_path.unlink, missing_ok=True)
        log.info("supervisor started, isolation: %s", self._children.level)

    def _listen_for_console(self, stack: contextlib.ExitStack) -> None:
        """Wait for the first visitor; a taken port costs the console, not the platform."""
        try:
            listening = claims.listen(self._settings.bind, self._settings.console_port)
        except Invalid as error:
            log.warning("no console: %s", error)
            return
        self._fixed.console = stack.enter_context(listening)
        self._watch(listening, self._on_visitor)

    def _on_visitor(self, console: socket.socket) -> None:
        if self._drain is None:  # else it is closed
            self._selector.unregister(console)
            self._fixed.due[CONSOLE] = 0.0

    def _watch(self, one: socket.socket, act: Callable[[socket.socket], None]) -> None:
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, act)

    def _step(self) -> None:
        self._fixed.start_due()
        now = time.monotonic()
        times = [
            now + TICK_S,
            *self._fixed.due.values(),
            self._children.next_kill() or now + TICK_S,
        ]
        for key, _ in self._selector.select(max(0.0, min(times) - now)):
            key.data(key.fileobj)
        self._reap()
        self._children.kill_overdue()
        if time.monotonic() - self._last_check >= TICK_S:
            self._last_check = time.monotonic()
            self._children.check_limits()
        self._go_on_draining()

    def _reap(self) -> None:
        for child in self._children.reap():
            if child.spec.name not in self._fixed.commands:
                if child.spec.wake:
                    poke(self._run / "worker.sock", child.spec.wake)
            elif self._drain is None:
                self._start_again(child.spec.name, child.status.exit_code)

    def _start_again(self, name: str, exit_code: int | None) -> None:
        console = self._fixed.console
        if name == CONSOLE and console and exit_code == 0:  # nobody was looking
            self._watch(console, self._on_visitor)
        else:
            self._fixed.ended(name, exit_code)

    def _on_note(self, notes: socket.socket) -> None:
        data, ancillary, _, _ = notes.recvmsg(256, socket.CMSG_SPACE(12))
        if not data.startswith(b"READY") or not ancillary:
            return
        pid, _, _ = peer(ancillary[0][2])
        self._fixed.note_ready(pid)
        if self._is_ready():
            self._requests.release()

    def _is_ready(self) -> bool:
        return self._fixed.is_ready and self._drain is None

    # -- the end

    def _on_signals(self, wake: socket.socket) -> None:
        for number in wake.recv(4096):
            if number != signal.SIGCHLD:
                self._begin_drain(signal.Signals(number).name)

    def _begin_drain(self, why: str) -> None:
        if self._drain is not None:  # asked twice: no more patience
            self._drain = [(prefix, 0.0) for prefix, _ in self._drain]
            for child in self._children.running():
                if child.kill_at is not None:
                    self._children.stop(child.spec.name, 0.0)
            return
        log.info("supervisor ending: %s", why)
        self._children.refuse_forks()
        self._requests.release(NotReady("Farero", "", "Farero is ending"))
        self._fixed.due.clear()
        self._drain = list(DRAIN)
        if listening := self._fixed.listening:
            listening.close()
        if console := self._fixed.console:
            with contextlib.suppress(KeyError):  # a console runs, so nobody waits for a visitor
                self._selector.unregister(console)
            console.close()
            self._fixed.console = None
        for child in self._children.running(GATEWAY):
            self._children.stop(child.spec.name, DRAIN[0][1])

    def _go_on_draining(self) -> None:
        """Stop the next kind of process as soon as the one before it has gone."""
        while self._drain and not self._of_step(self._drain[0][0]):
            del self._drain[0]
            for prefix, grace_s in self._drain[:1]:
                for child in self._of_step(prefix):
                    self._children.stop(child.spec.name, min(grace_s, child.spec.grace_s))

    def _of_step(self, prefix: str) -> list[Child]:
        others = () if prefix else tuple(step for step, _ in DRAIN if step)
        return [c for c in self._children.running(prefix) if not c.spec.name.startswith(others)]

    # -- what is asked over the control socket

    def _do(self, request: Mapping[str, Value]) -> Value:  # noqa: PLR0911, PLR0912 - one line an operation
        """Do one operation of `farero.compute.control.Control` or `LocalCompute`."""
        children = self._children
        match request["op"]:
            case "start":
                if self._drain is not None:
                    raise NotReady("Farero", "", "Farero is ending")
                spec = control.spec_from_wire(request["spec"])
                return control.status_to_wire(children.start(spec))
            case "status":
                return control.status_to_wire(children.status(request["name"]))
            case "list":
                found = children.list(request["prefix"])
                ours = self._fixed.commands
                return [control.status_to_wire(one) for one in found if one.name not in ours]
            case "leaders":
                found = children.leaders(request["prefix"])
                return [one for one in found if one["name"] not in self._fixed.commands]
            case "stop":
                return children.stop(request["name"], request["grace_s"])
            case "forget":
                return children.forget(request["name"])
            case "keep":
                return children.zygotes.keep(map(control.zygote_from_wire, request["zygotes"]))
            case "shutdown":
                return self._begin_drain("asked to")
            case "info":
                return self._info()
            case "wait_ready" if not self._is_ready():
                return Requests.LATER
            case "ping" | "wait_ready":
                return None
            case other:
                raise Invalid(f"no operation {other!r}")

    def _info(self) -> dict[str, Value]:
        pids = {child.spec.name: child.pid for child in self._children.running()}
        host, console = self._settings.host, self._fixed.console
        gateways = [name for name in self._fixed.commands if name.startswith(GATEWAY)]
        return {
            "pid": os.getpid(),
            "url": f"http://{host}:{self._fixed.port}",
            "ready": self._is_ready(),
            "isolation": self._children.level,
            "console": console and f"http://{host}:{console.getsockname()[1]}",
            "gateways": [pids.get(name) for name in gateways],
            "worker": pids.get("worker"),
            "processes": [control.status_to_wire(one) for one in self._children.list()],
        }


def _leave_to_the_loop(_number: int, _frame: FrameType | None) -> None:
    """Let the wake-up descriptor carry the signal's number."""


def preload() -> None:
    """Import what gateways and the worker need, so that each fork has it at once, in memory that all share."""
    with contextlib.suppress(ImportError), standing_in("uvicorn.main", "Server", "main", "run"):
        importlib.import_module("uvicorn")  # without its command line and what starts it again
    with without(("awscrt",)):  # what botocore imports for signatures of several regions
        from farero import processes
    processes.preload()


def run_own(name: str) -> int:
    """Be a gateway, which listens on 3, or the worker; return the exit code."""
    from farero import processes

    return processes.main([name, "--fd", "3"])


def main(arguments: Sequence[str] = ()) -> int:
    """Run a supervisor by the FARERO_… variables. `--bare`: no gateways, no worker, no port."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = read_settings()
        if "--bare" in arguments:
            code = Supervisor(settings, {}).run()
        else:
            code = Supervisor(settings, fixed_commands(settings, run_own), preload).run()
    except Invalid as error:
        sys.stderr.write(f"farero: {error}\n")
        return 1
    if settings.ephemeral:
        shutil.rmtree(settings.data_dir, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
