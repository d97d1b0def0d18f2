"""Profiles kept beside the files they were made of: a window that was seen before is merged, not read again.

Each file has its own (`NAME.profile`), and the files of a folder have one together (`.profile`), so that an hour or a
day that is over costs one small read. One holds for this very content (by sizes and times of the files) and this way of
reading it, and for every window that all records lie in; anything else, also a damaged one, is made anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farero_monitor.profile.dataset import FORMAT, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.dataset import Source

END = ".profile"
#: Rows of a file's sample that are kept: those of a window come from several files.
ROWS = 4_000


class Kept(msgspec.Struct, array_like=True):
    """What stands in such a file. `first` and `last`: times of records, empty where there are none."""

    key: bytes
    first: str
    last: str
    profile: bytes


def beside(paths: Sequence[Path]) -> Path:
    """Return where the profile of a file, or of all files of a folder, is kept."""
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
        parts.append((path.name, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode() + script).digest()


def find(paths: Sequence[Path], source: Source) -> Kept | None:
    """Return what is kept of a file or a folder's files, None if nothing holds."""
    options = source.options
    try:
        kept = msgspec.msgpack.decode(beside(paths).read_bytes(), type=Kept)
        if kept.key == key(paths, source, windowed=False):
            inside = options.wants(kept.first) and options.wants(kept.last) if kept.first else True
            return kept if inside else None
        return kept if kept.key == key(paths, source, windowed=True) else None
    except (OSError, msgspec.MsgspecError):
        return None


def read(kept: Kept | None) -> Profile | None:
    """Return a kept profile; None if it is damaged or not there."""
    try:
        return Profile.from_bytes(kept.profile) if kept is not None else None
    except ValueError:
        return None


def write(paths: Sequence[Path], source: Source, profile: Profile) -> None:
    """Keep a profile, whole or not at all; a folder that cannot be written to is left alone."""
    target = beside(paths)
    try:
        content = Kept(
            key(paths, source, windowed=bool(profile.outside)),
            profile.first, profile.last, profile.to_bytes(),
        )  # fmt: skip
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.msgpack.encode(content))
        Path(name).replace(target)
    except OSError:
        return
