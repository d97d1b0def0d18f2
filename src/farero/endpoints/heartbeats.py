"""Finds replicas that are there but answer nothing: stopped, stuck in native code, or without their socket.

One connection a replica is kept, with one /ping under way; nobody waits for it here. A model that is busy does not
count as hanging: the model server answers /ping beside it, and ends by itself when one request takes too long
(`farero_container/serve/watchdog.py`).
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farero.base.clock import Clock

_PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ANSWER_LIMIT = 64 * 1024


@dataclass(slots=True)
class _Beat:
    """The /ping that is under way."""

    connection: socket.socket | None = None
    #: When it was sent, or first tried; None once it was answered.
    since: float | None = None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Heartbeats:
    """The pings of every replica that is in service; any thread may call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, _Beat] = {}
        self._lock = threading.Lock()

    def silence_s(self, process_name: str, socket_path: str) -> float:
        """Return for how long the replica has left /ping unanswered, and ask again if it has not."""
        with self._lock:
            beat = self._beats.setdefault(process_name, _Beat())
            now = self._clock.monotonic()
            if beat.connection is not None and _has_answered(beat):
                beat.since = None
            if beat.since is None or beat.connection is None:
                beat.since = now if beat.since is None else beat.since
                _send(beat, socket_path)
            return now - beat.since

    def forget(self, process_name: str) -> None:
        """Close the connection to a replica that is no more."""
        with self._lock:
            beat = self._beats.pop(process_name, None)
            if beat is not None:
                beat.close()

    def close(self) -> None:
        """Close every connection."""
        for name in list(self._beats):
            self.forget(name)


def _has_answered(beat: _Beat) -> bool:
    assert beat.connection is not None
    try:
        answer = beat.connection.recv(_ANSWER_LIMIT)
    except BlockingIOError:
        return False
    except OSError:
        answer = b""
    if not answer:
        beat.close()
    return bool(answer)


def _send(beat: _Beat, socket_path: str) -> None:
    """Send a /ping; a replica that takes no connection, or no byte, is asked again the next time."""
    try:
        if beat.connection is None:
            beat.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            beat.connection.setblocking(False)
            beat.connection.connect(socket_path)
        beat.connection.send(_PING)
    except OSError:
        beat.close()
