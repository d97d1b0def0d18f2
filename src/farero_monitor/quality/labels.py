"""Labels by id: their texts on disk, a small index in memory.

A line is `{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "…"}, "eventVersion":
"0"}` ("Ingest Ground Truth labels and merge them with predictions", SageMaker's Developer Guide).
"""

from __future__ import annotations

import mmap
import re
import tempfile
from array import array
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec
import numpy as np

from farero_monitor.profile.dataset import Unread
from farero_monitor.readers.files import documents, find

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

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
    """All labels below a folder; a context manager, as it holds a file.

    The labels lie in a temporary file. What is in memory is an index of 32 bytes a label: a hash of its id of 128 bits,
    so that two ids are never taken for one, where it lies, and its hour.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="farero-labels-")  # noqa: SIM115 - closed by __exit__
        self._hashes = bytearray()
        self._starts = array("q", [0])
        self._hours = array("q")
        self._names: dict[str, int] = {}
        self._index: _Index | None = None
        #: Id of the first label that was read.
        self.first = ""
        self.unread = Unread()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._index is not None and self._index.content is not None:
            self._index.content.close()
        self._file.close()

    def read(self, source: Path, start: str = "", end: str = "") -> None:
        """Read all files in order of their names; raises NoDataError if there is none.

        start, end: only of hour folders in [start, end), ISO 8601.
        """
        decode = msgspec.json.Decoder(_Line).decode
        for path in find(source):
            hour = hour_of(path.relative_to(source) if path != source else path)
            if not _within(hour, start, end):
                continue
            for _, _, found in documents(path, decode, self.unread, "not a label"):
                self._add(found.eventMetadata.eventId, bytes(found.groundTruthData), hour)

    def put(self, known: str, data: bytes) -> None:
        """Add a label from elsewhere."""
        self._add(known, data, "")

    def _add(self, known: str, data: bytes, hour: str) -> None:
        assert self._index is None, "all labels are read before any is looked up"
        self.first = self.first or known
        self._hashes += _hash(known)
        self._file.write(data)
        self._starts.append(self._starts[-1] + len(data))
        self._hours.append(self._names.setdefault(hour, len(self._names)))

    def _sealed(self) -> _Index:
        if self._index is None:
            self._file.flush()
            keys = np.frombuffer(bytes(self._hashes), "S16")
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            # of several labels for one id the last was read last
            last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
            content = None
            if self._starts[-1]:
                content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self._index = _Index(
                keys[last], order[last], np.zeros(int(last.sum()), np.bool_), content
            )
        return self._index

    @property
    def count(self) -> int:
        """How many different ids have a label."""
        return len(self._sealed().keys)

    @property
    def replaced(self) -> int:
        """How many labels a later one replaced."""
        return len(self._hours) - self.count

    def unused(self) -> int:
        """Return how many labels were never wanted."""
        return int((~self._sealed().used).sum())

    def find(self, ids: Sequence[str]) -> dict[str, Label]:
        """Return the labels of some ids, and note that they were wanted."""
        index = self._sealed()
        if not len(index.keys) or index.content is None:
            return {}
        names = list(self._names)
        wanted = np.frombuffer(b"".join(map(_hash, ids)), "S16")
        places = np.minimum(np.searchsorted(index.keys, wanted), len(index.keys) - 1)
        hits = np.flatnonzero(index.keys[places] == wanted)
        index.used[places[hits]] = True
        made: dict[str, Label] = {}
        for hit, place in zip(hits.tolist(), index.places[places[hits]].tolist(), strict=True):
            data = index.content[self._starts[place] : self._starts[place + 1]]
            made[ids[hit]] = Label(data, names[self._hours[place]])
        return made


@dataclass(slots=True)
class _Index:
    """Hashes in order, which label each belongs to, whether it was wanted, and all labels' texts."""

    keys: NDArray[np.bytes_]
    places: NDArray[np.int64]
    used: NDArray[np.bool_]
    content: mmap.mmap | None


def _hash(known: str) -> bytes:
    return blake2b(known.encode(), digest_size=16).digest()


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
