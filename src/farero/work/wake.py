"""How the worker hears at once that there is something to do: a Unix datagram socket.

A datagram is empty ("look at the queue") or "KIND KEY" ("put this item": a process ended, a replica became ready; the
kind `tick` wakes the tick of that name).
Losing one costs time, never work: the worker looks at the queue twice a second anyway.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MESSAGE_LIMIT = 1024
TICK = "tick"


def poke(path: Path, message: str = "") -> None:
    """Send `message` to the worker, if one listens; never blocks, never fails."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        contextlib.suppress(OSError),
    ):
        sender.setblocking(False)
        sender.sendto(message.encode(), os.fspath(path))


class WakeSocket:
    """The worker's end."""

    def __init__(self, path: Path, put: Callable[[str, str], None]) -> None:
        self._path = path
        self._put = put
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(os.fspath(path))
        path.chmod(0o600)
        self._socket.setblocking(False)
        self._stop_read, self._stop_write = os.pipe()

    def wait(self, seconds: float) -> bool:
        """Block until a datagram comes or time is up, putting what it asks for; False once stopped."""
        ready, _, _ = select.select([self._socket, self._stop_read], [], [], seconds)
        if self._stop_read in ready:
            return False
        if ready:
            self._drain()
        return True

    def stop(self) -> None:
        """Make `wait` return False from now on; safe in a signal handler."""
        os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                kind, _, key = self._socket.recv(MESSAGE_LIMIT).decode().partition(" ")
                if kind and key:
                    self._put(kind, key)
