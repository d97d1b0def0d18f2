"""What only one process may hold: the lock of a data directory, a TCP port, the path of a Unix socket."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock
from farero.base.errors import Invalid
from farero.compute import processes

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

#: The children of a supervisor that was killed hold its port for a moment.
BIND_WITHIN_S = 0.5
BACKLOG = 1024
#: `sockaddr_un` holds 108 bytes with the closing zero (unix(7)).
LONGEST_SOCKET_PATH = 107
#: Of the sockets below a run directory: a replica's, whose id has twelve letters.
LONGEST_NAME = "r/000000000000.sock"


@contextlib.contextmanager
def hold_lock(path: Path) -> Generator[None]:
    """Hold the lock file, with this process's pid in it. Raises Invalid, naming the holder, if it is taken."""
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = f"another Farero (pid {file.read().strip()})"
            raise Invalid(f"{path.parent.parent} is in use by {holder}") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen. Raises Invalid, naming who holds the port, if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    clock = SystemClock()
    deadline = clock.monotonic() + BIND_WITHIN_S
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if clock.monotonic() > deadline:
                holder = processes.port_holder(port)
                by = f"taken by {holder}" if holder else f"not free ({error.strerror})"
                advice = "stop it, or choose another port: farero up --port N"
                raise Invalid(f"port {port} is {by}; {advice}") from error
        clock.sleep(0.02)


def check_depth(data_dir: Path, run_dir: Path) -> None:
    """Raise Invalid if a replica's socket below `run_dir` would have a longer path than the system allows."""
    too_long = len(os.fsencode(run_dir / LONGEST_NAME)) - LONGEST_SOCKET_PATH
    if too_long > 0:
        raise Invalid(
            f"the path {data_dir} is {too_long} bytes too long for the Unix sockets in it; "
            "choose a shorter FARERO_DATA_DIR"
        )


@contextlib.contextmanager
def unix_socket(path: Path, kind: int) -> Generator[socket.socket]:
    """Bind a Unix socket that the owner alone may use, in place of one left behind; remove it at the end."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise Invalid(f"{path} is too long for a Unix socket; choose a shorter FARERO_DATA_DIR")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.bind(os.fspath(path))
        path.chmod(0o600)
        try:
            yield one
        finally:
            path.unlink(missing_ok=True)
