"""Where data lies: files below a folder, plain or gzipped, and blocks of whole lines in them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TypeVar, cast

import msgspec

from farero_monitor.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farero_monitor.profile.dataset import Unread

T = TypeVar("T")
Format = Literal["csv", "parquet", "json", "capture"]

BLOCK = 8 << 20
#: Work for one process at a time: a file is cut into so many parts, of about a block at least and of PART at the most.
#: What the last one at work takes longer than the others is time that they wait.
PARTS = 16
PART = 32 << 20
#: Below this starting processes costs more than it gains.
WORTH_PROCESSES = 24 << 20
#: A longer line is counted as unreadable.
LONGEST_LINE = 64 << 20
_FORMATS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "json", ".json": "json",
}  # fmt: skip
#: Ends of names that are never data.
NOT_DATA = (".profile", ".crc", ".manifest", ".metadata")


class NoDataError(AnalysisError):
    """There is nothing to read; the text says where."""


def find(source: Path) -> list[Path]:
    """Return a file, or all files below a folder in order of their names; raises NoDataError."""
    if source.is_file():
        return [source]
    found = sorted(
        path
        for path in source.rglob("*")
        if path.is_file() and not path.name.startswith((".", "_")) and path.suffix not in NOT_DATA
    )
    if not found:
        problem = "is empty" if source.is_dir() else "does not exist"
        raise NoDataError(f"{source} {problem}.")
    return found


def part_size(size: int) -> int:
    """Return how many bytes of a file of so many are worth a part of its own."""
    return min(PART, max(BLOCK, size // PARTS))


def format_of(source: Path) -> Format:
    """Tell the format of a file, or of the first one below a folder; raises NoDataError."""
    first = find(source)[0]
    found = _FORMATS.get(Path(first.name.removesuffix(".gz")).suffix.lower(), "csv")
    if found == "json":
        with open_plain(first) as file:
            return "capture" if b'"captureData"' in file.read(4096) else "json"
    return found


def is_gzip(path: Path) -> bool:
    """Tell by the first bytes whether a file is gzipped."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_plain(path: Path) -> IO[bytes]:
    """Open a file, unpacked if it is gzipped."""
    return cast("IO[bytes]", gzip.open(path)) if is_gzip(path) else path.open("rb")


def blocks(
    path: Path, start: int, end: int | None, unread: Unread, *, quoted: bool = False
) -> Iterator[bytes]:
    """Yield the lines that begin at or after byte `start` and before `end`, several MB at a time.

    quoted: a newline between double quotes does not end a line; `start` must then be the start of a line.
    """
    with open_plain(path) as file:
        if start:
            file.seek(start - 1)
            file.readline()
        left = b""
        at = file.tell()
        while end is None or at < end:
            size = BLOCK if end is None else min(BLOCK, end - at)
            read = file.read(size)
            at += len(read)
            if not read:
                break
            if end is not None and at >= end and not read.endswith(b"\n"):
                rest = file.readline()  # the line that crosses the end is ours
                read += rest
                at += len(rest)
            left += read
            if len(left) > LONGEST_LINE and b"\n" not in left:
                unread.add(
                    path.name, f"byte {at - len(left)}", f"a line of over {LONGEST_LINE >> 20} MB"
                )
                left = b""
                _skip_line(file)
                at = file.tell()
                continue
            cut = _cut(left, quoted=quoted)
            if cut:
                yield left[:cut]
                left = left[cut:]
        if left:
            yield left if left.endswith(b"\n") else left + b"\n"


def lines_before(path: Path, start: int) -> int:
    """Return how many lines of a file stand before those that `blocks` yields from byte `start` on."""
    if not start:
        return 0
    count, left = 0, start - 1
    with open_plain(path) as file:
        while left and (read := file.read(min(BLOCK, left))):
            count += read.count(b"\n")
            left -= len(read)
        return count + bool(file.readline())


def documents(
    path: Path, decode: Callable[[bytes], T], unread: Unread, what: str
) -> Iterator[tuple[int, bytes, T]]:
    """Yield number, text and content of each line of JSON; one that cannot be read goes into `unread` as `what`."""
    line = 0
    for block in blocks(path, 0, None, unread):
        yield from documents_of(block, decode, unread, what, path.name, line)
        line += block.count(b"\n")


def documents_of(  # noqa: PLR0913, PLR0917
    block: bytes, decode: Callable[[bytes], T], unread: Unread, what: str, file: str, line: int
) -> Iterator[tuple[int, bytes, T]]:
    """Do the same with a block of whole lines; line: how many of the file come before it."""
    for text in block.split(b"\n"):
        line += 1
        if not text.strip():
            continue
        try:
            found = decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            unread.add(file, f"line {line}", f"{what}: {error}")
            continue
        yield line, text, found


def _cut(text: bytes, *, quoted: bool) -> int:
    """Return where the last whole line of a text ends; 0 if there is none."""
    cut = text.rfind(b"\n") + 1
    if quoted and b'"' in text:
        while cut and text.count(b'"', 0, cut) % 2:
            cut = text.rfind(b"\n", 0, cut - 1) + 1
    return cut


def _skip_line(file: IO[bytes]) -> None:
    while (read := file.readline(BLOCK)) and not read.endswith(b"\n"):
        pass
