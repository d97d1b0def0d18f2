"""Unpack a model.tar.gz from strangers: everything or nothing, and nothing outside the target folder.

Files are created through descriptors of their folders, never through a path, with O_NOFOLLOW and O_EXCL, in a new
folder beside the target which takes the target's name at the end. A link within the archive becomes a copy of its file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from farero_container.tarstream import CHUNK, BadArchive, Limits, TarStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farero_container.tarstream import Entry

#: Archives up to this size are read once before the first file is written: 100,000 files in 2 MB are
#: counted in seconds, while creating them takes a slow disk a minute.
READ_FIRST_BYTES = 16_000_000
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackReport:
    """What was unpacked."""

    files: int
    bytes: int


def unpack(
    archive: Path, target: Path, limits: Limits | None = None, *, allow_plain: bool = False
) -> UnpackReport:
    """Unpack into a new folder. Raises BadArchive or OSError; then nothing is left behind."""
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} exists and is not empty")
    limits = limits or Limits()
    if archive.stat().st_size <= READ_FIRST_BYTES:
        for _ in TarStream(archive, limits, allow_plain=allow_plain).entries():
            pass
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with _Folder(scratch, limits) as folder:
            report = folder.fill(TarStream(archive, limits, allow_plain=allow_plain))
        scratch.chmod(0o755)
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return report


class _Folder:
    """The folder that is being filled, with the way down to the one used last kept open."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._limits = limits
        #: Descriptors of the root and of each folder on the way to `_path`.
        self._open = [os.open(root, _FOLDER_FLAGS)]
        self._path: tuple[str, ...] = ()
        self._files = 0
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._open:
            os.close(folder)

    def fill(self, stream: TarStream) -> UnpackReport:
        """Create what the stream yields; links last, when every file is there."""
        links: dict[tuple[str, ...], tuple[str, ...]] = {}
        modes: dict[tuple[str, ...], int] = {}
        for entry in stream.entries():
            if entry.kind == "folder":
                self._enter(entry.path)
            elif entry.kind == "link":
                links[entry.path] = entry.target
            else:
                modes[entry.path] = _mode(entry)
                self._create(entry.path, modes[entry.path], stream.chunks())
        for path in links:
            source = resolve(path, links, modes)
            self._create(path, modes[source], self._content(source))
        if not self._files:
            raise BadArchive("E-TAR-EMPTY", "the archive holds folders only, no files")
        return UnpackReport(files=self._files, bytes=self._bytes)

    def _create(self, path: tuple[str, ...], mode: int, chunks: Iterator[bytes]) -> None:
        file = os.open(path[-1], _CREATE_FLAGS, mode, dir_fd=self._enter(path[:-1]))
        with open(file, "wb", buffering=0) as out:  # noqa: PTH123 - a descriptor, not a path
            for chunk in chunks:
                self._bytes += len(chunk)
                if self._bytes > self._limits.total_bytes:
                    raise BadArchive(
                        "E-TAR-BOMB",
                        f"the archive holds more than {self._limits.total_bytes:,} bytes",
                    )
                out.write(chunk)
            os.fchmod(file, mode)
        self._files += 1

    def _content(self, path: tuple[str, ...]) -> Iterator[bytes]:
        file = os.open(
            path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._enter(path[:-1])
        )
        with open(file, "rb", buffering=0) as source:  # noqa: PTH123 - a descriptor, not a path
            while chunk := source.read(CHUNK):
                yield chunk

    def _enter(self, path: tuple[str, ...]) -> int:
        """Return the descriptor of a folder, made if it is not there; valid until the next call."""
        if self._path != path:
            pairs = enumerate(zip(self._path, path, strict=False))
            shared = next(
                (n for n, (old, new) in pairs if old != new), min(len(self._path), len(path))
            )
            while len(self._open) > shared + 1:
                os.close(self._open.pop())
            for part in path[shared:]:
                self._open.append(_open_or_make(part, self._open[-1]))
            self._path = path
        return self._open[-1]


def resolve(
    path: tuple[str, ...],
    links: Mapping[tuple[str, ...], tuple[str, ...]],
    files: Mapping[tuple[str, ...], object],
) -> tuple[str, ...]:
    """Return the file that a link stands for, through other links. Raises BadArchive if there is none."""
    found = path
    for _ in range(len(links) + 1):
        if found in files:
            return found
        if found not in links:
            break
        found = links[found]
    name = "/".join(path)
    raise BadArchive(
        "E-TAR-UNSAFE", f"'{name}' is a link to '{'/'.join(links[path])}', which is no file of the archive",
        fix="Pack the file itself; tar's option -h does so.",
    )  # fmt: skip


def _open_or_make(name: str, parent: int) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent)
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        os.fchmod(folder, 0o755)
        return folder


def _mode(entry: Entry) -> int:
    return 0o755 if entry.is_executable else 0o644
