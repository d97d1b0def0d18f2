"""The supervisor's end of the control socket: one JSON line in, one out, a connection each; nothing blocks."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import socket
import struct
from typing import TYPE_CHECKING

from farero.base.errors import DomainError, Invalid, NotReady
from farero.compute import control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farero.compute.control import Value

log = logging.getLogger(__name__)

#: A client that does not read its answer is dropped after that.
ANSWER_WITHIN_S = 1.0


class Requests:
    """Reads requests and hands each to `do`, which returns the result or raises a domain error.

    `do` may return `LATER`: the client then waits until `release`.
    """

    LATER = object()

    def __init__(
        self,
        selector: selectors.BaseSelector,
        do: Callable[[Mapping[str, Value]], Value],
        is_refused: Callable[[int], bool],
    ) -> None:
        """is_refused: says of a pid whether it may not ask, whoever its user is."""
        self._selector = selector
        self._do = do
        self._is_refused = is_refused
        self._waiting: list[socket.socket] = []

    def accept(self, listening: socket.socket) -> None:
        """Take a connection of this user or of root; anybody else's is closed."""
        try:
            connection, _ = listening.accept()
        except OSError as error:  # gone already, or no descriptor is free
            log.warning("control socket: %s", error)
            return
        pid, uid, _ = peer(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()) or self._is_refused(pid):
            log.warning("control socket: process %d of user %d refused", pid, uid)
            connection.close()
            return
        connection.setblocking(False)
        received = bytearray()

        def on_readable(connection: socket.socket) -> None:
            self._read(connection, received)

        self._selector.register(connection, selectors.EVENT_READ, on_readable)

    def release(self, error: DomainError | None = None) -> None:
        """Answer all who wait: with no result, or with `error`."""
        answer = control.error_to_wire(error) if error else {"result": None}
        while self._waiting:
            _answer(self._waiting.pop(), answer)

    def _read(self, connection: socket.socket, received: bytearray) -> None:
        try:
            chunk = connection.recv(65536)
        except OSError:
            chunk = b""
        received += chunk
        if chunk and not chunk.endswith(b"\n") and len(received) < control.LINE_LIMIT:
            return
        self._selector.unregister(connection)
        if not received.endswith(b"\n"):
            connection.close()
            return
        try:
            result = self._do(json.loads(received))
        except DomainError as error:
            _answer(connection, control.error_to_wire(error))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _answer(connection, control.error_to_wire(Invalid(f"not a request: {error!r}")))
        except OSError as error:  # no more processes, no more memory
            _answer(connection, control.error_to_wire(NotReady("supervisor", "", str(error))))
        else:
            if result is Requests.LATER:
                self._waiting.append(connection)
            else:
                _answer(connection, {"result": result})


def peer(credentials: bytes) -> tuple[int, int, int]:
    """Return pid, uid and gid of a `struct ucred` that the kernel has filled in (unix(7))."""
    return struct.unpack("3i", credentials[:12])


def _answer(connection: socket.socket, answer: Mapping[str, Value]) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(ANSWER_WITHIN_S)
        connection.sendall(json.dumps(answer).encode() + b"\n")
