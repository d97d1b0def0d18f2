"""Quantiles of any number of values in about 50 KB: Apache DataSketches' KLL, and the step function it stands for.

Source: Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016. With k = 2048, the parameter in
SageMaker's own files, a rank is off by at most 0.0014 with 99 % confidence; below about 2,000 values it is exact.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.untyped import datasketches

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
#: A larger block is sorted and thinned out before it is added: about four times as fast as value by value.
BLOCK = 4 * K
#: Shrinking factor of the levels, as SageMaker's files state it.
C = 0.64


class Quantiles:
    """A KLL sketch of finite numbers."""

    __slots__ = ("_kll",)

    def __init__(self, kll: Any = None) -> None:
        self._kll: Any = datasketches.kll_doubles_sketch(K) if kll is None else kll

    def update(self, values: Floats) -> None:
        """Add finite values, shape (n,)."""
        if len(values):
            # the binding takes writable, contiguous arrays only
            if not (values.flags.writeable and values.flags.c_contiguous):
                values = np.array(values)
            if len(values) < BLOCK:
                self._kll.update(values)
            else:
                self._update_block(values)

    def _update_block(self, values: Floats) -> None:
        """Add many values at once, as a sketch of their own.

        A compactor of KLL sorts what it holds and passes every second value on, beginning at random with the first or
        the second. Doing that `level` times to a whole sorted block is to take every 2**level-th value; of the ranks
        in the block none is off by more than 2**level, at most a two-thousandth of it.
        """
        level = (len(values) // (2 * K)).bit_length()  # leaves 2,048 to 4,095 values
        left = len(values) % (1 << level)
        if left:
            self._kll.update(values[:left].copy())
        ordered = np.sort(values[left:])
        thinned = ordered[int(_random.integers(1 << level)) :: 1 << level]
        self._kll.merge(
            datasketches.kll_doubles_sketch.deserialize(_written(ordered, thinned, level))
        )

    def merge(self, other: Quantiles) -> None:
        """Add what another sketch has seen."""
        self._kll.merge(other._kll)

    @property
    def count(self) -> int:
        """How many values were added."""
        return int(self._kll.n)

    def levels(self) -> list[list[float]]:
        """Return the retained values level by level; a value of level i stands for 2**i values.

        Read from DataSketches' binary form (its KLL preamble): the binding's own iterator gives every value weight 1
        as soon as level 0 is empty, as it often is after a merge (datasketches 5.2).
        """
        content, count = self.to_bytes(), self.count
        if count < 2:
            return [list(np.frombuffer(content, "<f8", count, 8))]
        _, _, levels = _PREAMBLE.unpack_from(content, _HEAD.size)
        starts = np.frombuffer(content, "<u4", levels, 20)
        items = np.frombuffer(content, "<f8", -1, 20 + 4 * levels)[
            2:
        ]  # after the least and the most
        bounds = [*(starts - starts[0]).tolist(), len(items)]
        return [np.sort(items[start:end]).tolist() for start, end in itertools.pairwise(bounds)]

    def steps(self) -> Steps:
        """Return the empirical distribution function that the sketch stands for."""
        return Steps.of_levels(self.levels())

    def to_bytes(self) -> bytes:
        """Return the sketch in DataSketches' own binary form."""
        return bytes(self._kll.serialize())

    @classmethod
    def from_bytes(cls, data: bytes) -> Quantiles:
        """Read what `to_bytes` wrote; raises ValueError if it is no sketch."""
        try:
            return cls(datasketches.kll_doubles_sketch.deserialize(data))
        except RuntimeError as error:
            raise ValueError(f"not a KLL sketch: {error}") from error


_random = np.random.default_rng()


def _written(ordered: Floats, thinned: Floats, level: int) -> bytes:
    """Return the binary form of a sketch that holds some of `ordered`'s values, all in one level."""
    end = _capacity(level + 1)
    start = end - len(thinned)
    return b"".join(
        [
            _HEAD.pack(5, 1, 15, 0, K, _LEAST_OF_A_LEVEL),
            _PREAMBLE.pack(len(ordered), K, level + 1),
            np.full(level + 1, start, "<u4").tobytes(),
            ordered[[0, -1]].astype("<f8").tobytes(),
            thinned.astype("<f8").tobytes(),
        ]
    )


def _capacity(levels: int) -> int:
    """Return how many values a sketch of so many levels has room for: k on top, below it two thirds of that each."""
    return sum(
        max(_LEAST_OF_A_LEVEL, (((2 * K) << depth) // 3**depth + 1) >> 1) for depth in range(levels)
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution function as steps: F(values[i]) = shares[i]; both ascending, shape (m,)."""

    values: Floats
    shares: Floats
    count: int

    @classmethod
    def of_levels(cls, levels: Sequence[Sequence[float]]) -> Steps:
        """Build from compactor levels, as `statistics.json` keeps them in `sketch.data`."""
        weights = [np.full(len(level), 2.0**i) for i, level in enumerate(levels)]
        values = [np.asarray(level, np.float64) for level in levels]
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
