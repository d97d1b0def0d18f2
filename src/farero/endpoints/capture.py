"""Data capture, the gateway's half: an invocation → one JSON line → one append to a spool file, before the reply.

An append reaches the page cache and so survives kill -9 of any process; `durability` says when it reaches the disk.
A spool file is `<spool>/capture/<target>/<yyyy>-<mm>-<dd>-<HH>-<MM-SS-mmm>-<uuid4>.jsonl`, named after the moment it
was opened; it is locked by the gateway that writes it. `publish.py` turns spool files into objects.

Follows AWS's "Data capture" page and the record of its Model Monitor examples.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import fcntl
import hashlib
import logging
import os
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from farero.base import ids
from farero.base.arns import parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.records.endpoint import Fleet

log = logging.getLogger(__name__)

#: A file is closed after this long, as on AWS (files of a steady stream are a minute apart), or at this size.
ROTATE_S = 60.0
ROTATE_BYTES = 4 * 1024 * 1024
TARGET_FILE = "target.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTarget:
    """Where records of one variant go, and how they are written."""

    endpoint: str
    variant: str
    destination: str
    kms_key_id: str = ""
    #: Share of requests that are captured, 0 to 100.
    percentage: float = 100.0
    captures_input: bool = True
    captures_output: bool = True
    csv_types: frozenset[str] = frozenset()
    json_types: frozenset[str] = frozenset()
    #: Name of the target's folder in the spool: the same for the same destination.
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the id once; every record asks for it."""
        text = f"{self.endpoint}\0{self.variant}\0{self.destination}\0{self.kms_key_id}"
        object.__setattr__(self, "id", hashlib.sha256(text.encode()).hexdigest()[:24])


def capture_target(endpoint: str, fleet: Fleet, variant: str) -> CaptureTarget | None:
    """Return the capture target of a variant of an endpoint in service, or None if nothing is captured."""
    config = fleet.capture
    if config is None or not config.get("EnableCapture", True):
        return None
    modes = {option["CaptureMode"] for option in config.get("CaptureOptions", [])}
    types: dict[str, Any] = config.get("CaptureContentTypeHeader", {})
    return CaptureTarget(
        endpoint=endpoint,
        variant=variant,
        destination=config["DestinationS3Uri"],
        kms_key_id=config.get("KmsKeyId", ""),
        percentage=float(config["InitialSamplingPercentage"]),
        captures_input=bool(modes & {"Input", "InputAndOutput"}),
        captures_output=bool(modes & {"Output", "InputAndOutput"}),
        csv_types=frozenset(kind.lower() for kind in types.get("CsvContentTypes", [])),
        json_types=frozenset(kind.lower() for kind in types.get("JsonContentTypes", [])),
    )


def is_sampled(target: CaptureTarget, draw: Callable[[], float] = random.random) -> bool:
    """Decide for one request, both halves together."""
    return target.percentage >= 100 or draw() * 100 < target.percentage


@dataclass(slots=True)
class _OpenFile:
    fd: int
    folder: Path
    target: CaptureTarget
    #: Bytes in the file, and lines that are not in it yet.
    size: int
    opened_at: float
    #: The hour of the clock on the wall that the file belongs to.
    hour_begins: dt.datetime
    hour_ends: dt.datetime
    lines: list[bytes] = field(default_factory=list[bytes])
    is_dirty: bool = False
    has_durable_name: bool = False

    def sync(self) -> None:
        """Bring what was appended to the disk, and at the first time the file's name too."""
        self.is_dirty = False
        os.fsync(self.fd)
        if not self.has_durable_name:
            for folder in (self.folder, self.folder.parent, self.folder.parent.parent):
                _sync_folder(folder)
            self.has_durable_name = True


class CaptureSpool:
    """The spool files that one gateway writes."""

    def __init__(self, spool_dir: Path, clock: Clock) -> None:
        self._root = spool_dir / "capture"
        self._clock = clock
        self._files: dict[str, _OpenFile] = {}
        #: Those with lines that are not written yet.
        self._gathered: list[_OpenFile] = []
        #: Those that get no more lines and are still to be brought to the disk and closed; requests do not wait for it.
        self._retired: collections.deque[_OpenFile] = collections.deque()
        #: Held while files are synced, so that nobody takes a sync that has begun for one that is done.
        self._syncing = threading.Lock()
        self._recorded = 0
        self._dropped = 0
        self._last_error = ""

    def append(self, target: CaptureTarget, record: bytes) -> bool:
        """Append one line; False if it could not be written, which is counted and logged."""
        dropped = self._dropped
        self.gather(target, [record], self._clock.now())
        self.flush()
        return self._dropped == dropped

    def gather(self, target: CaptureTarget, records: Sequence[bytes], now: dt.datetime) -> None:
        """Take lines for the next `flush`, which must come before anything is said of the requests."""
        try:
            file = self._file(target, now)
        except OSError as error:
            for _ in records:
                self._drop(target, error)
            return
        if not file.lines:
            self._gathered.append(file)
        file.lines += records
        file.size += sum(map(len, records))

    def flush(self) -> None:
        """Write what was gathered, all lines of a file in one call; what cannot be written is counted and logged."""
        for file in self._gathered:
            self._write(file)
        self._gathered.clear()

    def _write(self, file: _OpenFile) -> None:
        lines, file.lines = file.lines, []
        file.size -= sum(map(len, lines))
        whole = lines[0] if len(lines) == 1 else b"".join(lines)
        if self._write_whole(file, whole) is None:
            self._recorded += len(lines)
        else:  # a disk may have room for some of them
            for line in lines:
                error = self._write_whole(file, line)
                if error is None:
                    self._recorded += 1
                else:
                    self._drop(file.target, error)

    def _write_whole(self, file: _OpenFile, data: bytes) -> OSError | None:
        """Append all of `data` or nothing of it."""
        try:
            written = os.write(file.fd, data)
            if written != len(data):
                os.ftruncate(file.fd, file.size)
                return OSError(28, "No space left on device")
        except OSError as error:
            return error
        file.size += written
        file.is_dirty = True
        return None

    def sync(self) -> None:
        """Bring everything that was appended to the disk; any thread may call. Blocks."""
        with self._syncing:
            for file in list(self._files.values()):
                if file.is_dirty:
                    file.sync()
        self.close_retired()

    @property
    def is_dirty(self) -> bool:
        """Say whether something was appended since the last sync."""
        return bool(self._retired) or any(file.is_dirty for file in self._files.values())

    def retire_old(self) -> bool:
        """Give no more lines to files whose minute is over; True if there is something to close."""
        now = self._clock.monotonic()
        for key, file in list(self._files.items()):
            if now - file.opened_at >= ROTATE_S:
                self._retire(key)
        return bool(self._retired)

    def close_retired(self) -> None:
        """Close files that get no more lines, so that they can be published for good; any thread may call. Blocks."""
        with self._syncing:
            while self._retired:
                file = self._retired[0]
                if file.is_dirty:
                    with contextlib.suppress(OSError):
                        file.sync()
                os.close(file.fd)
                self._retired.popleft()

    def close(self) -> None:
        """Close every file."""
        for key in list(self._files):
            self._retire(key)
        self.close_retired()

    @property
    def dropped(self) -> int:
        """Number of records that could not be written."""
        return self._dropped

    def stats(self) -> dict[str, Any]:
        """Return what was recorded and what could not be."""
        return {
            "recorded": self._recorded,
            "dropped": self._dropped,
            "last_error": self._last_error,
        }

    def _file(self, target: CaptureTarget, now: dt.datetime) -> _OpenFile:
        key = target.id
        file = self._files.get(key)
        if file is not None:
            is_old = self._clock.monotonic() - file.opened_at >= ROTATE_S
            is_of_hour = file.hour_begins <= now < file.hour_ends
            if is_of_hour and file.size < ROTATE_BYTES and not is_old:
                return file
            self._retire(key)
        hour = now.replace(minute=0, second=0, microsecond=0)
        file = _OpenFile(
            fd=self._open(target, now),
            folder=self._root / target.id,
            target=target,
            size=0,
            opened_at=self._clock.monotonic(),
            hour_begins=hour,
            hour_ends=hour + dt.timedelta(hours=1),
        )
        self._files[key] = file
        return file

    def _open(self, target: CaptureTarget, now: dt.datetime) -> int:
        folder = self._root / target.id
        if not (folder / TARGET_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_target(folder, target)
        stamp = now.strftime("%Y-%m-%d-%H-%M-%S-") + f"{now.microsecond // 1000:03d}"
        path = folder / f"{stamp}-{ids.new_uuid()}.jsonl"
        # Locked before it has its name: a file that can be seen is never taken for an orphan.
        hidden = path.with_suffix(".new")
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _retire(self, key: str) -> None:
        self.flush()
        self._retired.append(self._files.pop(key))

    def _drop(self, target: CaptureTarget, error: OSError) -> None:
        self._dropped += 1
        self._last_error = str(error)
        # The first and then every thousandth, so that a full disk does not fill the log as well.
        if self._dropped % 1000 == 1:
            log.error(
                "capture record dropped",
                extra={
                    "endpoint": target.endpoint,
                    "variant": target.variant,
                    "dropped": self._dropped,
                    "error": error,
                },
            )


def _write_target(folder: Path, target: CaptureTarget) -> None:
    bucket, prefix = parse_s3_uri(target.destination)
    text = msgspec.json.encode(
        {
            "bucket": bucket,
            "prefix": prefix,
            "endpoint": target.endpoint,
            "variant": target.variant,
            "kms_key_id": target.kms_key_id,
        }
    )
    hidden = folder / f"{TARGET_FILE}.{ids.new_uuid()}"
    with hidden.open("xb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    hidden.rename(folder / TARGET_FILE)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
