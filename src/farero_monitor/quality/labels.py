"""Labels by id, in a private database on disk: as many as there are, in bounded memory.

A line is `{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "…"}, "eventVersion":
"0"}` ("Ingest Ground Truth labels and merge them with predictions", SageMaker's Developer Guide).
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from farero_monitor.profile.dataset import Unread
from farero_monitor.readers.files import blocks, find

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Memory of the database, in KiB; what is beyond lies on disk.
MEMORY_KIB = 48 * 1024
BATCH = 5_000
_HOUR = re.compile(r"(?:^|/)(\d{4}/\d\d/\d\d/\d\d)(?:/|$)")


class Label(NamedTuple):
    """A label as it was sent: `{"data": …, "encoding": …}`, and the hour folder it came from (or empty)."""

    data: bytes
    hour: str


class _Event(msgspec.Struct):
    eventId: str  # noqa: N815 - SageMaker's own key


class _Line(msgspec.Struct):
    groundTruthData: msgspec.Raw  # noqa: N815
    eventMetadata: _Event  # noqa: N815


class Labels:
    """All labels below a folder; a context manager, as it holds a file."""

    def __init__(self) -> None:
        # an empty name is a database of this connection alone, in a file that goes with it
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute(f"PRAGMA cache_size = -{MEMORY_KIB}")
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute(
            "CREATE TABLE label (id TEXT PRIMARY KEY, data BLOB, hour TEXT, used INTEGER DEFAULT 0)"
            " WITHOUT ROWID"
        )
        #: Id of the first label that was read.
        self.first = ""
        self._lines = 0
        self.unread = Unread()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def read(self, source: Path, start: str = "", end: str = "") -> None:
        """Read all files in order of their names; raises NoDataError if there is none.

        start, end: only of hour folders in [start, end), ISO 8601.
        """
        decode = msgspec.json.Decoder(_Line).decode
        batch: list[tuple[str, bytes, str]] = []
        for path in find(source):
            hour, line = hour_of(path.relative_to(source) if path != source else path), 0
            if not _within(hour, start, end):
                continue
            for block in blocks(path, 0, None, self.unread):
                for text in block.splitlines():
                    line += 1
                    if not text.strip():
                        continue
                    try:
                        found = decode(text)
                    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                        self.unread.add(path.name, f"line {line}", f"not a label: {error}")
                        continue
                    self.first = self.first or found.eventMetadata.eventId
                    batch.append((found.eventMetadata.eventId, bytes(found.groundTruthData), hour))
                    if len(batch) == BATCH:
                        self._add(batch)
        self._add(batch)

    def put(self, found: Sequence[tuple[str, bytes]]) -> None:
        """Add ids and labels from elsewhere."""
        self.first = self.first or (found[0][0] if found else "")
        self._add([(known, data, "") for known, data in found])

    def _add(self, batch: list[tuple[str, bytes, str]]) -> None:
        self._lines += len(batch)
        self._base.execute("BEGIN")
        self._base.executemany("REPLACE INTO label (id, data, hour) VALUES (?, ?, ?)", batch)
        self._base.execute("COMMIT")
        batch.clear()

    @property
    def count(self) -> int:
        """How many different ids have a label."""
        (found,) = self._base.execute("SELECT count(*) FROM label").fetchone()
        return found

    @property
    def replaced(self) -> int:
        """How many labels a later one replaced."""
        return self._lines - self.count

    def find(self, ids: Sequence[str]) -> dict[str, Label]:
        """Return the labels of some ids, and note that they were wanted."""
        made: dict[str, Label] = {}
        for first in range(0, len(ids), 500):
            some = ids[first : first + 500]
            marks = ",".join("?" * len(some))
            query = f"SELECT id, data, hour FROM label WHERE id IN ({marks})"  # noqa: S608 - marks alone
            made.update(
                (known, Label(data, hour)) for known, data, hour in self._base.execute(query, some)
            )
        self._base.execute("BEGIN")
        self._base.executemany(
            "UPDATE label SET used = 1 WHERE id = ?", ((known,) for known in made)
        )
        self._base.execute("COMMIT")
        return made

    def unused(self) -> int:
        """Return how many labels were never wanted."""
        (found,) = self._base.execute("SELECT count(*) FROM label WHERE used = 0").fetchone()
        return found


def hour_of(path: Path) -> str:
    """Return the hour folder a path lies in as `yyyy/mm/dd/HH`; empty if in none."""
    found = _HOUR.findall(path.parent.as_posix())
    return found[-1] if found else ""


def _within(hour: str, start: str, end: str) -> bool:
    """Tell whether an hour folder lies in a span; what has no hour does."""
    if not hour:
        return True
    moment = hour[:10].replace("/", "-") + "T" + hour[11:]
    return start <= f"{moment}:59:59Z" and (not end or f"{moment}:00:00Z" < end)
