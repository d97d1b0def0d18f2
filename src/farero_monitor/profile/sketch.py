"""Quantiles of any number of values in about 50 KB: a KLL sketch, and the step function it stands for.

Source: Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016. With k = 2048, the parameter in
SageMaker's own files, a rank is off by at most 0.0014 with 99 % confidence; below about 2,000 values it is exact.
It is written as Apache DataSketches writes one. Its coins are tossed by the values themselves (a checksum of them), so
the same data give the same sketch in every run.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

K = 2048
#: DataSketches' binary form: ints of preamble, version, family, flags, k, least values of a level; then, of a sketch
#: with more than one value, values seen, k, levels.
_HEAD = struct.Struct("<BBBBHBx")
_PREAMBLE = struct.Struct("<QHBx")
_LEAST_OF_A_LEVEL = 8
_KLL, _EMPTY, _SINGLE = 15, 1, 4
#: A larger block is sorted and thinned out before it is added: about four times as fast as value by value.
BLOCK = 4 * K
#: Shrinking factor of the levels, as SageMaker's files state it.
C = 0.64


class Quantiles:
    """A KLL sketch of finite numbers."""

    __slots__ = ("_ends", "_levels", "_steps", "count")

    def __init__(self) -> None:
        #: How many values were added.
        self.count = 0
        #: A value of level i stands for 2**i values. The first is as it came, the others ascend; none is ever changed.
        self._levels: list[Floats] = []
        self._ends = (np.inf, -np.inf)
        self._steps: Steps | None = None

    def update(self, values: Floats) -> None:
        """Add finite values, shape (n,)."""
        if not len(values):
            return
        self.count += len(values)
        if len(values) < BLOCK:
            least, most = float(values.min()), float(values.max())
            levels = [values.copy()]
        else:
            levels, least, most = _thinned(values)
        self._add(levels, (least, most))

    def merge(self, other: Quantiles) -> None:
        """Add what another sketch has seen."""
        self.count += other.count
        self._add(other._levels, other._ends)

    def _add(self, levels: Sequence[Floats], ends: tuple[float, float]) -> None:
        """Put values into the levels they belong to, and thin out those that are too full."""
        self._steps = None
        self._ends = min(self._ends[0], ends[0]), max(self._ends[1], ends[1])
        pairs = itertools.zip_longest(self._levels, levels, fillvalue=_NONE)
        self._levels = [_joined(one, other, place) for place, (one, other) in enumerate(pairs)]
        left = sum(map(len, self._levels))
        depth, place = len(self._levels), 0
        while left > _capacity(depth):
            level = self._levels[place]
            if len(level) >= _room(depth - 1 - place):
                passed = self._passed_on(level, place)
                left -= len(level) // 2
                if place + 1 == depth:
                    self._levels.append(passed)
                    depth += 1
                    place = -1  # there is more room, and it is shared out anew
                else:
                    self._levels[place + 1] = _joined(self._levels[place + 1], passed, 1)
            place = (place + 1) % depth

    def _passed_on(self, level: Floats, place: int) -> Floats:
        """Take every second value out of a level and return it, beginning with the first or the second."""
        odd = len(level) % 2
        self._levels[place] = level[:odd]
        ordered = np.sort(level[odd:]) if not place else level[odd:]
        return ordered[_coin(ordered) & 1 :: 2]

    def levels(self) -> list[list[float]]:
        """Return the retained values level by level, each ascending; a value of level i stands for 2**i values."""
        return [np.sort(level).tolist() for level in self._levels]

    def steps(self) -> Steps:
        """Return the empirical distribution function that the sketch stands for."""
        if self._steps is None:
            self._steps = Steps.of_levels(self._levels)
        return self._steps

    def to_bytes(self) -> bytes:
        """Return the sketch in DataSketches' own binary form."""
        levels = self._levels
        content = [level.tobytes() for level in levels]
        if self.count < 2:
            flag = _SINGLE if self.count else _EMPTY
            return b"".join(
                [_HEAD.pack(2, 1 + self.count, _KLL, flag, K, _LEAST_OF_A_LEVEL), *content]
            )
        lengths = [0, *itertools.accumulate(map(len, levels))]
        begin = max(0, _capacity(len(levels)) - lengths.pop())
        return b"".join(
            [
                _HEAD.pack(5, 1, _KLL, 0, K, _LEAST_OF_A_LEVEL),
                _PREAMBLE.pack(self.count, K, len(levels)),
                (np.array(lengths) + begin).astype("<u4").tobytes(),
                struct.pack("<2d", *self._ends),
                *content,
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Quantiles:
        """Read what `to_bytes` wrote; raises ValueError if it is no sketch of ours."""
        try:
            return cls._of(data)
        except (struct.error, ValueError) as error:
            raise ValueError(f"not a KLL sketch: {error}") from error

    @classmethod
    def _of(cls, content: bytes) -> Quantiles:
        made = cls()
        _, _, family, flags, k, _ = _HEAD.unpack_from(content)
        if family != _KLL or k != K:
            raise ValueError(f"family {family}, k {k}")
        if flags & _EMPTY:
            return made
        if flags & _SINGLE:
            made.update(np.frombuffer(content, "<f8", 1, _HEAD.size))
            return made
        made.count, _, levels = _PREAMBLE.unpack_from(content, _HEAD.size)
        starts = np.frombuffer(content, "<u4", levels, _HEAD.size + _PREAMBLE.size)
        items = np.frombuffer(content, "<f8", -1, _HEAD.size + _PREAMBLE.size + 4 * levels)
        made._ends = float(items[0]), float(items[1])
        bounds = [*(starts - starts[0]).tolist(), len(items) - 2]
        made._levels = [items[start + 2 : end + 2] for start, end in itertools.pairwise(bounds)]
        if sum(len(level) << place for place, level in enumerate(made._levels)) != made.count:
            raise ValueError(f"{made.count} values are not what its levels stand for")
        return made


_NONE = np.zeros(0)


def _thinned(values: Floats) -> tuple[list[Floats], float, float]:
    """Return many values as the levels of a sketch of their own, their least and their most.

    A compactor of KLL sorts what it holds and passes every second value on, beginning at random with the first or the
    second. Doing that `level` times to a whole sorted block is to take every 2**level-th value; of the ranks in the
    block none is off by more than 2**level, at most a two-thousandth of it.
    """
    level = (len(values) // (2 * K)).bit_length()  # leaves 2,048 to 4,095 values
    left = len(values) % (1 << level)
    ordered = np.sort(values[left:])
    thinned = ordered[_coin(ordered) % (1 << level) :: 1 << level].copy()
    first = values[:left].copy()
    ends = (
        float(min(ordered[0], first.min(initial=np.inf))),
        float(max(ordered[-1], first.max(initial=-np.inf))),
    )
    return [first, *[_NONE] * (level - 1), thinned], *ends


def _coin(ordered: Floats) -> int:
    """Return a number that hangs on the values alone, as good as drawn."""
    return zlib.crc32(ordered[:: 1 + len(ordered) // 64].tobytes())


def _joined(one: Floats, other: Floats, place: int) -> Floats:
    """Return the values of both; in order, but for the first level."""
    if not len(one) or not len(other):
        return one if len(one) else other
    both = np.concatenate((one, other))
    if place:
        both.sort(kind="stable")  # two runs that ascend already: merged
    return both


def _room(depth: int) -> int:
    """Return how many values a level has room for, so many below the top: k there, two thirds of that each below."""
    return max(_LEAST_OF_A_LEVEL, (((2 * K) << depth) // 3**depth + 1) >> 1)


@cache
def _capacity(levels: int) -> int:
    """Return how many values a sketch of so many levels has room for."""
    return sum(map(_room, range(levels)))


def distinct(values: Floats) -> Floats:
    """Return the different ones of numbers, ascending, as `np.unique` does, which imports masked arrays for it."""
    ordered = np.sort(values)
    return ordered[np.append(ordered[1:] != ordered[:-1], True)] if len(ordered) else ordered


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution function as steps: F(values[i]) = shares[i]; both ascending, shape (m,)."""

    values: Floats
    shares: Floats
    count: int

    @classmethod
    def of_levels(cls, levels: Sequence[ArrayLike]) -> Steps:
        """Build from compactor levels, as `statistics.json` keeps them in `sketch.data`."""
        values = [np.asarray(level, np.float64) for level in levels]
        weights = [np.full(len(level), 2.0**i) for i, level in enumerate(values)]
        if not values:
            return cls(np.zeros(0), np.zeros(0), 0)
        return cls.of_weighted(np.concatenate(values), np.concatenate(weights))

    @classmethod
    def of_weighted(cls, values: Floats, weights: Floats) -> Steps:
        """Build from values that stand for `weights` values each."""
        order = np.argsort(values, kind="stable")
        ordered, total = values[order], float(weights.sum())
        reached = np.cumsum(weights[order])
        if not len(ordered):
            return cls(ordered, reached, 0)
        last = np.append(ordered[1:] != ordered[:-1], True)
        return cls(ordered[last], reached[last] / total, round(total))

    @classmethod
    def of_values(cls, values: ArrayLike) -> Steps:
        """Build from the values themselves."""
        array = np.asarray(values, np.float64)
        return cls.of_weighted(array, np.ones(len(array)))

    def cdf(self, at: ArrayLike) -> Floats:
        """Return the share of values <= at."""
        index = np.searchsorted(self.values, np.asarray(at, np.float64), side="right")
        return np.concatenate(([0.0], self.shares))[index]

    def below(self, at: ArrayLike) -> Floats:
        """Return the share of values < at."""
        index = np.searchsorted(self.values, np.asarray(at, np.float64), side="left")
        return np.concatenate(([0.0], self.shares))[index]

    def quantile(self, share: ArrayLike) -> Floats:
        """Return the smallest value whose distribution function reaches `share`."""
        index = np.searchsorted(self.shares, np.asarray(share, np.float64) - 1e-12, side="left")
        return self.values[np.minimum(index, len(self.values) - 1)]

    @property
    def weights(self) -> Floats:
        """The share of each step; they add up to 1."""
        return np.diff(self.shares, prepend=0.0)
