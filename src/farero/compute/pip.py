"""Run pip on an environment that has none of its own: line by line, with a deadline, and with a clean environment."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

OPTIONS = (
    *("--disable-pip-version-check", "--no-input", "--progress-bar=off"),
    *("--retries=1", "--timeout=15", "--no-warn-script-location"),
)
#: Variables that pip and the builds it starts may see; credentials of the platform are not among them.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CC", "CXX", "CFLAGS", "LDFLAGS"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
#: What urllib3 and pip say when there is no way to the package index.
NO_NETWORK = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "ProxyError",
    "Read timed out",
)


class PipFailed(Exception):  # noqa: N818 - said as it is
    """pip ended with an error; `output` is all it said, `timed_out` that it was ended by us."""

    def __init__(self, output: str, *, timed_out: bool) -> None:
        self.output = output
        self.timed_out = timed_out
        super().__init__(output[-500:])

    @property
    def is_offline(self) -> bool:
        """Whether the package index could not be reached."""
        return any(sign in self.output for sign in NO_NETWORK)


def install(
    python: Path,
    arguments: Sequence[str],
    *,
    cwd: Path,
    limit_s: float,
    on_line: Callable[[str], None],
) -> None:
    """Install into the environment of `python`; `on_line` gets each line of output as it comes.

    Blocks. Raises PipFailed.
    """
    command = [sys.executable, "-m", "pip", "--python", os.fspath(python), "install", *OPTIONS]
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    options = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    with subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env={**passed, **options, "PYTHONUNBUFFERED": "1"},
        process_group=0,  # its builds end with it, and the session tells whose they are
    ) as process:
        try:
            lines, in_time = _follow(process, limit_s, on_line)
        finally:
            if process.poll() is None:
                _kill(process)
    if process.returncode != 0:
        raise PipFailed("\n".join(lines), timed_out=not in_time)


def _follow(
    process: subprocess.Popen[bytes], limit_s: float, on_line: Callable[[str], None]
) -> tuple[list[str], bool]:
    """Pass lines on until the output ends (and wait for the end) or time is up; False if it is."""
    assert process.stdout is not None
    clock = SystemClock()
    deadline = clock.monotonic() + limit_s
    lines: list[str] = []
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - clock.monotonic()) > 0:
            if not selector.select(left):
                break
            if not (chunk := os.read(process.stdout.fileno(), 65536)):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - clock.monotonic()))
                    return lines, True
                break
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                lines.append(line.decode(errors="replace").rstrip())
                on_line(lines[-1])
    return lines, False


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
