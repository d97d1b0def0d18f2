"""That a replica was killed for its memory: noted by the supervisor beforehand, told to who waits for the answer."""

from __future__ import annotations

from pathlib import Path


def path_of(socket_path: str) -> Path:
    """Return the path of the file in which a replica's end for its memory is noted."""
    return Path(f"{socket_path}.oom")


def read(socket_path: str, *, since: float) -> str:
    """Say in the user's words that a replica was killed for its memory after `since` (Unix time); "" if it was not."""
    path = path_of(socket_path)
    try:
        if path.stat().st_mtime < since:
            return ""
        used, limit = (int(number) >> 20 for number in path.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return ""
    return (
        f"The model process used {used:,} MB while it worked on this request, more than its MemorySizeInMB of "
        f"{limit:,} allows, and was ended (E-OOM); so it was when the request was tried again. Send less at a time, "
        "use a smaller model or raise MemorySizeInMB."
    )
