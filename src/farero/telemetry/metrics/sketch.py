"""A summary of values that knows every percentile within 1 % and can be merged with others.

Values fall into buckets whose borders grow by a constant factor, so that the middle of a bucket is never further than
1 % from any value in it (Masson, Rim and Lee, "DDSketch", VLDB 2019). Pure; no array library.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_PER_LOG = 1 / math.log(_GAMMA)
_MIDDLE = 2 / (1 + _GAMMA)
#: Added to a bucket's number it gives a key above zero, whatever float fell into the bucket.
_ZERO = 40_000


class _Stored(msgspec.Struct, array_like=True):
    """Buckets by how far each is from the one before it: nearly every number is one byte."""

    zeros: float
    above: list[int]
    above_counts: list[float]
    below: list[int]
    below_counts: list[float]


class Sketch:
    """Values by bucket, with how often each came; values below zero have buckets of their own."""

    __slots__ = ("above", "below", "zeros")

    def __init__(self) -> None:
        self.zeros = 0.0
        self.above: dict[int, float] = {}
        self.below: dict[int, float] = {}

    def add(self, value: float, count: float = 1) -> None:
        """Add a value `count` times."""
        if value == 0:
            self.zeros += count
            return
        buckets = self.above if value > 0 else self.below
        index = math.ceil(math.log(abs(value)) * _PER_LOG)
        buckets[index] = buckets.get(index, 0) + count

    def add_all(self, values: Sequence[float], counts: Sequence[float]) -> None:
        """Add values, each as often as `counts` says."""
        above, log, ceil = self.above, math.log, math.ceil
        for value, count in zip(values, counts, strict=True):
            if value > 0:
                index = ceil(log(value) * _PER_LOG)
                above[index] = above.get(index, 0) + count
            else:
                self.add(value, count)

    def merge(self, other: Sketch) -> None:
        """Add everything that the other holds."""
        self.zeros += other.zeros
        for mine, theirs in ((self.above, other.above), (self.below, other.below)):
            for index, count in theirs.items():
                mine[index] = mine.get(index, 0) + count

    def items(self) -> list[tuple[float, float]]:
        """Return (value, count), smallest value first."""
        found = [(-_middle(i), self.below[i]) for i in sorted(self.below, reverse=True)]
        if self.zeros:
            found.append((0.0, self.zeros))
        return found + [(_middle(i), self.above[i]) for i in sorted(self.above)]

    def percentile(self, share: float) -> float:
        """Return the smallest value that is not exceeded by that share of all."""
        cells = self.cells()
        sums = list(accumulate(count for _, count in cells))
        place = bisect_left(sums, share * sums[-1] * (1 - 1e-12))
        return value_of(cells[place][0])

    def cells(self) -> list[tuple[int, float]]:
        """Return (key, count), smallest value first; `value_of` tells a key's value."""
        found = [(-i - _ZERO, self.below[i]) for i in sorted(self.below, reverse=True)]
        if self.zeros:
            found.append((0, self.zeros))
        return found + [(i + _ZERO, self.above[i]) for i in sorted(self.above)]

    @classmethod
    def from_cells(cls, cells: Iterable[tuple[int, float]]) -> Sketch:
        """Return the sketch of such cells; those without a count may be among them."""
        made = cls()
        for key, count in cells:
            if not count:
                continue
            if key > 0:
                made.above[key - _ZERO] = count
            elif key < 0:
                made.below[-key - _ZERO] = count
            else:
                made.zeros = count
        return made

    def to_bytes(self) -> bytes:
        """Return it as bytes for a database."""
        stored = (_short(self.zeros), *_steps(self.above), *_steps(self.below))
        return msgspec.msgpack.encode(stored)

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """Return what `to_bytes` wrote."""
        stored = msgspec.msgpack.decode(data, type=_Stored)
        made = cls()
        made.zeros = stored.zeros
        made.above = dict(zip(accumulate(stored.above), stored.above_counts, strict=True))
        made.below = dict(zip(accumulate(stored.below), stored.below_counts, strict=True))
        return made

    @classmethod
    def of(cls, values: Iterable[float]) -> Sketch:
        """Return the sketch of some values."""
        made = cls()
        for value in values:
            made.add(value)
        return made


def _steps(buckets: dict[int, float]) -> tuple[list[int], list[float]]:
    indexes = sorted(buckets)
    steps = [index - before for before, index in pairwise([0, *indexes])]
    return steps, [_short(buckets[index]) for index in indexes]


def _short(count: float) -> float:
    return int(count) if count == int(count) else count


def value_of(key: int) -> float:
    """Return the value that stands for all of a cell's."""
    if key == 0:
        return 0.0
    return _middle(key - _ZERO) if key > 0 else -_middle(-key - _ZERO)


def _middle(index: int) -> float:
    return _GAMMA**index * _MIDDLE
