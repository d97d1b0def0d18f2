"""Run a program as a child: its output is ours as it comes, SIGTERM goes on to it, the end of its stderr is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from farero_container.contract import StartUpError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The end of stderr that is kept to find the reason in.
TAIL_BYTES = 65536
#: How long to wait for the rest of stderr, which a child of the program may hold open for ever.
REST_S = 2


def run(argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run `argv` in `folder`; return its exit code, negative for a signal, and the end of its stderr.

    Raises StartUpError if it cannot be started. Handles SIGTERM from then on, by passing it on.
    """
    waiting: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        early.append(number)
        for process in waiting:
            process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    reads, writes = os.pipe()
    try:
        process = subprocess.Popen(argv, cwd=folder, env=env, stderr=writes)
    except OSError as error:
        os.close(reads)
        raise StartUpError(
            "E-CLIENT", f"{argv[0]} cannot be run: {error.strerror}", file=Path(argv[0]).name
        ) from error
    finally:
        os.close(writes)
    waiting.append(process)
    for number in early:
        process.send_signal(number)
    tail = bytearray()
    reader = threading.Thread(target=_copy, args=(reads, tail), daemon=True)
    reader.start()
    exit_code = process.wait()
    reader.join(REST_S)
    return exit_code, bytes(tail).decode("utf-8", "replace")


def _copy(source: int, tail: bytearray) -> None:
    # By descriptors alone: a thread that is left behind must not hold a lock of sys.stderr when we end.
    target = sys.stderr.fileno()
    while chunk := os.read(source, TAIL_BYTES):
        tail += chunk
        del tail[:-TAIL_BYTES]
        while chunk:
            chunk = chunk[os.write(target, chunk) :]
