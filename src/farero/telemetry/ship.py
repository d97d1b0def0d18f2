"""Process output becomes log events: files are tailed, and each byte is taken exactly once.

The offset moves in the transaction that inserts the lines, so a crash repeats or loses nothing. A file is followed by a
row, so following survives a restart. A line without an end waits for it until the file is finished.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.records.telemetry import FollowedFile, NewLogEvent
from farero.store import log_files as files
from farero.store import logs as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.telemetry import LogGroup, LogStream
    from farero.store.engine import Store
    from farero.telemetry.filter_apply import MetricFilters

    #: Reads new events in the transaction that stores them: group, stream, events.
    Reader = Callable[[Connection, str, str, Sequence[NewLogEvent]], object]

log = logging.getLogger(__name__)

#: CloudWatch takes events up to this size; a longer line is cut into several.
EVENT_BYTES = 256 * 1024 - rows.OVERHEAD_BYTES
#: One look takes at most this much of one file, so that the next file waits a moment only.
READ_BYTES = 1024 * 1024
#: A file may go on growing this fast; with more than a few such files, they share four times as much.
FLOOD_BYTES_PER_S = 1024 * 1024
_FLOODS_AT_FULL_SPEED = 4
#: What comes at once is shipped at once up to this size …
BURST_BYTES = 10 * 1024 * 1024
#: … and what waits beyond it up to this size is shipped as fast as the limit allows. The rest is dropped,
BACKLOG_BYTES = 8 * 1024 * 1024
#: but for its newest lines: the last words are the ones that matter.
KEPT_BYTES = 1024 * 1024
#: One line says what was dropped in this time.
DROP_EVERY_S = 5.0
#: What is known of followed files is read anew at least this often, whoever changes it.
RELOAD_EVERY_S = 5.0
#: Smaller portions are not worth a transaction.
_PORTION_BYTES = 64 * 1024
#: First line of a file that compute/logfiles.py has cut.
_CUT_MARKER = re.compile(rb"farero: dropped (\d+) bytes of output\n")
_CONTROL = re.compile(r"[\x01-\x08\x09\x0b\x0c\x0e-\x1f]")


@dataclass(slots=True)
class _Flow:
    """How much of one file may be shipped: a bucket that fills at the flood limit."""

    tokens: float
    filled_at: float
    dropped_at: float = float("-inf")

    @property
    def is_flood(self) -> bool:
        """Say whether the file has grown above the limit for a while."""
        return self.tokens < BURST_BYTES / 2


class LogShipper:
    """Tails files into streams."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        filters: MetricFilters | None = None,
        *,
        reader: Reader | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._filters = filters
        self._reader = reader
        self._flows: dict[str, _Flow] = {}
        #: What is followed, as it was last read: most files do not grow for a long time.
        self._followed: list[FollowedFile] = []
        self._reload_at = float("-inf")
        #: The line at the head of each file that says how it was cut, as last seen.
        self._cuts: dict[str, bytes | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def follow(
        self, path: Path | str, group: str, stream: str, *, escapes_tabs: bool = False
    ) -> None:
        """Ship what is and will be in the file; following it twice is following it once.

        escapes_tabs: show a tab as `#011`, as SageMaker's training logs do in CloudWatch.
        """
        file = FollowedFile(
            path=str(path), group=group, stream=stream, offset=0, escapes_tabs=escapes_tabs
        )
        with self._store.begin() as db:
            self._stream(db, file)
            files.put_file(db, file)
        self._reload()

    def finish(self, path: Path | str) -> None:
        """Ship all that is left, also a last line without an end, and follow the file no longer.

        For a process that has ended. A file that is not followed is no error.
        """
        key = str(path)
        with self._lock(key):
            while self._ship(key, last=True):
                pass
            with self._store.begin() as db:
                files.delete_file(db, key)
        self._reload()
        self._forget(key)

    unfollow = finish

    def ship_due(self) -> int:
        """Look once at every followed file; return how many bytes were taken."""
        now = self._clock.monotonic()
        if now >= self._reload_at:
            self._reload_at = now + RELOAD_EVERY_S  # in this order: it may change meanwhile
            with self._store.read() as db:
                self._followed = files.list_files(db)
        taken = 0
        waiting = [
            (abs((_size(file.path) or 0) - file.offset), file.path) for file in self._followed
        ]
        # The quiet ones first: a flood keeps nobody waiting.
        for size, path in sorted(waiting):
            if not size:
                continue
            with self._lock(path):
                taken += self._ship(path, last=False)
        if taken:
            self._reload()
        return taken

    def _reload(self) -> None:
        """Have the next look read what is followed, and up to where."""
        self._reload_at = float("-inf")

    def _ship(self, path: str, *, last: bool) -> int:
        """Take one portion of the file in one transaction; return its size, 0 when nothing could be taken."""
        size = _size(path)
        if size is None:
            return 0
        with self._store.begin() as db:
            file = files.find_file(db, path)
            # An empty file is one that is being cut: its last lines come back in a moment.
            if file is None or size in (0, file.offset):
                return 0
            cut = _CUT_MARKER.match(_read(path, 0, limit=64))
            seen = self._cuts.setdefault(path, cut and cut[0])
            if size < file.offset or (cut and cut[0] != seen):
                self._cuts[path] = cut and cut[0]
                self._follow_cut(db, file, cut)
                return 1
            flow = self._refilled(path)
            dropped, lines = self._drop(file, size, flow, is_last=last)
            start = file.offset + dropped
            limit = min(READ_BYTES, READ_BYTES if last else int(flow.tokens))
            if not dropped and limit < min(size - start, _PORTION_BYTES):
                return 0
            data = _read(path, start, limit=limit)
            whole = _whole_lines(data, is_last=last and start + len(data) >= size)
            if not dropped and not whole:
                return 0
            lines += _lines(data[:whole], escapes_tabs=file.escapes_tabs)
            self._insert(db, file, lines)
            files.move_file(db, path, start + whole)
        flow.tokens = max(0.0, flow.tokens - whole)
        return dropped + whole

    def _follow_cut(self, db: Connection, file: FollowedFile, cut: re.Match[bytes] | None) -> None:
        """Find the place again in a file that was cut short; say what was lost, repeat nothing.

        A cut by the platform keeps the last lines and says in the first one how many bytes stood before them.
        """
        gone, start = (int(cut[1]), cut.end()) if cut else (file.offset, 0)
        if gone > file.offset:
            self._insert(db, file, [f"farero: dropped {gone - file.offset} bytes"])
        log.warning("log file was cut", extra={"path": file.path})
        files.move_file(db, file.path, start + max(0, file.offset - gone))

    def _insert(self, db: Connection, file: FollowedFile, lines: list[str]) -> None:
        group, stream = self._stream(db, file)
        now_ms = int(self._clock.now().timestamp() * 1000)
        # A clock that is set back must not put new lines before old ones.
        time_ms = max(now_ms, stream.last_event_ms or 0)
        events = [NewLogEvent(timestamp_ms=time_ms, message=line) for line in lines]
        rows.insert_events(db, stream, events, now_ms)
        if self._filters is not None:
            self._filters.apply(db, group, events)
        if self._reader is not None:
            self._reader(db, file.group, file.stream, events)

    def _stream(self, db: Connection, file: FollowedFile) -> tuple[LogGroup, LogStream]:
        """Return the file's stream, made when it is missing (somebody may have deleted it)."""
        now = self._clock.now()
        group = rows.find_group(db, file.group)
        if group is None:
            rows.insert_group(db, file.group, now, {})
            group = rows.get_group(db, file.group)
        stream = rows.find_stream(db, group, file.stream)
        if stream is None:
            rows.insert_stream(db, group, file.stream, now)
            stream = rows.get_stream(db, group, file.stream)
        return group, stream

    def _refilled(self, path: str) -> _Flow:
        """Return the file's flow with what has come into its bucket since the last look."""
        now = self._clock.monotonic()
        flow = self._flows.setdefault(path, _Flow(tokens=float(BURST_BYTES), filled_at=now))
        floods = sum(other.is_flood for other in list(self._flows.values()))
        speed = FLOOD_BYTES_PER_S * min(1.0, _FLOODS_AT_FULL_SPEED / max(1, floods))
        flow.tokens = min(float(BURST_BYTES), flow.tokens + max(0.0, now - flow.filled_at) * speed)
        flow.filled_at = now
        return flow

    def _drop(
        self, file: FollowedFile, size: int, flow: _Flow, *, is_last: bool
    ) -> tuple[int, list[str]]:
        """Return how many bytes to leave out so that the limit holds, and the line that says so."""
        now = self._clock.monotonic()
        if size - file.offset <= flow.tokens + BACKLOG_BYTES:
            return 0, []
        if not is_last and now - flow.dropped_at < DROP_EVERY_S:
            return 0, []
        flow.dropped_at = now
        kept = _read(file.path, size - KEPT_BYTES, limit=KEPT_BYTES)
        end = size - KEPT_BYTES + kept.find(b"\n") + 1
        count = _count_lines(file.path, file.offset, end)
        dropped = end - file.offset
        log.warning("log lines dropped", extra={"stream": file.stream, "bytes": dropped})
        limit = f"{FLOOD_BYTES_PER_S // 1024**2} MB/s"
        return dropped, [
            f"farero: {count} lines ({dropped / 1e6:.1f} MB) dropped: over the limit of {limit}"
        ]

    def _lock(self, path: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(path, threading.Lock())

    def _forget(self, path: str) -> None:
        with self._guard:
            self._locks.pop(path, None)
            self._flows.pop(path, None)
            self._cuts.pop(path, None)


def _size(path: str) -> int | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _read(path: str, offset: int, *, limit: int = READ_BYTES) -> bytes:
    """Read a part of the file. Never through a link: a process could lay one to the platform's keys."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return os.pread(file, limit, offset)
    finally:
        os.close(file)


def _count_lines(path: str, start: int, end: int) -> int:
    count = 0
    while start < end:
        data = _read(path, start, limit=min(READ_BYTES, end - start))
        if not data:
            break
        count += data.count(b"\n")
        start += len(data)
    return count


def _whole_lines(data: bytes, *, is_last: bool) -> int:
    """Return how many bytes can be taken: up to the last line end, or all if nothing more will come."""
    if is_last:
        return len(data)
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) >= EVENT_BYTES:
        return _cut(data, EVENT_BYTES)
    return end


def _lines(data: bytes, *, escapes_tabs: bool) -> list[str]:
    """Return the messages: one a line, a line that is too long in pieces, empty lines left out as CloudWatch does."""
    messages: list[str] = []
    for raw in data.split(b"\n"):
        # A progress bar rewrites its line with carriage returns; what counts is its last state.
        line = raw.rstrip(b"\r").rpartition(b"\r")[2]
        while line:
            end = len(line) if len(line) <= EVENT_BYTES else _cut(line, EVENT_BYTES)
            text = line[:end].decode("utf-8", "replace").replace("\0", "")
            if text.strip():
                messages.append(_CONTROL.sub(_octal, text) if escapes_tabs else text)
            line = line[end:]
    return messages


def _cut(data: bytes, most: int) -> int:
    """Return the largest cut up to `most` that splits no UTF-8 character."""
    end = most
    while end > most - 4 and end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _octal(found: re.Match[str]) -> str:
    return f"#{ord(found.group()):03o}"
