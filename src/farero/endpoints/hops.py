"""The connection of one gateway to one replica: not there yet, open, or lost and tried again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.endpoints.frames import FramedConnection, ReplicaLost

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Hop:
    """The connection to one replica."""

    socket_path: str
    connection: FramedConnection | None = None
    #: Tries to connect.
    task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether requests can be sent."""
        return self.connection is not None and self.connection.is_open

    @property
    def is_busy(self) -> bool:
        """Say whether requests wait for their answers."""
        return self.connection is not None and self.connection.in_flight > 0

    def close(self) -> None:
        """Close, and try no more."""
        if self.connection is not None:
            self.connection.close()
        if self.task is not None:
            self.task.cancel()


async def connect(
    socket_path: str, new_connection: Callable[[], FramedConnection]
) -> FramedConnection:
    """Connect and see /ping answered: a process that is dying may still take connections for a moment.

    Raises OSError or ReplicaLost.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_unix_connection(new_connection, socket_path)
    try:
        reply = await connection.request("/ping", {}, b"")
    except BaseException:
        connection.close()
        raise
    if reply.status != 200:
        connection.close()
        raise ReplicaLost(f"/ping answered {reply.status}")
    return connection
