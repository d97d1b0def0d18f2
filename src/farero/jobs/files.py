"""Files that a job reads and leaves. What it left may be a link to anything: links are not followed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: More of a failure or message file than this is never read.
LIMIT_BYTES = 64 * 1024


def machine_memory_bytes() -> int:
    """Return how much memory there is."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def read_text(path: Path, limit: int = LIMIT_BYTES) -> str:
    """Return the end of a file, empty if there is none."""
    return _read_end(path, limit).decode("utf-8", "replace")


def _read_end(path: Path, limit: int) -> bytes:
    """Return the end of a file, b"" if there is none. A link is none: the job could point it at the platform's keys."""
    try:
        with open(path, "rb", opener=_open_no_link) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read(limit)
    except OSError:
        return b""


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None if there is none."""
    try:
        value: object = json.loads(read_text(path))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] - read with get()
