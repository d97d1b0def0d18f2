"""A uniform sample of whole rows, mergeable: each row draws a number, the rows with the smallest are kept.

What concerns several columns at once (correlations, a domain classifier) is computed on it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.untyped import pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 20_000


class Sample:
    """Up to `most` rows, as a table of texts."""

    __slots__ = ("_drawn", "_parts", "_random", "most", "threshold")

    def __init__(self, seed: int = 0, most: int = ROWS) -> None:
        self.most = most
        #: Rows that drew this or more are not in the sample.
        self.threshold = 1.0
        self._random = np.random.default_rng(seed)
        self._parts: list[Any] = []
        self._drawn: list[NDArray[np.float64]] = []

    def update(self, batch: Any) -> None:
        """Let the rows of a pyarrow table or batch take part."""
        rows: int = batch.num_rows
        drawn = self._random.random(rows)
        chosen = np.flatnonzero(drawn < self.threshold)
        if len(chosen):
            taken = batch.take(pa.array(chosen))
            texts = [column.cast(pa.string()) for column in taken.columns]
            self._parts.append(pa.table(texts, names=batch.schema.names).combine_chunks())
            self._drawn.append(drawn[chosen])
            self._cut()

    def merge(self, other: Sample) -> None:
        """Add the rows of another sample, so that the whole is uniform again."""
        self.threshold = min(self.threshold, other.threshold)
        self._parts += other._parts
        self._drawn += other._drawn
        self._cut(always=True)

    def table(self) -> Any:
        """Return the rows as a pyarrow table of texts."""
        self._cut(always=True)
        if not self._parts:
            return pa.table({})
        return pa.concat_tables(self._parts, promote_options="default").combine_chunks()

    def _cut(self, *, always: bool = False) -> None:
        held = sum(len(drawn) for drawn in self._drawn)
        # cutting costs a copy: not for every block
        if not held or (held <= 2 * self.most and not always):
            return
        drawn = np.concatenate(self._drawn)
        if held > self.most:
            self.threshold = min(self.threshold, float(np.partition(drawn, self.most)[self.most]))
        keep = drawn < self.threshold
        if keep.all():
            return
        rows = pa.concat_tables(self._parts, promote_options="default")
        self._parts = [rows.filter(pa.array(keep)).combine_chunks()]
        self._drawn = [drawn[keep]]

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        table, sink = self.table(), io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        drawn = np.concatenate(self._drawn) if self._drawn else np.zeros(0)
        return {
            "most": self.most, "threshold": self.threshold,
            "rows": sink.getvalue(), "drawn": drawn.tobytes(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Sample:
        """Read what `to_state` wrote."""
        made = cls(most=state["most"])
        made.threshold = state["threshold"]
        drawn = np.frombuffer(state["drawn"])
        if len(drawn):
            made._parts = [pa.ipc.open_stream(state["rows"]).read_all()]
            made._drawn = [drawn]
        return made
