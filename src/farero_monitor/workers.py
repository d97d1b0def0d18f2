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
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self

from farero_monitor.errors import AnalysisError
from farero_monitor.readers import files

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

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
        #: What nobody has taken yet.
        self._left: deque[tuple[Task, Future[Profile]]] = deque()
        self._all = [
            subprocess.Popen(
                [sys.executable, "-m", "farero_monitor.workers"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ,
            )
            for _ in range(count - 1)
        ]  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.kill()
            process.communicate()

    def map(self, tasks: Sequence[Task]) -> Iterator[Profile]:
        """Yield the profile of each task in their order; an error of a task is raised here."""
        made: deque[Future[Profile]] = deque(Future() for _ in tasks)
        self._left.extend(zip(tasks, made, strict=True))
        for process in self._all:
            self._threads.submit(self._there, process)
        self._threads.submit(self._here)
        while made:
            yield made.popleft().result()  # nothing is kept of it here

    def _take(self) -> tuple[Task, Future[Profile]] | None:
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def _here(self) -> None:
        """Work in this process until nothing is left."""
        from farero_monitor.dataset import profile_part

        while (taken := self._take()) is not None:
            task, future = taken
            _settle(future, lambda task=task: profile_part(*task))

    def _there(self, process: subprocess.Popen[bytes]) -> None:
        """Let another process work until nothing is left.

        It has its next task before the answer to the last one is read: this process, which works too, may be slow to
        read it. But of the last ones nobody has a second while others have none: they would wait for it at the end.
        """
        given: deque[Future[Profile]] = deque()
        while True:
            while not given or (len(given) < 2 and len(self._left) > 2 * (1 + len(self._all))):
                if (taken := self._take()) is None:
                    break
                task, future = taken
                given.append(future)
                if not give(process, task):
                    break
            if not given:
                return
            _settle(given.popleft(), lambda: answer_of(process))


@contextmanager
def ahead(data: Path, count: int | None) -> Generator[Workers | None]:
    """Start the processes that a data set is worth, so that they are ready when this one is; None if it is worth none.

    data: a file or a folder. count: processes; by default one for each core. Raises NoDataError.
    """
    sizes = [path.stat().st_size for path in files.find(data)]
    parts = sum(max(1, size // files.part_size(size)) for size in sizes)
    count = min(count or len(os.sched_getaffinity(0)), parts)
    if count < 2 or sum(sizes) < files.WORTH_PROCESSES:
        yield None
        return
    with Workers(count) as pool:
        yield pool


def _settle(future: Future[Profile], work: Callable[[], Profile]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)


def give(process: subprocess.Popen[bytes], task: Task) -> bool:
    """Send a task to a process; False if it is not there any more, as reading its answer then tells."""
    assert process.stdin is not None
    try:
        send(process.stdin, pickle.dumps(task))
    except OSError:
        return False
    return True


def answer_of(process: subprocess.Popen[bytes]) -> Profile:
    """Return a process's answer to its oldest task; raises WorkerDiedError, and what the task raised."""
    from farero_monitor.profile.dataset import Profile

    assert process.stdout is not None
    answer = receive(process.stdout)
    if answer is None:
        raise WorkerDiedError(f"a process that read the data ended with code {process.wait()}")
    ok, result = pickle.loads(answer)  # noqa: S301 - our own child wrote it
    if not ok:
        raise result
    return Profile.from_bytes(result)


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
