"""Reading an object: its files one after another as one seekable stream, checked as they are read."""

from __future__ import annotations

import bisect
import io
import itertools
from typing import TYPE_CHECKING

from farero.objects import checksums
from farero.objects.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from _typeshed import WriteableBuffer

    from farero.objects.files import Files
    from farero.records.objects import Segment

PIECE_BYTES = 512 * 1024
MOST_OPEN = 256


class SegmentReader(io.RawIOBase):
    """The bytes of some files in a row, as one read-only file.

    Up to 256 files are opened at once, so that deleting the object meanwhile disturbs no reader; of a longer row
    each file is opened when it is reached. Raises FileNotFoundError if a file is gone.
    """

    def __init__(self, files: Files, segments: Sequence[Segment]) -> None:
        super().__init__()
        self._opened = _Opened(files, segments)
        self._starts = [0, *itertools.accumulate(segment.size_bytes for segment in segments)]
        self._position = 0

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        return self._starts[-1]

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move; positions past the end read as empty."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer from one file at most."""
        if self._position >= self.size_bytes:
            return 0
        index = bisect.bisect_right(self._starts, self._position) - 1
        room = memoryview(buffer).cast("B")
        count = min(self._starts[index + 1] - self._position, len(room))
        file = self._opened.get(index)
        file.seek(self._position - self._starts[index])
        data = file.read(count)
        room[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close every file."""
        # Without `_opened` a file was gone at the beginning: Python closes what is half made, too.
        if not self.closed and hasattr(self, "_opened"):
            self._opened.close()
        super().close()


def pieces(
    files: Files, segments: Sequence[Segment], start: int, stop: int, *, size: int = PIECE_BYTES
) -> Iterator[bytes]:
    """Yield the bytes from `start` up to `stop`; a file read whole is checked before its last piece leaves.

    Files are opened before the first piece, as SegmentReader does. Raises FileNotFoundError, Damaged.
    """
    wanted = list(_cut(segments, start, stop))
    return _read(wanted, _Opened(files, [segment for segment, _, _ in wanted]), size)


class _Opened:
    """The open files of a row of segments; a short row wholly, of a long one the file in use."""

    def __init__(self, files: Files, segments: Sequence[Segment]) -> None:
        self._files = files
        self._segments = segments
        self._open: dict[int, BinaryIO] = {}
        self._is_short = len(segments) <= MOST_OPEN
        try:
            for index in range(len(segments) if self._is_short else 1):
                self._open[index] = files.open(segments[index].file_id)
        except BaseException:
            self.close()
            raise

    def get(self, index: int) -> BinaryIO:
        """Return one file, at any position."""
        if index not in self._open:
            if not self._is_short:
                self.close()
            self._open[index] = self._files.open(self._segments[index].file_id)
        return self._open[index]

    def close(self) -> None:
        """Close them all."""
        for file in self._open.values():
            file.close()
        self._open.clear()


def _read(wanted: list[tuple[Segment, int, int]], opened: _Opened, size: int) -> Iterator[bytes]:
    try:
        for index, (segment, begin, end) in enumerate(wanted):
            is_whole = begin == 0 and end == segment.size_bytes
            digest = checksums.new("CRC64NVME") if is_whole else None
            file = opened.get(index)
            file.seek(begin)
            left = end - begin
            while left:
                piece = file.read(min(size, left))
                left -= len(piece)
                if not piece or (digest and not _is_sound(digest, piece, left, segment)):
                    raise Damaged(segment.file_id)
                yield piece
    finally:
        opened.close()


def _is_sound(digest: checksums.Digest, piece: bytes, left: int, segment: Segment) -> bool:
    digest.update(piece)
    return left > 0 or checksums.encode(digest.digest()) == segment.crc64


def _cut(segments: Sequence[Segment], start: int, stop: int) -> Iterator[tuple[Segment, int, int]]:
    offset = 0
    for segment in segments:
        begin, end = max(start - offset, 0), min(stop - offset, segment.size_bytes)
        if begin < end:
            yield segment, begin, end
        offset += segment.size_bytes
