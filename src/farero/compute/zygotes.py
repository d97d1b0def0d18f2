"""Processes forked from one that has imported what they need: milliseconds in place of seconds. Used by `Children`.

A zygote is a child like any other; it is asked over a socket pair with the descriptors of an order, of the output
and of a socket on which the fork answers. Nothing here waits for it. Who gets no answer, because the zygote has died
or hangs, is run as a fresh process; so a zygote can only make things quicker.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.compute import enter, logfiles
from farero.records.compute import ProcessSpec, Zygote

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

#: What the names of all zygotes begin with.
PREFIX = "zygote/"
#: Importing a large framework on a busy machine may take that long; who waits longer gets a fresh process.
ANSWER_WITHIN_S = 60.0
#: So long once it has forked something: then it imports no more.
ANSWER_AGAIN_WITHIN_S = 5.0
#: A zygote that died before it forked anything is not started again for so long.
AGAIN_AFTER_S = 30.0
#: A zygote that is not wanted is left for so long: whoever asked for it may not have said so yet.
UNWANTED_FOR_S = 60.0


@dataclass(slots=True, kw_only=True)
class Asked:
    """A process that a zygote shall fork and has not yet."""

    spec: ProcessSpec
    zygote: str
    #: Our end of the socket on which the fork answers.
    talk: socket.socket
    since: float
    started_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class _Running:
    zygote: Zygote
    channel: socket.socket
    since: float
    has_forked: bool = False


class Zygotes:
    """Every zygote of one supervisor, and who waits for a fork."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        start: Callable[[ProcessSpec, int], object],
        stop: Callable[[str], object],
        adopt: Callable[[Asked, int], object],
        fall_back: Callable[[Asked], object],
    ) -> None:
        """start, stop: run and end a zygote's process; adopt: take a fork as a child; fall_back: run it afresh."""
        self._selector = selector
        self._start, self._stop = start, stop
        self._adopt, self._fall_back = adopt, fall_back
        self._running: dict[str, _Running] = {}
        self._wanted: dict[str, Zygote] = {}
        #: Monotonic time before which one that failed is left alone.
        self._not_before: dict[str, float] = {}
        #: Who waits, by the name of its process.
        self.asked: dict[str, Asked] = {}
        self._is_open = True

    def ask(self, spec: ProcessSpec, now: dt.datetime) -> bool:
        """Have `spec` forked, starting its zygote on first need; False if it must be run afresh."""
        zygote = spec.zygote
        if zygote is None or not self._ensure(zygote):
            return False
        running = self._running[zygote.name]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                _send(running.channel, spec, theirs)
        except OSError as error:
            log.warning("zygote cannot be asked: %s", error, extra={"zygote": zygote.name})
            ours.close()
            return False
        asked = Asked(
            spec=spec, zygote=zygote.name, talk=ours, since=time.monotonic(), started_at=now
        )
        self.asked[spec.name] = asked
        ours.setblocking(False)

        def on_readable(_talk: socket.socket) -> None:
            self._answered(asked)

        self._selector.register(ours, selectors.EVENT_READ, on_readable)
        return True

    def cancel(self, name: str) -> Asked | None:
        """Let go of a fork that is not there yet; a late one ends by itself."""
        asked = self.asked.pop(name, None)
        if asked is not None:
            self._selector.unregister(asked.talk)
            asked.talk.close()
        return asked

    def keep(self, zygotes: Iterable[Zygote]) -> None:
        """Have these ready and end all others that nobody waits for."""
        self._wanted = {zygote.name: zygote for zygote in zygotes}
        for zygote in self._wanted.values():
            self._ensure(zygote)
        busy = {asked.zygote for asked in self.asked.values()} | self._wanted.keys()
        for name, running in list(self._running.items()):
            if name not in busy and time.monotonic() - running.since > UNWANTED_FOR_S:
                log.info("zygote not needed any more", extra={"zygote": name})
                self._stop(name)

    def check(self) -> None:
        """Stop waiting for forks that do not come, and start what is wanted and has died."""
        now = time.monotonic()
        for asked in list(self.asked.values()):
            running = self._running.get(asked.zygote)
            has_forked = running is not None and running.has_forked
            if now - asked.since > (ANSWER_AGAIN_WITHIN_S if has_forked else ANSWER_WITHIN_S):
                log.warning("zygote does not answer; killed", extra={"zygote": asked.zygote})
                self._stop(asked.zygote)
                self._give_up(asked)
        for zygote in self._wanted.values():
            self._ensure(zygote)

    def ended(self, name: str) -> None:
        """Hear that a zygote's process has ended; forks that it still owes are run afresh when their sockets close."""
        running = self._running.pop(name, None)
        if running is None:
            return
        running.channel.close()
        if not running.has_forked:
            self._not_before[name] = time.monotonic() + AGAIN_AFTER_S

    def close(self) -> list[Asked]:
        """Ask for nothing more and let everybody go who waits; return them."""
        self._is_open = False
        return [asked for name in list(self.asked) if (asked := self.cancel(name))]

    def _ensure(self, zygote: Zygote) -> bool:
        """Start a zygote unless it runs; False if it cannot be now."""
        if not self._is_open or self._not_before.get(zygote.name, 0.0) > time.monotonic():
            return False
        if zygote.name in self._running:
            return True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        spec = ProcessSpec(
            name=zygote.name,
            argv=zygote.argv,
            env=zygote.env,
            cwd=zygote.log_path.parent,
            log_path=zygote.log_path,
            grace_s=1.0,
        )
        try:
            with theirs:
                self._start(spec, theirs.fileno())
        except (OSError, Invalid) as error:
            log.warning("zygote cannot start: %s", error, extra={"zygote": zygote.name})
            ours.close()
            self._not_before[zygote.name] = time.monotonic() + AGAIN_AFTER_S
            return False
        self._running[zygote.name] = _Running(zygote=zygote, channel=ours, since=time.monotonic())
        return True

    def _answered(self, asked: Asked) -> None:
        try:
            data = asked.talk.recv(256)
        except OSError:
            data = b""
        if not data.isdigit():
            self._give_up(asked)
            return
        if running := self._running.get(asked.zygote):
            running.has_forked = True
        del self.asked[asked.spec.name]
        self._selector.unregister(asked.talk)
        with asked.talk:
            self._adopt(asked, int(data))

    def _give_up(self, asked: Asked) -> None:
        log.warning("no fork; a fresh process", extra={"name_of_process": asked.spec.name})
        self.cancel(asked.spec.name)
        self._fall_back(asked)


def go(talk: socket.socket, namespaces: list[int], within_s: float) -> str:
    """Let a fork enter its namespaces and begin; return "" when it has, else what is wrong."""
    try:
        talk.setblocking(True)
        socket.send_fds(talk, [b"go"], namespaces)
        talk.settimeout(within_s)
        return talk.recv(4096).decode(errors="replace")
    except TimeoutError:
        return ""  # it may be stuck in a mount; it is not waited for
    except OSError as error:
        return f"farero: a forked process has gone: {error}"


def _send(channel: socket.socket, spec: ProcessSpec, talk: socket.socket) -> None:
    """Send what a fork shall become (a file in memory: any size will do), with its output and its socket."""
    output = logfiles.open_for(spec.log_path)
    order = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        text = json.dumps(
            {
                "argv": list(spec.argv),
                "env": dict(spec.env),
                "cwd": os.fspath(spec.cwd),
                "capabilities": sorted(enter.KEPT_CAPABILITIES) if os.geteuid() == 0 else [],
                "open_files": enter.OPEN_FILES,
            }
        )
        with open(order, "wb", closefd=False) as file:
            file.write(text.encode())
        socket.send_fds(channel, [b"fork"], [order, output, talk.fileno()])
    finally:
        os.close(order)
        os.close(output)
