"""An object's bytes before a row names them: a file that grows piece by piece, or one that is there already."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from farero.base.errors import DomainError
from farero.objects import checksums
from farero.objects.errors import BadDigest
from farero.objects.reading import PIECE_BYTES
from farero.records.objects import Segment

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from farero.objects.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes that lie settled in their file and wait for a row that names them."""

    segment: Segment
    #: MD5 in hex for an object put whole.
    etag: str
    #: By algorithm, base64.
    checksums: dict[str, str]


class NewFile(ABC):
    """A file whose id no row names yet. `seal` it and commit its row within `committing`, or `abort` at any time.

    Every method blocks; calls must not overlap.
    """

    def __init__(self, files: Files, begun: tuple[str, BinaryIO]) -> None:
        self._files = files
        self._file_id, self._file = begun

    @abstractmethod
    def seal(self) -> Blob:
        """Make the bytes durable under their final name."""

    @contextlib.contextmanager
    def aborting(self) -> Generator[None]:
        """Throw the bytes away if the block fails."""
        try:
            yield
        except BaseException:
            self.abort()
            raise

    @contextlib.contextmanager
    def committing(self) -> Generator[None]:
        """Let go of the file when the block, which commits its row, ends.

        If the block is refused the bytes are thrown away. If it fails in any other way the row may or may not have been
        committed, so the file stays and the next sweep decides.
        """
        try:
            yield
        except DomainError:
            self.abort()
            raise
        finally:
            self._file.close()

    def abort(self) -> None:
        """Throw the bytes away."""
        self._file.close()
        self._files.remove([self._file_id])


class AdoptedFile(NewFile):
    """A finished file that becomes an object without being copied; its etag is no MD5."""

    def __init__(self, files: Files, path: Path) -> None:
        """Raises FileNotFoundError, or CannotShare where it must be copied."""
        super().__init__(files, files.adopt(path))

    def seal(self) -> Blob:
        """Make the bytes durable under their final name."""
        digest, size_bytes = checksums.new("CRC64NVME"), 0
        while piece := self._file.read(PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
        crc64 = checksums.encode(digest.digest())
        self._files.settle(self._file_id, self._file)
        segment = Segment(file_id=self._file_id, size_bytes=size_bytes, crc64=crc64)
        etag = checksums.opaque_etag(self._file_id)
        return Blob(segment=segment, etag=etag, checksums={"CRC64NVME": crc64})


class ObjectWriter(NewFile):
    """One that is fed by `write`. CRC64NVME and MD5 are always computed."""

    def __init__(self, files: Files, algorithms: Iterable[str] = ()) -> None:
        self._digests = {name: checksums.new(name) for name in {*algorithms, "CRC64NVME"}}
        super().__init__(files, files.create())  # last: an unknown algorithm leaves no file
        self._md5 = checksums.md5()
        self._blob: Blob | None = None
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append a piece."""
        self._file.write(data)
        self._md5.update(data)
        for digest in self._digests.values():
            digest.update(data)
        self.size_bytes += len(data)

    def seal(self) -> Blob:
        """Make the bytes durable under their final name; later calls return the same."""
        if self._blob is None:
            values = {name: checksums.encode(d.digest()) for name, d in self._digests.items()}
            self._files.settle(self._file_id, self._file)
            segment = Segment(
                file_id=self._file_id, size_bytes=self.size_bytes, crc64=values["CRC64NVME"]
            )
            self._blob = Blob(segment=segment, etag=self._md5.digest().hex(), checksums=values)
        return self._blob

    def check(self, announced: Mapping[str, str]) -> None:
        """Compare with checksums the client announced, by algorithm or `Content-MD5`, base64.

        Raises BadDigest for the first that differs. An algorithm that was not begun with is an error of the caller.
        """
        for name, value in announced.items():
            digest = self._md5 if name == "Content-MD5" else self._digests[name]
            computed = checksums.encode(digest.digest())
            if computed != value:
                raise BadDigest(name, announced=value, computed=computed)
