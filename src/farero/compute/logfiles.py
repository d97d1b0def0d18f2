"""The files that children write their output into: directly, and never more than a limit.

A child holds the file open for appending, so it may be cut short under its hands: its next write goes to the new end.
Whoever follows such a file notices a cut by a size below its own position.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES = 100_000_000
#: What stays of the end of a file that is cut: the last words are the ones that matter.
KEPT_BYTES = 64 * 1024


def open_for(path: Path) -> int:
    """Open `path` for appending, making its folder; readable by the owner alone. Raises Invalid if it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Invalid(f"cannot write the log {path}: {error.strerror}") from error


def cut(path: Path, *, limit: int = LIMIT_BYTES) -> int:
    """Shorten a file above `limit` to its last whole lines, with a line that says so; return the bytes dropped."""
    try:
        size = path.stat().st_size
        if size <= limit:
            return 0
        with path.open("r+b") as file:
            file.seek(size - KEPT_BYTES)
            end = file.read()
            end = end[end.find(b"\n") + 1 :]
            dropped = size - len(end)
            file.truncate(0)
        # Appended, as the child does: what it writes meanwhile is not overwritten.
        with path.open("ab", buffering=0) as file:
            file.write(b"farero: dropped %d bytes of output\n" % dropped + end)
    except OSError:  # a full disk or a removed file: looked at again in half a second
        return 0
    return dropped
