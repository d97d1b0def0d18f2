"""A server as a process of its own: started, waited for until its first right answer, ended with all it started."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import signal
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.serving import load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

START_LIMIT_S = 90.0
#: Predictions are float32, and one library may add in another order than the next.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server that answers."""

    pid: int
    #: From its start to its first right answer.
    start_s: float


@contextlib.contextmanager
def process(argv: list[str], environ: Mapping[str, str], folder: Path) -> Generator[int]:
    """Run a command in `folder` until the block ends; then end it and all its descendants."""
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(
            argv, cwd=folder, env=dict(environ), stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield child.pid
    finally:
        family = load.tree(child.pid)
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
        for pid in family:
            if load.cpu_seconds([pid]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        child.wait()


def first_answer(
    ask: Callable[[], list[float] | None],
    expected: tuple[float, ...],
    pid: int,
    *,
    limit_s: float = START_LIMIT_S,
) -> None:
    """Ask until the server answers; compare its numbers with the model's own. Raises Failed."""
    limit = time.monotonic() + limit_s
    why: Exception | None = None
    while time.monotonic() < limit:
        if not load.is_alive(pid):
            raise load.Failed("it ended while it started")
        try:
            said = ask()
        except (OSError, http.client.HTTPException, NotReady) as error:
            why = error
            time.sleep(0.02)
            continue
        if said is not None:
            check(said, expected)
        return
    raise load.Failed(f"no answer within {limit_s:.0f} s: {why}")


def check(said: list[float], expected: tuple[float, ...]) -> None:
    """Raise Failed if what a server said is not what the model says."""
    if len(said) != len(expected) or not all(
        math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        for one, other in zip(said, expected, strict=True)
    ):
        raise load.Failed(f"it answers {said[:4]}, the model {list(expected[:4])}")


class NotReady(Exception):  # noqa: N818 - a status, not a fault
    """A server answered something else than 200."""


def post(url: str, body: bytes, headers: Mapping[str, str]) -> object:
    """Return the JSON that a server answers. Raises OSError, HTTPException or NotReady."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request("POST", parts.path, body, dict(headers))
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise NotReady(f"{answer.status}: {said[:300]!r}")
    return json.loads(said)
