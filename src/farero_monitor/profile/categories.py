"""How often each value of a column occurred: exact up to a limit, heavy hitters and an estimate of how many above it.

Above the limit the counts are those of Misra and Gries ("Finding repeated elements", 1982) in their mergeable form
(Agarwal et al., "Mergeable summaries", PODS 2012): a count is too low by at most `error`, which never exceeds
rows / limit. The number of different values then comes from a HyperLogLog sketch (2**14 registers, about 1 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero_monitor.untyped import datasketches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Values kept exactly.
LIMIT = 10_000
LOG_REGISTERS = 14


class Categories:
    """Counts of texts."""

    __slots__ = ("_hll", "counts", "error", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.counts: dict[str, int] = {}
        #: By how much a count may be too low; 0 while everything is exact.
        self.error = 0
        self._hll: Any = None

    def update(self, counts: Iterable[tuple[str, int]]) -> None:
        """Add so many of each value."""
        mine, hll = self.counts, self._hll
        for value, count in counts:
            mine[value] = mine.get(value, 0) + count
            if hll is not None:
                hll.update(value)
        if len(mine) > self.limit:
            self._shrink()

    def merge(self, other: Categories) -> None:
        """Add what another one has counted."""
        if other._hll is not None:
            self._start_hll()
            union = datasketches.hll_union(LOG_REGISTERS)
            union.update(self._hll)
            union.update(other._hll)
            self._hll = union.get_result(datasketches.HLL_8)
        self.update(other.counts.items())
        self.error += other.error

    @property
    def exact(self) -> bool:
        """Whether every value is known with its true count."""
        return self._hll is None

    @property
    def distinct(self) -> int:
        """How many different values there were; within 1 to 2 % once not exact."""
        return len(self.counts) if self._hll is None else round(self._hll.get_estimate())

    @property
    def singletons(self) -> int:
        """How many values occurred once, as far as they are known."""
        return sum(1 for count in self.counts.values() if count + self.error == 1)

    def top(self, most: int) -> list[tuple[str, int]]:
        """Return the most frequent values, falling; equals by text."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:most]

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return {
            "limit": self.limit, "counts": self.counts, "error": self.error,
            "hll": None if self._hll is None else bytes(self._hll.serialize_compact()),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Categories:
        """Read what `to_state` wrote."""
        made = cls(state["limit"])
        made.counts = dict(state["counts"])
        made.error = state["error"]
        if state["hll"] is not None:
            made._hll = datasketches.hll_sketch.deserialize(state["hll"])
        return made

    def _start_hll(self) -> None:
        if self._hll is None:
            self._hll = datasketches.hll_sketch(LOG_REGISTERS, datasketches.HLL_8)
            for value in self.counts:
                self._hll.update(value)

    def _shrink(self) -> None:
        self._start_hll()
        cut = sorted(self.counts.values(), reverse=True)[self.limit]
        self.counts = {value: count - cut for value, count in self.counts.items() if count > cut}
        self.error += cut
