"""Profiles kept beside the files they were made of: a window that was seen before is merged, not read again.

Each file has its own (`NAME.profile`), and the files of a folder have one together (`.profile`), so that an hour or a
day that is over costs one small read. One holds for this very content (by sizes and times of the files) and this way of
reading it, and for every window that all records lie in; anything else, also a damaged one, is made anew.
"""

from __future__ import annotations

import hashlib
import os
import struct
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from farero_monitor.profile.dataset import FORMAT, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farero_monitor.dataset import Source

END = ".profile"
#: Rows of a file's sample that are kept: those of a window come from several files.
ROWS = 4_000
#: Profiles that outlive their files take no more.
MOST_BYTES = 512 << 20
_LENGTH = struct.Struct(">I")
_LONGEST_HEAD = 4096


class Head(msgspec.Struct, array_like=True):
    """What such a file begins with, after its length. `first` and `last`: times of records, empty where none are."""

    key: bytes
    first: str
    last: str


class Kept(NamedTuple):
    """A profile that holds: its file, and where in it the profile begins."""

    path: Path
    start: int


def place(paths: Sequence[Path], source: Source, wanted: bytes) -> Path:
    """Return where the profile of a file, or of all files of a folder, is kept."""
    if source.kept is not None:
        return source.kept / f"{wanted.hex()[:40]}{END}"
    return paths[0].with_name(END if len(paths) > 1 else f"{paths[0].name}{END}")


def key(paths: Sequence[Path], source: Source, *, windowed: bool) -> bytes:
    """Return what a profile depends on, as 32 bytes; windowed: on the window, too."""
    options = source.options
    script = source.script.read_bytes() if source.script else b""
    parts: list[object] = [
        FORMAT, source.format, source.header, options.names, options.missing, options.output_first,
    ]  # fmt: skip
    if windowed:
        parts += [options.start, options.end]
    for path in paths:
        stat = path.stat()
        name = path.name if source.kept is None else str(path.relative_to(source.path))
        parts.append((name, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode() + script).digest()


def find(paths: Sequence[Path], source: Source) -> Kept | None:
    """Return what is kept of a file or a folder's files, None if nothing holds; reads the head alone."""
    wants = source.options.wants
    for windowed in (False, True):
        try:
            wanted = key(paths, source, windowed=windowed)
            path = place(paths, source, wanted)
            with path.open("rb") as file:
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                head = msgspec.msgpack.decode(file.read(min(length, _LONGEST_HEAD)), type=Head)
        except (OSError, struct.error, msgspec.MsgspecError):
            continue
        inside = windowed or not head.first or (wants(head.first) and wants(head.last))
        if head.key == wanted and inside:
            return Kept(path, _LENGTH.size + length)
    return None


def read(kept: Kept | None) -> Profile | None:
    """Return a kept profile; None if it is damaged or not there."""
    if kept is None:
        return None
    try:
        with kept.path.open("rb") as file:
            file.seek(kept.start)
            return Profile.from_bytes(file.read())
    except (OSError, ValueError):
        return None


def write(paths: Sequence[Path], source: Source, profile: Profile, *, whole: bool) -> None:
    """Keep a profile, whole or not at all; a folder that cannot be written to is left alone.

    whole: it is of all files of a folder, so that runs will judge it as it is, mostly.
    """
    try:
        wanted = key(paths, source, windowed=bool(profile.outside))
        target = place(paths, source, wanted)
        head = msgspec.msgpack.encode(Head(wanted, profile.first, profile.last))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{token_hex(8)}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines((_LENGTH.pack(len(head)), head, profile.to_bytes(numbers=whole)))
        part.replace(target)
    except OSError:
        return


def trim(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove the oldest of the profiles that outlive their files, and what a killed writer left."""
    try:
        found = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    except OSError:  # not there, or trimmed by another run at the same time
        return
    left = sum(stat.st_size for stat, _ in found)
    for stat, path in sorted(found, key=lambda one: one[0].st_mtime_ns):
        if left <= most_bytes:
            return
        path.unlink(missing_ok=True)
        left -= stat.st_size
