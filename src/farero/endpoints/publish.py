"""Data capture, the worker's half: spool files → objects.

A file becomes `<prefix>/<endpoint>/<variant>/<yyyy>/<mm>/<dd>/<HH>/<MM-SS-mmm>-<uuid4>.jsonl` below the destination.
The file's name fixes the object's key, so putting it again replaces the same object: whatever dies when, each
record ends in the bucket exactly once. While its gateway has the file locked the object grows with it; once the lock
is free the file itself becomes the object, without being copied where the file system allows, and loses its name here.
"""

from __future__ import annotations

import fcntl
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero.base.errors import DomainError
from farero.endpoints.capture import TARGET_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.objects.base import ObjectStore

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-ndjson"
#: A file of that size is put not more often than this, for all of it is written each time. Monitoring waits for 5 s
#: until it takes a window's records for complete (`monitoring/runs.py`).
HEAVY_BYTES = 256 * 1024
HEAVY_EVERY_S = 2.5
#: A file that is as large when it is first seen is full soon, and put then without being copied: until then it waits.
SOON_FULL_BYTES = 1024 * 1024
#: Pause after a put that failed, so that a missing bucket costs little.
RETRY_S = 5.0


class _Target(msgspec.Struct):
    bucket: str
    prefix: str
    endpoint: str
    variant: str


@dataclass(slots=True)
class _Published:
    size: int = 0
    #: Until when it is left alone while its gateway has it; None for one that is seen for the first time.
    next_at: float | None = None
    #: Until when it is left alone whoever has it, for a put has failed.
    retry_at: float = 0.0


class CapturePublisher:
    """Moves spooled records into their buckets."""

    def __init__(
        self, spool_dir: Path, objects: ObjectStore, clock: Clock, *, every_s: float = 1.0
    ) -> None:
        self._root = spool_dir / "capture"
        self._objects = objects
        self._clock = clock
        #: Shortest time between two puts of one growing file that is not large.
        self._every_s = every_s
        self._seen: dict[Path, _Published] = {}
        self._failed = 0
        self._torn = 0
        self._last_error = ""

    def publish_due(self) -> int:
        """Put every file that has grown; return how many objects were put."""
        paths = sorted(self._root.glob("*/*.jsonl"))
        for gone in set(self._seen) - set(paths):
            del self._seen[gone]
        return sum(self._publish(path) for path in paths)

    def stats(self) -> dict[str, Any]:
        """Return what waits and what went wrong."""
        waiting = sum(
            max(0, _size(path) - self._seen.get(path, _Published()).size)
            for path in self._root.glob("*/*.jsonl")
        )
        return {
            "waiting_bytes": waiting,
            "failed_puts": self._failed,
            "torn_records": self._torn,
            "last_error": self._last_error,
        }

    def _publish(self, path: Path) -> int:
        state = self._seen.setdefault(path, _Published())
        if self._clock.monotonic() < state.retry_at:
            return 0
        try:
            return self._publish_now(path, state)
        except FileNotFoundError:
            return 0
        except (DomainError, OSError) as error:
            self._fail(path, state, error)
            return 0

    def _publish_now(self, path: Path, state: _Published) -> int:
        with path.open("rb") as file:
            is_final = _try_lock(file.fileno())
            size = os.fstat(file.fileno()).st_size
            if state.next_at is None:
                wait_s = HEAVY_EVERY_S if size >= SOON_FULL_BYTES and not is_final else 0.0
                state.next_at = self._clock.monotonic() + wait_s
            if not is_final and self._clock.monotonic() < state.next_at:
                return 0
            if size == state.size:
                put = torn = 0
            elif is_final and os.pread(file.fileno(), 1, size - 1) == b"\n":
                put, torn = self._put(path, state, path, size), 0
            else:
                body = file.read()
                whole = body[: body.rfind(b"\n") + 1]
                put = self._put(path, state, whole, len(whole)) if len(whole) > state.size else 0
                torn = len(body) - len(whole)
        if is_final:
            if torn:
                self._torn += 1
                log.warning("half-written capture record left out", extra={"file": path.name})
            path.unlink()
            del self._seen[path]
        return put

    def _put(self, path: Path, state: _Published, body: bytes | Path, size: int) -> int:
        target = msgspec.json.decode((path.parent / TARGET_FILE).read_bytes(), type=_Target)
        key = object_key(target.prefix, target.endpoint, target.variant, path.stem)
        put = self._objects.put if isinstance(body, bytes) else self._objects.adopt
        put(target.bucket, key, cast("Any", body), content_type=CONTENT_TYPE)
        state.size = size
        pause_s = max(self._every_s, HEAVY_EVERY_S if size >= HEAVY_BYTES else 0.0)
        state.next_at = self._clock.monotonic() + pause_s
        return 1

    def _fail(self, path: Path, state: _Published, error: Exception) -> None:
        self._failed += 1
        self._last_error = f"{path.parent.name}/{path.name}: {error}"
        state.retry_at = self._clock.monotonic() + RETRY_S
        log.error("captured records not published", extra={"file": path.name, "error": error})


def object_key(prefix: str, endpoint: str, variant: str, stem: str) -> str:
    """Return the key of a spool file's object.

    stem: `yyyy-mm-dd-HH-MM-SS-mmm-<uuid4>`.
    """
    year, month, day, hour, rest = stem.split("-", 4)
    folder = f"{endpoint}/{variant}/{year}/{month}/{day}/{hour}/{rest}.jsonl"
    prefix = prefix.strip("/")
    return f"{prefix}/{folder}" if prefix else folder


def _try_lock(fd: int) -> bool:
    """Take the file's lock; False while its gateway holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
