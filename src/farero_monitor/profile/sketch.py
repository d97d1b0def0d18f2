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
_KLL, _EMPTY, _SINGLE = 15, 1, 4
#: A larger block is sorted and thinned out before it is added: about four times as fast as value by value.
BLOCK = 4 * K
#: Shrinking factor of the levels, as SageMaker's files state it.
C = 0.64


class Quantiles:
    """A KLL sketch of finite numbers.

    One that was read stays as it was written until something is added to it: who only looks at it does not need the
    library.
    """

    __slots__ = ("_kll", "_steps", "_written")

    def __init__(self) -> None:
        self._kll: Any = None
        self._written: _Written | None = None
        self._steps: Steps | None = None

    def update(self, values: Floats) -> None:
        """Add finite values, shape (n,)."""
        if len(values):
            # the binding takes writable, contiguous arrays only
            if not (values.flags.writeable and values.flags.c_contiguous):
                values = np.array(values)
            if len(values) < BLOCK:
                self._to_change().update(values)
            else:
                self._update_block(values)

    def _to_change(self) -> Any:
        """Return the library's sketch, to add something to it."""
        kll = self._sketch()
        self._written = self._steps = None
        return kll

    def _sketch(self) -> Any:
        if self._kll is None:
            kind = datasketches.kll_doubles_sketch
            self._kll = (
                kind(K) if self._written is None else kind.deserialize(self._written.content)
            )
        return self._kll

    def _update_block(self, values: Floats) -> None:
        """Add many values at once, as a sketch of their own.

        A compactor of KLL sorts what it holds and passes every second value on, beginning at random with the first or
        the second. Doing that `level` times to a whole sorted block is to take every 2**level-th value; of the ranks
        in the block none is off by more than 2**level, at most a two-thousandth of it.
        """
        level = (len(values) // (2 * K)).bit_length()  # leaves 2,048 to 4,095 values
        left = len(values) % (1 << level)
        if left:
            self._to_change().update(values[:left].copy())
        ordered = np.sort(values[left:])
        thinned = ordered[int(_random.integers(1 << level)) :: 1 << level]
        self._to_change().merge(
            datasketches.kll_doubles_sketch.deserialize(_block(ordered, thinned, level))
        )

    def merge(self, other: Quantiles) -> None:
        """Add what another sketch has seen."""
        if not other.count:
            return
        if self.count:
            self._to_change().merge(other._sketch())
        else:
            self._kll, self._written, self._steps = None, other._as_written(), other._steps

    @property
    def count(self) -> int:
        """How many values were added."""
        if self._kll is not None:
            return int(self._kll.n)
        return 0 if self._written is None else self._written.count

    def levels(self) -> list[list[float]]:
        """Return the retained values level by level, each ascending; a value of level i stands for 2**i values."""
        return [np.sort(level).tolist() for level in self._as_written().levels]

    def steps(self) -> Steps:
        """Return the empirical distribution function that the sketch stands for."""
        if self._steps is None:
            self._steps = Steps.of_levels(self._as_written().levels)
        return self._steps

    def to_bytes(self) -> bytes:
        """Return the sketch in DataSketches' own binary form."""
        return bytes(self._sketch().serialize()) if self._written is None else self._written.content

    def _as_written(self) -> _Written:
        return self._written or _Written.of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Quantiles:
        """Read what `to_bytes` wrote; raises ValueError if it is no sketch."""
        made = cls()
        made._written = _Written.of(data)
        return made


@dataclass(frozen=True, slots=True)
class _Written:
    """A sketch in DataSketches' binary form (its KLL preamble), and what stands in it.

    The binding's own iterator would not do: it gives every value weight 1 as soon as level 0 is empty, as it often is
    after a merge (datasketches 5.2).
    """

    content: bytes
    count: int
    #: As they stand there, not in order.
    levels: list[Floats]

    @classmethod
    def of(cls, content: bytes) -> _Written:
        """Read it; raises ValueError if it is no sketch of ours."""
        try:
            return cls._of(content)
        except (struct.error, ValueError) as error:
            raise ValueError(f"not a KLL sketch: {error}") from error

    @classmethod
    def _of(cls, content: bytes) -> _Written:
        _, _, family, flags, k, _ = _HEAD.unpack_from(content)
        if family != _KLL or k != K:
            raise ValueError(f"family {family}, k {k}")
        if flags & _EMPTY:
            return cls(content, 0, [])
        if flags & _SINGLE:
            return cls(content, 1, [np.frombuffer(content, "<f8", 1, _HEAD.size)])
        count, _, levels = _PREAMBLE.unpack_from(content, _HEAD.size)
        starts = np.frombuffer(content, "<u4", levels, _HEAD.size + _PREAMBLE.size)
        items = np.frombuffer(content, "<f8", -1, _HEAD.size + _PREAMBLE.size + 4 * levels)
        items = items[2:]  # after the least and the most
        bounds = [*(starts - starts[0]).tolist(), len(items)]
        found = [items[start:end] for start, end in itertools.pairwise(bounds)]
        if sum(len(level) << place for place, level in enumerate(found)) != count:
            raise ValueError(f"{count} values are not what its levels stand for")
        return cls(content, count, found)


_random = np.random.default_rng()


def _block(ordered: Floats, thinned: Floats, level: int) -> bytes:
    """Return the binary form of a sketch that holds some of `ordered`'s values, all in one level."""
    end = _capacity(level + 1)
    start = end - len(thinned)
    return b"".join(
        [
            _HEAD.pack(5, 1, _KLL, 0, K, _LEAST_OF_A_LEVEL),
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
