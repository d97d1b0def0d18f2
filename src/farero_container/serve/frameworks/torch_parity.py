"""Proof that a graph answers as the network it was made of, on rows made from the sample.

Rows: the sample's, the same numbers in another order, halved, negated, ten times as large, with noise, zeros, noise
alone; then such that are not finite or very large, which ONNX Runtime's kernels treat otherwise (its ReLU makes 0 of
NaN): up to which size the answers agree is found out, and what lies beyond is left to PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]
    #: Rows → the tensors of their answer.
    Answer = Callable[[Array], Sequence[Array]]

#: How far two answers may be apart: of the number, and of the largest in its tensor (or of 1, if that is less).
RTOL, ATOL = 1e-4, 1e-5
#: Rows that are answered together while it is proved.
SIZES = (1, 2, 4, 7)
#: Sizes of numbers up to which answers may agree; the first that holds is taken.
LIMITS = (1e30, 1e12, 1e6, 1e4)
_MOST_OF_SAMPLE = 4


class Differs(Exception):  # noqa: N818 - a finding
    """Where graph and network do not agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found to be the same."""

    batches: int
    #: Whether rows may be answered together: each comes out as it does alone.
    is_together: bool
    #: Whether the network takes one row without the dimension of rows, and answers what it answers to that row.
    is_bare: bool
    #: Numbers of this size at most; None for all, infinite ones and NaN, too.
    limit: float | None
    #: The largest difference, as a part of the largest number of its tensor, or of 1.
    worst: float


def prove(network: Answer, graph: Answer, sample: Array) -> Proof:
    """Compare both. Raises Differs, or what the network raises for the sample."""
    rows = _rows(sample)
    alone = [network(row[None]) for row in rows]
    again = [network(row[None]) for row in rows[:2]]
    if any(_distance(one, other) > 0 for one, other in zip(again, alone, strict=False)):
        raise Differs("the network itself answers the same row differently each time")
    is_together = _is_together(network, rows, alone)
    worst, batches = 0.0, 0
    for batch in _batches(rows, SIZES if is_together else (1,)):
        distance = _distance(graph(batch), network(batch))
        if distance > 1:
            raise Differs(f"an answer to {len(batch)} rows differs by {distance * ATOL:.1e}")
        worst, batches = max(worst, distance * ATOL), batches + 1
    limit = _limit(network, graph, rows, SIZES[2] if is_together else 1)
    return Proof(
        batches=batches, is_together=is_together, is_bare=_is_bare(network, rows, alone), limit=limit, worst=worst,
    )  # fmt: skip


def _rows(sample: Array) -> Array:
    """Return the sample's first rows and others made of them."""
    dice = np.random.default_rng(7)
    kept = sample[:_MOST_OF_SAMPLE]
    spread = float(kept.std()) or 1.0
    made = [kept]
    for row in kept:
        noise = dice.normal(scale=spread, size=(3, *row.shape))
        mixed = dice.permutation(row.reshape(-1)).reshape(row.shape)
        made.append(np.stack([mixed, row[::-1], row / 2, -row, row * 10, row + noise[0], noise[1] + row.mean(),
                              noise[2] * 3]))  # fmt: skip
    made.append(np.stack([np.zeros_like(kept[0]), np.ones_like(kept[0])]))
    return np.concatenate(made).astype(sample.dtype)


def _limit(network: Answer, graph: Answer, rows: Array, size: int) -> float | None:
    """Return up to which size of numbers both answer alike; None for all there are, infinite ones and NaN, too."""

    def agree(made: Array) -> bool:
        return all(
            _distance(graph(batch), network(batch)) <= 1 for batch in _batches(made, (1, size))
        )

    if agree(_not_finite(rows)):
        return None
    own = float(np.abs(rows).max())
    return next((one for one in LIMITS if one > own and agree(_large(rows, one))), own)


def _batches(rows: Array, sizes: Sequence[int]) -> Generator[Array]:
    """Yield all rows, in batches of each size; the last of them start again."""
    for size in sizes:
        for start in range(0, len(rows), size):
            yield np.take(rows, range(start, start + size), axis=0, mode="wrap")


def _large(rows: Array, size: float) -> Array:
    """Return rows with numbers of that size: all of them, one of them, some of both signs."""
    dice = np.random.default_rng(8)
    row = rows[0]
    one, some = row.copy(), row.copy()
    one.reshape(-1)[one.size // 2] = size
    some.reshape(-1)[:: max(3, some.size // 5)] = -size
    signs = dice.choice([-1.0, 1.0], size=row.shape)
    made: list[Array] = [one, some, np.full_like(row, size), signs * size]
    with np.errstate(all="ignore"):
        made.append(cast("Array", dice.normal(size=row.shape) * size / 8))
        return np.stack(made).astype(rows.dtype)


def _not_finite(rows: Array) -> Array:
    largest = float(np.finfo(rows.dtype).max)
    made = [_large(rows, value) for value in (np.nan, np.inf, largest)]
    return np.concatenate(made)


def _is_together(network: Answer, rows: Array, alone: Sequence[Sequence[Array]]) -> bool:
    """Say whether the network answers each row as it does alone, in whatever company."""
    try:
        for size in SIZES[1:]:
            for start in range(0, len(rows) - size + 1, size):
                found = network(rows[start : start + size])
                parts = zip(*alone[start : start + size], strict=True)
                if _distance(found, [np.concatenate(part) for part in parts]) > 1:
                    return False
    except Exception:  # noqa: BLE001 - some networks take one row only
        return False
    return True


def _is_bare(network: Answer, rows: Array, alone: Sequence[Sequence[Array]]) -> bool:
    try:
        return all(_distance(network(row), [part[0] for part in answer]) <= 1
                   for row, answer in zip(rows, alone, strict=True))  # fmt: skip
    except Exception:  # noqa: BLE001 - most networks take rows only
        return False


def _distance(one: Sequence[Array], other: Sequence[Array]) -> float:
    """Return how far answers are apart, in parts of what they may be; inf where they are of another form."""
    if len(one) != len(other):
        return np.inf
    worst = 0.0
    for first, second in zip(one, other, strict=True):
        if first.shape != second.shape or first.dtype != second.dtype:
            return np.inf
        if not np.issubdtype(first.dtype, np.floating):
            worst = max(worst, 0.0 if np.array_equal(first, second) else np.inf)
            continue
        finite = np.isfinite(second)
        if not np.array_equal(first[~finite], second[~finite], equal_nan=True):
            return np.inf
        values, wanted = first[finite].astype(np.float64), second[finite].astype(np.float64)
        if values.size:
            size = np.abs(wanted)
            allowed = RTOL * size + ATOL * max(1.0, float(size.max()))
            apart = np.abs(values - wanted) / allowed
            worst = max(worst, float(np.where(np.isnan(apart), np.inf, apart).max()))
    return worst
