"""Processes that profile parts of a data set: this one, and fresh interpreters that are fed over pipes.

Not `multiprocessing`: forking is not safe beside the threads of pyarrow and BLAS, and spawning runs the caller's main
module again, which a notebook or a script without a guard does not survive.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Self

from farero_monitor.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farero_monitor.dataset import Part, Source
    from farero_monitor.profile.dataset import Profile

    #: What to profile, and the rows of its sample.
    Task = tuple[Source, Part, int]

_LENGTH = struct.Struct(">Q")


class WorkerDiedError(AnalysisError):
    """A process ended in the middle of its work, for instance for want of memory."""


class Workers:
    """So many processes at work, the caller's among them; a context manager."""

    def __init__(self, count: int) -> None:
        environ = os.environ | {
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "ARROW_NUM_THREADS": "1",
        }
        environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._threads = ThreadPoolExecutor(count)
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        self._all = [
            subprocess.Popen(
                [sys.executable, "-m", "farero_monitor.workers"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ,
            )
            for _ in range(count - 1)
        ]  # fmt: skip
        for process in (None, *self._all):
            self._free.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.kill()
            process.communicate()

    def map(self, tasks: Sequence[Task]) -> Iterator[Profile]:
        """Yield the profile of each task in their order; an error of a task is raised here."""
        return self._threads.map(self._one, tasks)

    def _one(self, task: Task) -> Profile:
        from farero_monitor.dataset import profile_part
        from farero_monitor.profile.dataset import Profile

        process = self._free.get()
        try:
            if process is None:
                return profile_part(*task)
            answer = ask(process, pickle.dumps(task))
        finally:
            self._free.put(process)
        ok, result = pickle.loads(answer)  # noqa: S301 - our own child wrote it
        if not ok:
            raise result
        return Profile.from_bytes(result)


def ask(process: subprocess.Popen[bytes], task: bytes) -> bytes:
    """Give a process a task and return its answer; raises WorkerDiedError."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        send(process.stdin, task)
        answer = receive(process.stdout)
    except OSError as error:
        raise WorkerDiedError(str(error)) from error
    if answer is None:
        raise WorkerDiedError(f"a process that read the data ended with code {process.wait()}")
    return answer


def send(stream: IO[bytes], content: bytes) -> None:
    """Write one message."""
    stream.write(_LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def main() -> None:
    """Work until the pipe ends. What a script prints must not get between the messages."""
    answers, tasks = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)
    import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
    from farero_monitor.dataset import profile_part

    while (content := receive(tasks)) is not None:
        try:
            answer: tuple[bool, Any] = (True, profile_part(*pickle.loads(content)).to_bytes())  # noqa: S301 - our own parent
        except Exception as error:  # noqa: BLE001 - raised again by the parent
            answer = (False, error)
        send(answers, pickle.dumps(answer))


if __name__ == "__main__":
    main()
