"""How long requests took: pairs of numbers from the hot path → how often each number of microseconds came.

The event loop adds, a thread takes, once a second. To count in that thread would cost more than the counting: it would
take the interpreter's lock from the loop, which asks for it anew at each event. So the loop itself counts, whenever
`AT_ONCE` requests have come: a third of a millisecond.
"""

from __future__ import annotations

import math
import struct
import sys
import threading
from array import array
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: In place of the seconds of a model that gave no answer.
NO_ANSWER = -1.0
#: So many requests are counted together. The times of fewer between two takes are kept to the microsecond; those of
#: more are rounded, to an error of 0.2 %: there are as many different ones, and each would cost as much as a request.
AT_ONCE = 500
#: Which half of a single-precision number holds its sign, its exponent and the first seven bits of its fraction.
_UPPER = 1 if sys.byteorder == "little" else 0


class Taken(NamedTuple):
    """What was counted: how many requests, and how often each number of microseconds came."""

    requests: int
    #: Of the models that answered.
    model_us: Counter[int]
    #: Of all else.
    overhead_us: Counter[int]


class Durations:
    """Seconds of requests that have something in common. One thread adds, and any may take."""

    __slots__ = ("_counting", "_model", "_overhead", "_waiting")

    def __init__(self) -> None:
        #: Two numbers a request, in an array: thousands of small objects that live for a second would keep the garbage
        #: collector busy.
        self._waiting = array("d")
        #: Requests that were counted, by the steps of `_add_steps`.
        self._model, self._overhead = Counter[int](), Counter[int]()
        self._counting = threading.Lock()

    def add(self, seconds: Sequence[float]) -> None:
        """Add requests: of each the seconds of its model, or NO_ANSWER, and those in all, in turn."""
        waiting = self._waiting
        waiting.extend(seconds)
        if len(waiting) >= 2 * AT_ONCE and self._counting.acquire(blocking=False):
            try:
                self._count_waiting()
            finally:
                self._counting.release()

    def take(self) -> Taken:
        """Return what was added since the last call."""
        with self._counting:
            if not self._overhead and len(self._waiting) <= 2 * AT_ONCE:
                model, overhead = _apart(self._take_waiting())
                return Taken(len(overhead), _exact(model), _exact(overhead))
            self._count_waiting()
            model_us, overhead_us = _microseconds(self._model), _microseconds(self._overhead)
            self._model, self._overhead = Counter[int](), Counter[int]()
            return Taken(overhead_us.total(), model_us, overhead_us)

    def _count_waiting(self) -> None:
        model, overhead = _apart(self._take_waiting())
        _add_steps(self._model, model)
        _add_steps(self._overhead, overhead)

    def _take_waiting(self) -> array[float]:
        # The array itself stays: another thread may be about to extend it.
        end = len(self._waiting) // 2 * 2
        taken = self._waiting[:end]
        del self._waiting[:end]
        return taken


def _apart(seconds: array[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Return the seconds of the models that answered, and of each request those beside its model's."""
    model, whole = seconds[::2], seconds[1::2]
    if model and min(model) < 0:  # a few gave no answer
        overhead = [span - max(answer, 0.0) for answer, span in zip(model, whole, strict=True)]
        model = [answer for answer in model if answer >= 0]
    else:
        overhead = [span - answer for answer, span in zip(model, whole, strict=True)]
    if overhead and min(overhead) < 0:  # the clocks of two processes
        overhead = [max(one, 0.0) for one in overhead]
    return model, overhead


def _exact(seconds: Sequence[float]) -> Counter[int]:
    return Counter([round(one * 1e6) for one in seconds])


def _add_steps(found: Counter[int], seconds: Sequence[float]) -> None:
    """Count numbers by the upper half of their squares in single precision: a step each 0.4 % without a logarithm."""
    squares = struct.pack(f"{len(seconds)}f", *[one * one for one in seconds])
    found.update(memoryview(squares).cast("H")[_UPPER::2].tolist())


def _microseconds(steps: Counter[int]) -> Counter[int]:
    found: dict[int, int] = {}
    for step, times in steps.items():
        middle = _middle(step)
        found[middle] = found.get(middle, 0) + times
    return Counter(found)


@lru_cache(maxsize=4096)
def _middle(step: int) -> int:
    """Return the microseconds in the middle of a step."""
    (square,) = struct.unpack("=f", struct.pack("=I", step << 16 | 1 << 15))
    return round(math.sqrt(square) * 1e6)
