"""Processes that share the parts of a data set: this one, and others that are fed over pipes.

The others are forks where nothing but this thread runs yet: a program of the analyzer's own, which has just imported
what reading takes. Elsewhere they are fresh interpreters. Not `multiprocessing`: forking is not safe beside the threads
of a notebook, and spawning runs the caller's main module again, which a script without a guard does not survive.

Who is free takes the next task by reading its number from a file whose place all of them share, so nobody waits until
another process finds the time to hand him one.
"""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import signal
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

from farero_monitor.errors import AnalysisError
from farero_monitor.readers import files

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from farero_monitor.dataset import Task
    from farero_monitor.profile.dataset import Profile

#: What is sent: of a task its number; of an answer whether it is a profile, its number and its length.
_NUMBER = struct.Struct(">I")
_ANSWER = struct.Struct(">?IQ")
_LENGTH = struct.Struct(">Q")
#: Where a fresh interpreter finds its tasks, their numbers, and the pipe for its answers.
_TOLD, _ANSWERED, _NUMBERS = 0, 1, 3
#: An answer fits into the pipe, so that a process can go on before this one finds the time to read it.
_PIPE = 1 << 20


class WorkerDiedError(AnalysisError):
    """A process ended in the middle of its work, for instance for want of memory."""


@dataclass(slots=True)
class _Other:
    """Another process, what it is told by, and what it answers by."""

    pid: int
    tasks: IO[bytes]
    answers: IO[bytes]
    reader: threading.Thread | None = None

    def code(self) -> int:
        """Wait until it has ended, and leave it to be cleared away; its code, or the signal below zero."""
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def end(self) -> None:
        """End it, if it is still there."""
        os.kill(self.pid, signal.SIGKILL)
        if self.reader is not None:
            self.reader.join()  # its pipe has ended
        os.waitpid(self.pid, 0)
        with suppress(OSError):  # what it has not read
            self.tasks.close()
        self.answers.close()


class Workers:
    """So many processes at work, the caller's among them; a context manager.

    alone: this process belongs to the analyzer, and may be forked while nothing else runs in it.
    """

    def __init__(self, count: int, *, alone: bool = False) -> None:
        self.count = count
        #: Numbers of the tasks that nobody has taken yet.
        self._numbers = os.memfd_create("farero-tasks")
        self._made: dict[int, Profile | Exception] = {}
        self._told = threading.Condition()
        self._here: threading.Thread | None = None
        self._others: list[_Other] = []
        start = _fork if alone and _only_thread() else _spawn
        for _ in range(count - 1):
            other = start(self._numbers, self._others)
            with suppress(OSError):  # all pipes of a user are of a limited size
                fcntl.fcntl(other.answers, fcntl.F_SETPIPE_SZ, _PIPE)
            self._others.append(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._numbers, 0)
        for other in self._others:
            other.end()
        if self._here is not None:
            self._here.join()
        os.close(self._numbers)

    def begin(self, tasks: Sequence[Task]) -> Iterator[Profile]:
        """Have tasks done, once; return the iterator of their profiles, in order. Errors of a task are raised there."""
        os.pwrite(self._numbers, b"".join(map(_NUMBER.pack, range(len(tasks)))), 0)
        content = pickle.dumps(tasks)
        content = _LENGTH.pack(len(content)) + content
        for other in self._others:
            with suppress(OSError):  # it is not there any more, as reading its answers then tells
                other.tasks.write(content)
                other.tasks.flush()
            other.reader = threading.Thread(target=self._read, args=(other, len(tasks)))
            other.reader.start()
        self._here = threading.Thread(target=self._work, args=(tasks,))
        self._here.start()
        return self._answers(len(tasks))

    def _answers(self, count: int) -> Iterator[Profile]:
        for number in range(count):
            with self._told:
                self._told.wait_for(lambda number=number: number in self._made)
                made = self._made.pop(number)
            if isinstance(made, Exception):
                raise made
            yield made

    def _settle(self, number: int, made: Profile | Exception) -> None:
        with self._told:
            self._made[number] = made
            self._told.notify_all()

    def _work(self, tasks: Sequence[Task]) -> None:
        """Work in this process until nothing is left."""
        for number, made in _done(tasks, self._numbers):
            self._settle(number, made)

    def _read(self, other: _Other, count: int) -> None:
        """Take the answers of another process until it ends."""
        from farero_monitor.profile.dataset import Profile

        while (head := _read(other.answers, _ANSWER.size)) is not None:
            good, number, length = _ANSWER.unpack(head)
            content = _read(other.answers, length)
            if content is None:
                break
            try:
                made = Profile.from_bytes(content) if good else pickle.loads(content)  # noqa: S301 - our own child's
            except Exception as error:  # noqa: BLE001 - raised where the result is asked for
                made = error
            self._settle(number, made)
        if code := other.code():
            # which of the tasks were its own is not known, but nobody will answer them
            died = WorkerDiedError(f"a process that read the data ended with code {code}")
            with self._told:
                self._made = dict.fromkeys(range(count), died) | self._made
                self._told.notify_all()


@contextmanager
def ahead(data: Path, count: int | None) -> Generator[Workers | None]:
    """Start the processes that a data set is worth, before this one does anything else; None if it is worth none.

    For programs whose process belongs to the analyzer alone. data: a file or a folder. count: processes; by default one
    for each core. Raises NoDataError.
    """
    sizes = [path.stat().st_size for path in files.find(data)]
    parts = sum(max(1, size // files.part_size(size)) for size in sizes)
    count = min(count or len(os.sched_getaffinity(0)), parts)
    if count < 2 or sum(sizes) < files.WORTH_PROCESSES:
        yield None
        return
    import_all()
    with Workers(count, alone=True) as pool:
        yield pool


def import_all() -> None:
    """Import what reading takes, for whoever is forked from here."""
    import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
    from farero_monitor import dataset
    from farero_monitor.readers import capture, flat, scripts
    from farero_monitor.untyped import arrow_csv, pa, pc

    _ = dataset, capture, flat, scripts, pa.array, pc.cast, arrow_csv.read_csv


def _only_thread() -> bool:
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208


def _fork(numbers: int, others: Sequence[_Other]) -> _Other:
    """Start a process as a fork of this one."""
    pipes = told, tell, answered, answer = *os.pipe(), *os.pipe()
    gc.freeze()  # what is there stays shared: nobody looks through it any more
    pid = os.fork()
    if pid:
        return _of_pipes(pid, *pipes)
    code = 1
    try:
        for end in (tell, answered, *(p.fileno() for o in others for p in (o.tasks, o.answers))):
            os.close(end)
        os.dup2(2, 1)  # what a script prints is nothing that this program prints
        _serve(told, answer, numbers)
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001 - a fork must never go on as the program it was forked from
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


def _spawn(numbers: int, others: Sequence[_Other]) -> _Other:
    """Start a process as a fresh interpreter, which inherits nothing that is not named here."""
    _ = others
    pipes = told, *_, answer = *os.pipe(), *os.pipe()
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "farero_monitor.workers"], environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, end, place)
            for end, place in ((told, _TOLD), (answer, _ANSWERED), (numbers, _NUMBERS))
        ],
    )  # fmt: skip
    return _of_pipes(pid, *pipes)


def _of_pipes(pid: int, told: int, tell: int, answered: int, answer: int) -> _Other:
    os.close(told)
    os.close(answer)
    return _Other(pid, os.fdopen(tell, "wb"), os.fdopen(answered, "rb"))


def _serve(told: int, answer: int, numbers: int) -> None:
    """Do the tasks that come by a pipe until none is left."""
    with (
        suppress(BrokenPipeError),  # the one who asked is not there any more
        os.fdopen(told, "rb") as given, os.fdopen(answer, "wb") as answers,
    ):  # fmt: skip
        head = _read(given, _LENGTH.size)
        content = None if head is None else _read(given, *_LENGTH.unpack(head))
        if content is None:
            return
        tasks: list[Task] = pickle.loads(content)  # noqa: S301 - our own parent wrote it
        for number, made in _done(tasks, numbers):
            good = not isinstance(made, Exception)
            found = made.to_bytes() if good else pickle.dumps(made)
            answers.write(_ANSWER.pack(good, number, len(found)))
            answers.write(found)
            answers.flush()


def _done(tasks: Sequence[Task], numbers: int) -> Iterator[tuple[int, Profile | Exception]]:
    """Do the next task that nobody has taken, until none is left; yield its number and what was made of it."""
    from farero_monitor.dataset import profile_parts

    while len(read := os.read(numbers, _NUMBER.size)) == _NUMBER.size:
        number = int.from_bytes(read, "big")
        try:
            made = profile_parts(tasks[number])
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            made = error
        yield number, made


def _read(stream: IO[bytes], length: int) -> bytes | None:
    """Read so much; None if the stream ends before."""
    content = stream.read(length)
    return content if len(content) == length else None


def main() -> None:
    """Work as a fresh interpreter. What a script prints must not get between the answers."""
    told, answer, numbers = (os.dup(end) for end in (_TOLD, _ANSWERED, _NUMBERS))
    os.dup2(2, 1)
    import_all()
    _serve(told, answer, numbers)


if __name__ == "__main__":
    main()
