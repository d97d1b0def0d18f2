"""A profile kept beside the file it was made of: a window that was seen before is merged, not read again.

It holds for this very content (by size and time of the file) and this way of reading it; anything else, also a damaged
one, is made anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from farero_monitor.profile.dataset import FORMAT, Profile

if TYPE_CHECKING:
    from farero_monitor.dataset import Source

END = ".profile"


def beside(path: Path) -> Path:
    """Return where the profile of a file is kept."""
    return path.with_name(f"{path.name}{END}")


def key(path: Path, source: Source) -> bytes:
    """Return what the profile depends on, as 32 bytes."""
    stat, options = path.stat(), source.options
    script = source.script.read_bytes() if source.script else b""
    parts = [
        FORMAT, stat.st_size, stat.st_mtime_ns, source.format, source.header, options.names,
        options.start, options.end, options.missing, options.output_first,
    ]  # fmt: skip
    return hashlib.sha256(repr(parts).encode() + script).digest()


def read(path: Path, source: Source) -> Profile | None:
    """Return the kept profile of a file, None if there is none that holds."""
    try:
        content = beside(path).read_bytes()
        if content[:32] != key(path, source):
            return None
        return Profile.from_bytes(content[32:])
    except (OSError, ValueError):
        return None


def write(path: Path, source: Source, profile: Profile) -> None:
    """Keep a file's profile, whole or not at all; a folder that cannot be written to is left alone."""
    target = beside(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(key(path, source) + profile.to_bytes())
        Path(name).replace(target)
    except OSError:
        return
