"""The profile of a whole data set: its columns, a sample of its rows, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from farero_monitor.profile.column import Column
from farero_monitor.profile.sample import ROWS, Sample
from farero_monitor.untyped import pa

#: Changes when a written profile can no longer be read by the code before it.
FORMAT = 5
#: Places of unreadable lines that are remembered.
PLACES = 20


@dataclass(slots=True)
class Unread:
    """Lines that could not be read: how many, and where the first ones are."""

    count: int = 0
    #: (file, line or byte, what is wrong with it)
    places: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def add(self, file: str, place: str, reason: str) -> None:
        """Remember one."""
        self.count += 1
        if len(self.places) < PLACES:
            self.places.append((file, place, reason))

    def move(self, lines: int) -> None:
        """Count the lines of the first ones from so much further up."""
        self.places = [
            (file, f"line {int(place[5:]) + lines}", reason)
            if place.startswith("line ")
            else (file, place, reason)
            for file, place, reason in self.places
        ]

    def merge(self, other: Unread) -> None:
        """Add what another one has seen."""
        self.count += other.count
        self.places = [*self.places, *other.places][:PLACES]


class Profile:
    """Everything that is kept of a data set; `profile(a).merge(profile(b))` is the profile of both."""

    __slots__ = ("answers", "columns", "first", "last", "outside", "rows", "sample", "unread")

    def __init__(self, seed: int = 0, sample: int = ROWS) -> None:
        self.rows = 0
        self.columns: dict[str, Column] = {}
        self.sample = Sample(seed, sample)
        self.unread = Unread()
        #: Columns of the model's answer, as far as captures tell them apart.
        self.answers: set[str] = set()
        #: Records that were left out: they are not of the window that was asked for.
        self.outside = 0
        #: Times of the first and last record, ISO 8601; empty where records have none.
        self.first = self.last = ""

    def update(self, batch: Any) -> None:
        """Add a pyarrow table or batch; a column of another batch that is not in this one counts as missing."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            kept = self.columns.get(name)
            if kept is None:
                kept = self.columns[name] = Column(name)
                kept.rows = kept.missing = self.rows
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                _update(kept, chunk)
        self._absent({*batch.schema.names}, batch.num_rows)
        self.rows += batch.num_rows
        self.sample.update(batch)

    def merge(self, other: Profile) -> None:
        """Add what another profile has seen."""
        for name, column in other.columns.items():
            kept = self.columns.get(name)
            if kept is None:
                kept = self.columns[name] = Column(name)
                kept.rows = kept.missing = self.rows
            kept.merge(column)
        self._absent({*other.columns}, other.rows)
        self.rows += other.rows
        self.sample.merge(other.sample)
        self.unread.merge(other.unread)
        self.answers |= other.answers
        self.outside += other.outside
        self.seen(other.first)
        self.seen(other.last)

    def seen(self, moment: str) -> None:
        """Take the time of a record into account."""
        if moment:
            self.first = min(self.first or moment, moment)
            self.last = max(self.last, moment)

    def _absent(self, there: set[str], rows: int) -> None:
        for name, column in self.columns.items():
            if name not in there:
                column.rows += rows
                column.missing += rows

    def to_bytes(self, *, numbers: bool = False) -> bytes:
        """Return the profile as MessagePack. numbers: its sample as numbers, too, for who only judges it."""
        state = {
            "format": FORMAT, "answers": sorted(self.answers),
            "rows": self.rows, "first": self.first, "last": self.last,
            "outside": self.outside,
            "unread": [self.unread.count, self.unread.places],
            "columns": [column.to_state() for column in self.columns.values()],
            "sample": self.sample.to_state(numbers=numbers),
        }  # fmt: skip
        return msgspec.msgpack.encode(state)

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Read what `to_bytes` wrote; raises ValueError if it is no profile of this format."""
        try:
            state: dict[str, Any] = msgspec.msgpack.decode(data)
            if state["format"] != FORMAT:
                raise ValueError(f"profile of format {state['format']}; this is {FORMAT}")
            made = cls()
            made.rows, made.first, made.last = state["rows"], state["first"], state["last"]
            made.answers, made.outside = {*state["answers"]}, state["outside"]
            count, places = state["unread"]
            made.unread = Unread(count, [(f, p, r) for f, p, r in places])
            for column in state["columns"]:
                made.columns[column["name"]] = Column.from_state(column)
            made.sample = Sample.from_state(state["sample"])
        except (msgspec.DecodeError, KeyError, TypeError, pa.ArrowInvalid) as error:
            raise ValueError(f"not a profile: {error}") from error
        return made


def _update(column: Column, array: Any) -> None:
    kind = array.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type):
            column.update_dictionary(array)
            return
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column.update_numbers(array.cast(pa.float64()) if pa.types.is_decimal(kind) else array)
    else:
        column.update_texts(array if pa.types.is_string(kind) else array.cast(pa.string()))
