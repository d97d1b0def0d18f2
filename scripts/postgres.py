"""Start a throw-away PostgreSQL from the machine's own package and run the store suite against it.

Tests use `serve()` too. PostgreSQL refuses to run as root, so root starts it as the package's own user.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

PLACES = "/usr/lib/postgresql"


def find_binaries() -> Path | None:
    """Return the folder with initdb and pg_ctl, or None when PostgreSQL is not on this machine."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    candidates = sorted(Path(PLACES).glob("*/bin/initdb")) if Path(PLACES).exists() else []
    return candidates[-1].parent if candidates else None


@contextlib.contextmanager
def serve() -> Generator[str]:
    """Run a fresh server on a free loopback port; yields its SQLAlchemy URL, stops it at the end."""
    binaries = find_binaries()
    if binaries is None:
        raise FileNotFoundError(
            "PostgreSQL is not installed; on Debian: apt-get install postgresql"
        )
    folder = Path(tempfile.mkdtemp(prefix="farero-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = str(folder / "data")
    try:
        _as_server(str(binaries / "initdb"), "-D", data, "-U", "farero", "-A", "trust", "-E", "UTF8",
                   "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        port = _free_port()  # not before initdb, which takes its time
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        )
        _as_server(
            str(binaries / "pg_ctl"),
            "-D",
            data,
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            options,
            "start",
        )
        yield f"postgresql+psycopg://farero@127.0.0.1:{port}/postgres"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            _as_server(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _as_server(*argv: str) -> None:
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir(), **user)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    with serve() as url:
        print(f"PostgreSQL at {url}", flush=True)
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", "tests/store", "tests/work", *sys.argv[1:]],
                                check=False, env={**os.environ, "FARERO_TEST_DATABASE": url}).returncode)  # fmt: skip
