"""A uniform sample of whole rows, mergeable: each row draws a number, the rows with the smallest are kept.

What concerns several columns at once (correlations, a domain classifier) is computed on it. Written samples hold their
rows in the order of what they drew, in small batches: of sixty of them that are merged only the first batches are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from farero_monitor.profile import rows
from farero_monitor.untyped import pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Draws = NDArray[np.float64]

ROWS = 20_000
#: Rows that are written, and read, at a time.
BATCH = 500


@dataclass(slots=True)
class _Live:
    """Rows as they came, or in the order of what they drew."""

    drawn: Draws
    rows: Any
    ordered: bool = False

    def table(self) -> Any:
        return self.rows

    def below(self, threshold: float) -> _Live:
        keep = self.drawn < threshold
        if keep.all():
            return self
        rows = self.rows.filter(pa.array(keep)).combine_chunks()
        return _Live(self.drawn[keep], rows, self.ordered)


@dataclass(slots=True)
class _Written:
    """Rows in the order of what they drew, not decoded yet."""

    drawn: Draws
    schema: bytes
    batches: list[tuple[int, bytes]]
    #: The same as numbers and codes, where that was written, too.
    numbers: rows.Rows | None = None

    def table(self) -> Any:
        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        needed = self.batches[: -(-len(self.drawn) // BATCH)]
        found = [pa.ipc.read_record_batch(_unpacked(*batch), schema) for batch in needed]
        return pa.Table.from_batches(found, schema).slice(0, len(self.drawn))

    def below(self, threshold: float) -> _Written:
        count = int(np.searchsorted(self.drawn, threshold, side="left"))
        if count == len(self.drawn):
            return self
        numbers = self.numbers and self.numbers.at(slice(count), count)
        return _Written(self.drawn[:count], self.schema, self.batches, numbers)


class Sample:
    """Up to `most` rows, as a table of texts."""

    __slots__ = ("_parts", "_random", "most", "threshold")

    def __init__(self, seed: int = 0, most: int = ROWS) -> None:
        self.most = most
        #: Rows that drew this or more are not in the sample.
        self.threshold = 1.0
        self._random = np.random.default_rng(seed)
        self._parts: list[_Live | _Written] = []

    def update(self, batch: Any) -> None:
        """Let the rows of a pyarrow table or batch take part."""
        rows: int = batch.num_rows
        drawn = self._random.random(rows)
        chosen = np.flatnonzero(drawn < self.threshold)
        if len(chosen) > self.most:  # of one large block no more than can stay
            least = np.argpartition(drawn[chosen], self.most)
            self.threshold = float(drawn[chosen][least[self.most]])
            chosen = np.sort(chosen[least[: self.most]])
        if len(chosen):
            taken = batch.take(pa.array(chosen))
            texts = [column.cast(pa.string()) for column in taken.columns]
            table = pa.table(texts, names=batch.schema.names).combine_chunks()
            self._parts.append(_Live(drawn[chosen], table))
            self._cut(2 * self.most)  # cutting costs a copy: not for every block

    def merge(self, other: Sample) -> None:
        """Add the rows of another sample, so that the whole is uniform again."""
        self.threshold = min(self.threshold, other.threshold)
        self._parts += other._parts
        self._cut(4 * self.most)

    def table(self) -> Any:
        """Return the rows as a pyarrow table of texts, in the order of what they drew: whoever merged them."""
        self._cut(self.most)
        match self._parts:
            case []:
                return pa.table({})
            case [_Live(rows=rows, ordered=True)]:
                return rows
            case parts:
                tables = [part.table() for part in parts]
        order = self._order()
        rows = pa.concat_tables(tables, promote_options="default").combine_chunks()
        rows = rows.take(pa.array(order)).combine_chunks()
        # decoded, joined and put in order once, however often they are asked for
        self._parts = [_Live(self._drawn()[order], rows, ordered=True)]
        return rows

    def rows(self) -> rows.Rows:
        """Return the rows as numbers and codes, in the order of `table`."""
        self._cut(self.most)
        written = [p.numbers for p in self._parts if isinstance(p, _Written) and p.numbers]
        made = None
        if written and len(written) == len(self._parts):
            made = rows.joined(written)
            if made is not None and len(written) > 1:
                made = made.at(self._order(), made.count)
        return made or rows.of_table(self.table())

    def texts(self, name: str) -> rows.Texts:
        """Return one column as texts, also where nothing but numbers stand in it."""
        return rows.texts_of(self.table().column(name).combine_chunks())

    def _drawn(self) -> Draws:
        return np.concatenate([np.zeros(0), *(part.drawn for part in self._parts)])

    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._drawn(), kind="stable")

    def _cut(self, held_most: int) -> None:
        """Let go of rows that are not in the sample, if there are more than `held_most`."""
        held = sum(len(part.drawn) for part in self._parts)
        if held_most > self.most and held <= held_most:
            return
        if held > self.most:
            drawn = self._drawn()
            self.threshold = min(self.threshold, float(np.partition(drawn, self.most)[self.most]))
        cut = [part.below(self.threshold) for part in self._parts]
        self._parts = [part for part in cut if len(part.drawn)]

    def to_state(self, *, numbers: bool = False) -> dict[str, Any]:
        """Return what `from_state` reads. numbers: with the rows as numbers and codes, too."""
        table = self.table()
        batches = table.to_batches(BATCH)
        return {
            "most": self.most, "threshold": self.threshold, "drawn": self._drawn().tobytes(),
            "schema": table.schema.serialize().to_pybytes(),
            "batches": [_packed(batch.serialize()) for batch in batches],
            "numbers": rows.of_table(table).to_state() if numbers else None,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Sample:
        """Read what `to_state` wrote; raises KeyError for what it did not write."""
        made = cls(most=state["most"])
        made.threshold = state["threshold"]
        drawn = np.frombuffer(state["drawn"])
        if len(drawn):
            kept = state.get("numbers")  # not in what earlier versions wrote
            numbers = None if kept is None else rows.Rows.from_state(len(drawn), kept)
            made._parts = [_Written(drawn, state["schema"], state["batches"], numbers)]
        return made

    def to_bytes(self) -> bytes:
        """Return the sample as MessagePack."""
        return msgspec.msgpack.encode(self.to_state(numbers=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Sample:
        """Read what `to_bytes` wrote; raises ValueError for anything else."""
        try:
            return cls.from_state(msgspec.msgpack.decode(data, type=dict[str, Any]))
        except (msgspec.MsgspecError, KeyError) as error:
            raise ValueError(f"not a sample of rows of this version: {error}") from error


def alike(one: Sample, other: Sample) -> tuple[rows.Rows, rows.Rows]:
    """Return the rows of two samples; a column is one of numbers if nothing else stands in it in either."""
    samples, made = (one, other), (one.rows(), other.rows())
    columns = [{**found.columns} for found in made]
    for name in {*columns[0]} & {*columns[1]}:
        if type(columns[0][name]) is not type(columns[1][name]):
            for sample, held in zip(samples, columns, strict=True):
                if isinstance(held[name], rows.Numbers):
                    held[name] = sample.texts(name)
    return rows.Rows(made[0].count, columns[0]), rows.Rows(made[1].count, columns[1])


def _packed(buffer: Any) -> tuple[int, bytes]:
    return buffer.size, pa.compress(buffer, "lz4", asbytes=True)


def _unpacked(size: int, content: bytes) -> Any:
    return pa.decompress(content, size, "lz4")
