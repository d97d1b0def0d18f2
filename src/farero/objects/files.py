"""Object bodies as files named by random id: written aside, synced, renamed into place, never changed afterwards.

A writer holds a shared lock on its file until the SQL row that names it is committed. So a sweep can tell a file that
is being born from one whose writer died, while other processes go on working, without looking at any clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
from typing import TYPE_CHECKING, BinaryIO

from farero.base.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

ID_LENGTH = 32
_SWEEP_BATCH = 256


class CannotShare(Exception):  # noqa: N818 - a fact about the file system
    """The file cannot have a further name; its bytes must be copied."""


class Files:
    """The folder of object files; `root/a/b/ab…` after the id's first two hex digits."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "tmp"
        self._known: set[Path] = set()

    def create(self) -> tuple[str, BinaryIO]:
        """Begin a new file; return its id and the file, open for writing and locked against sweeps."""
        self._make(self._temporary)
        while True:
            file_id = secrets.token_hex(ID_LENGTH // 2)
            file = (self._temporary / file_id).open("xb")
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink:
                return file_id, file
            file.close()  # a sweep was quicker than our lock

    def adopt(self, path: Path) -> tuple[str, BinaryIO]:
        """Take in a finished file that nobody will change, without copying; return its id and the file, as `create`.

        The file keeps its own name. Raises FileNotFoundError, or CannotShare where it cannot have another one.
        """
        self._make(self._temporary)
        file_id = secrets.token_hex(ID_LENGTH // 2)
        file = path.open("rb")
        try:
            fcntl.flock(file, fcntl.LOCK_SH)  # before it has a name that a sweep may find
            os.link(path, self._temporary / file_id)
        except OSError as error:
            file.close()
            if isinstance(error, FileNotFoundError):
                raise
            raise CannotShare from error
        return file_id, file

    def settle(self, file_id: str, file: BinaryIO) -> None:
        """Make a written file durable under its final name; the caller closes it after the SQL commit."""
        file.flush()
        os.fsync(file.fileno())
        path = self.path(file_id)
        self._make(path.parent)
        (self._temporary / file_id).rename(path)
        _sync_folder(path.parent)

    @contextlib.contextmanager
    def shared(self, file_id: str) -> Generator[str]:
        """Give the same bytes a second id without copying them; the block commits the row that names it.

        Raises FileNotFoundError, or CannotShare where the file system has no (more) hard links.
        """
        new_id = secrets.token_hex(ID_LENGTH // 2)
        path = self.path(new_id)
        self._make(path.parent)
        with self.path(file_id).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                os.link(self.path(file_id), path)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise CannotShare from error
            _sync_folder(path.parent)
            try:
                yield new_id
            except DomainError:
                self.remove([new_id])
                raise

    def open(self, file_id: str) -> BinaryIO:
        """Open a settled file for reading. Raises FileNotFoundError."""
        return self.path(file_id).open("rb")

    def remove(self, file_ids: Iterable[str]) -> None:
        """Unlink files, settled or not; those that are gone already do not matter."""
        for file_id in file_ids:
            for path in (self.path(file_id), self._temporary / file_id):
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    # The row is gone already; the next sweep tries again.
                    log.warning("object file not removed", extra={"path": str(path)}, exc_info=True)

    def path(self, file_id: str) -> Path:
        """Return where a settled file lies."""
        return self._root / file_id[0] / file_id[1] / file_id

    def sweep(self, find_wanted: Callable[[], set[str]]) -> int:
        """Remove every file that no row names and no living writer holds; return how many.

        find_wanted: returns the ids that SQL knows; called before and again after locking, because a writer may commit
            in between.
        """
        present = list(self._all_paths())
        if not present:
            return 0
        wanted = find_wanted()
        orphans = [path for path in present if path.name not in wanted]
        removed = 0
        for start in range(0, len(orphans), _SWEEP_BATCH):
            removed += _remove_unheld(orphans[start : start + _SWEEP_BATCH], find_wanted)
        return removed

    def _all_paths(self) -> Iterator[Path]:
        for path in self._root.glob("?/?/*"):
            if len(path.name) == ID_LENGTH:
                yield path
        if self._temporary.is_dir():
            yield from self._temporary.iterdir()

    def _make(self, folder: Path) -> None:
        if folder in self._known:
            return
        missing = [
            folder,
            *(p for p in folder.parents if p == self._root or self._root in p.parents),
        ]
        for path in reversed(missing):
            if not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                _sync_folder(path.parent)
        self._known.add(folder)


def _remove_unheld(paths: list[Path], find_wanted: Callable[[], set[str]]) -> int:
    with contextlib.ExitStack() as stack:
        locked: list[Path] = []
        for path in paths:
            try:
                file = stack.enter_context(path.open("rb"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, FileNotFoundError):
                continue
            locked.append(path)
        if not locked:
            return 0
        wanted = find_wanted()
        gone = [path for path in locked if path.name not in wanted]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
