"""A Booster's trees as tables of bits, so that NumPy finds the leaves of all trees for many rows in a dozen calls.

Each leaf of a tree has a bit, the leftmost one the lowest. A branch that sends a row to the right excludes the leaves
on its left, and the leaf a row comes to is the leftmost that no branch excludes (Lucchese and others, "QuickScorer",
SIGIR 2015). Between two neighbouring thresholds of a feature nothing changes, so what a value excludes in all trees is
worked out once for each such interval: a row of the table, one mask a tree. A request's row then needs the interval of
each of its numbers and the AND of the table's rows found there.

Leaf values are added in the order of the trees, in float32, as XGBoost adds them: the same sums, bit for bit.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.forest import Facts, Forest

    Matrix = NDArray[np.float32]

#: Bytes of a table at most, and of its rows that one row of numbers needs: beyond them other ways are quicker.
MOST_BYTES, MOST_ROW_BYTES = 32 << 20, 128 << 10
#: Leaves of a tree, at most → how the lowest bit of a mask becomes a number: by a De Bruijn sequence and a shift.
_WIDTHS: dict[int, tuple[Any, int, int]] = {
    16: (np.uint16, 0x09AF, 12),
    32: (np.uint32, 0x077CB531, 27),
    64: (np.uint64, 0x03F79D71B4CB0A89, 58),
}
#: Bytes that the tables' rows for one step may take.
_BLOCK_BYTES = 1 << 20
_MOST_AT_ONCE = 64
#: Elements that are worked out at once while a table is made.
_STEP = 1 << 22
#: Float32 as signed whole numbers: -0.0, the first after it, the first NaN below zero, 0.0, the first NaN above zero.
_MINUS_ZERO, _BELOW_ZERO, _NAN_BELOW, _ZERO, _NAN_ABOVE = (
    -(1 << 31), 1 - (1 << 31), 0xFF800001 - (1 << 32), 0, 0x7F800001)  # fmt: skip
#: How far apart features lie among the intervals' ends.
_APART = 33
#: How what `LeafMasks.kept` returns begins.
MAGIC = b"\x93NUMPY"


class Tables(NamedTuple):
    """What is kept of a model."""

    #: Features that any tree looks at, ascending.
    used: NDArray[np.int64]
    #: Lower ends of all intervals: the number of the feature in `used`, then the bits of a float32; ascending.
    ends: NDArray[np.int64]
    #: (intervals, trees), unsigned: leaves that are left. Trees are ordered by round, then output.
    masks: NDArray[Any]
    #: (trees x bits of a mask): a leaf's value, at the place that its bit stands for.
    values: Matrix
    #: (outputs,)
    intercept: Matrix


class LeafMasks:
    """One model, from rows to margins."""

    def __init__(self, tables: Tables, features: int) -> None:
        """features: columns of the rows."""
        self._tables = tables
        count = tables.masks.shape[1]
        self._outputs = len(tables.intercept)
        self._rounds = count // self._outputs
        bits = tables.masks.dtype.itemsize * 8
        kind, sequence, self._shift = _WIDTHS[bits]
        self._sequence = kind(sequence)
        self._first: NDArray[Any] = np.arange(count, dtype=kind) * kind(bits)
        self._offsets = np.arange(len(tables.used)) << _APART
        self._used = tables.used if len(tables.used) < features else None
        self._intercept = tables.intercept[:, None]
        row = tables.masks[:1].nbytes * len(tables.used)
        self._most = max(1, min(_MOST_AT_ONCE, _BLOCK_BYTES // row))

    def margins(self, rows: Matrix) -> Matrix:
        """Return the sums of leaves.

        rows: (rows, features), C-contiguous, NaN for missing, none infinite. Returns (rows, outputs).
        """
        if len(rows) <= self._most:
            return self._sums(self._leaves(rows))
        return np.concatenate([self._sums(self._leaves(part)) for part in self._parts(rows)])

    def leaves(self, rows: Matrix) -> NDArray[np.int64]:
        """Return the place in `values` of the leaf that each row comes to, (trees, rows)."""
        return np.concatenate([self._leaves(part) for part in self._parts(rows)], axis=1)

    def _parts(self, rows: Matrix) -> list[Matrix]:
        """Cut rows into as many as one step takes."""
        return [rows[start : start + self._most] for start in range(0, len(rows), self._most)]

    def _leaves(self, rows: Matrix) -> NDArray[np.int64]:
        _, ends, masks, _, _ = self._tables
        if self._used is not None:
            rows = rows.take(self._used, axis=1)
        at = ends.searchsorted(rows.view(np.int32) + self._offsets, "right")
        at -= 1
        left = np.bitwise_and.reduce(masks.take(at, axis=0), axis=1)
        left &= -left
        left *= self._sequence
        left >>= self._shift
        left += self._first
        return left.T.astype(np.int64, order="C")

    def _sums(self, leaves: NDArray[np.int64]) -> Matrix:
        values = self._tables.values.take(leaves).reshape(self._rounds, self._outputs, -1)
        values[0] += self._intercept
        if values[0].size == 1:  # `reduce` would add it in pairs
            return np.add.accumulate(values, axis=0)[-1]
        return np.add.reduce(values, axis=0).T

    def kept(self, notes: Mapping[str, str]) -> bytes:
        """Return it as a file, with notes."""
        file = io.BytesIO()
        for part in (np.frombuffer(json.dumps(notes).encode(), np.uint8), *self._tables):
            np.save(file, part, allow_pickle=False)
        return file.getvalue()


def read(kept: bytes) -> tuple[Tables, dict[str, str]]:
    """Return what `LeafMasks.kept` wrote. Raises ValueError or EOFError for anything else."""
    file = io.BytesIO(kept)
    notes, *parts = [np.load(file, allow_pickle=False) for _ in range(1 + len(Tables._fields))]
    return Tables(*parts), json.loads(notes.tobytes())


def fits(facts: Facts, forest: Forest) -> bool:
    """Say whether no tree has too many leaves for a mask, and the table is small enough."""
    if not facts.trees:
        return False  # nobody would gain
    most = int(np.bincount(forest.tree[forest.is_leaf]).max())
    if most > max(_WIDTHS):
        return False
    splits = ~forest.is_leaf
    pairs = np.unique(
        np.stack([forest.feature[splits], forest.value[splits].view(np.int32)]), axis=1
    )
    used = max(1, len(np.unique(pairs[0])))
    columns = _rounds(facts, forest) * facts.outputs
    each = columns * _width_for(most, columns) // 8
    return used * each <= MOST_ROW_BYTES and (pairs.shape[1] + 5 * used) * each <= MOST_BYTES


def make(facts: Facts, forest: Forest) -> tuple[Tables, NDArray[np.int64]]:
    """Return the tables of a model that `fits`, and which node of which tree each place in `values` is: tree, node.

    The second is (places, 2), -1 for places that no leaf has.
    """
    left, right = forest.children()
    first, leaves = _counted(forest, left, right)
    is_leaf = forest.is_leaf
    columns = _rounds(facts, forest) * facts.outputs
    bits = _width_for(int(leaves.max()), columns)
    kind, sequence, shift = _WIDTHS[bits]
    column = _columns(facts, forest)[forest.tree]

    roots = np.flatnonzero(forest.node == 0)
    whole = np.ones(columns, kind)  # a column that no tree has keeps one leaf, of nothing
    whole[column[roots]] = _ones(leaves[roots]).astype(kind)
    splits = np.flatnonzero(~is_leaf)
    kept = np.zeros(forest.tree.size, np.uint64)
    kept[splits] = ~(_ones(leaves[left[splits]]) << first[splits].astype(np.uint64))

    used = np.unique(forest.feature[splits]) if splits.size else np.zeros(1, np.int64)
    ends: list[NDArray[np.int64]] = []
    masks: list[NDArray[Any]] = []
    for number, feature in enumerate(used.tolist()):
        here = splits[forest.feature[splits] == feature]
        here = here[np.argsort(column[here], kind="stable")]
        found = _intervals(forest.value[here])
        table = np.repeat(whole[None], len(found), axis=0)
        if here.size:
            _exclude(table, found, here, (forest, column, kept.astype(kind)))
        ends.append(found + (number << _APART))
        masks.append(table)

    values = np.zeros(columns * bits, np.float32)
    nodes = np.full((columns * bits, 2), -1)
    bit = np.uint64(1) << first[is_leaf].astype(np.uint64)
    place = (bit.astype(kind) * kind(sequence)) >> kind(shift)
    at = column[is_leaf] * bits + place.astype(np.int64)
    values[at] = forest.value[is_leaf]
    nodes[at, 0], nodes[at, 1] = forest.tree[is_leaf], forest.node[is_leaf]
    made = Tables(used, np.concatenate(ends), np.concatenate(masks), values, forest.intercept)
    return made, nodes


def _exclude(
    table: NDArray[Any],
    ends: NDArray[np.int64],
    splits: NDArray[np.int64],
    of: tuple[Forest, NDArray[np.int64], NDArray[Any]],
) -> None:
    """Take out of each interval's masks what the splits of its feature exclude there; splits: by column."""
    forest, column, kept = of
    columns, starts = np.unique(column[splits], return_index=True)
    threshold, to_right = forest.value[splits], forest.missing_left[splits] == 0
    step = max(1, _STEP // splits.size)
    for start in range(0, len(ends), step):
        # any number of an interval stands for all of them
        value = ends[start : start + step].astype(np.int32).view(np.float32)[:, None]
        with np.errstate(invalid="ignore"):  # some NaN are there to signal
            goes_right = (value >= threshold) | (np.isnan(value) & to_right)
        left = np.where(goes_right, kept[splits], ~kept.dtype.type(0))
        table[start : start + step, columns] &= np.bitwise_and.reduceat(left, starts, axis=1)


def _intervals(thresholds: Matrix) -> NDArray[np.int64]:
    """Return the lower ends of the intervals between thresholds, as signed whole numbers of a float32's bits.

    As such numbers, the floats above zero ascend, and those below it ascend from -0.0 away: an interval starts at a
    threshold that is not negative, and behind one that is.
    """
    bits = (thresholds + np.float32(0)).view(np.int32).astype(np.int64)
    extra = [_MINUS_ZERO, _NAN_BELOW, _ZERO, _NAN_ABOVE]
    if (bits == _ZERO).any():
        extra.append(_BELOW_ZERO)  # -0.0 is not less than 0
    return np.unique(np.concatenate([bits[bits >= 0], bits[bits < 0] + 1, np.array(extra)]))


def _ones(count: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return numbers with so many of the lowest bits set, 1 to 64."""
    return ~np.uint64(0) >> (64 - count).astype(np.uint64)


def _width_for(leaves: int, columns: int) -> int:
    """Return the least width that has a bit for each leaf, and numbers for the leaves of all trees."""
    return next(
        width for width in _WIDTHS if leaves <= width and (columns * width).bit_length() <= width
    )


def _rounds(facts: Facts, forest: Forest) -> int:
    """Return how many trees the output with the most of them has."""
    return int(np.bincount(_outputs(forest), minlength=facts.outputs).max())


def _outputs(forest: Forest) -> NDArray[np.int64]:
    """Return the output that each tree adds to."""
    return forest.output[forest.node == 0]


def _columns(facts: Facts, forest: Forest) -> NDArray[np.int64]:
    """Return each tree's column: its number among the trees of its output, then the output."""
    outputs = _outputs(forest)
    columns = np.empty(len(outputs), np.int64)
    for output in range(facts.outputs):
        of = np.flatnonzero(outputs == output)
        columns[of] = np.arange(len(of)) * facts.outputs + output
    return columns


def _counted(
    forest: Forest, left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each node how many leaves of its tree lie left of its own, and how many are its own."""
    levels = [np.flatnonzero(forest.node == 0)]
    while (splits := levels[-1][left[levels[-1]] >= 0]).size:
        levels.append(np.concatenate([left[splits], right[splits]]))
    leaves = np.ones(forest.tree.size, np.int64)
    for level in reversed(levels):
        splits = level[left[level] >= 0]
        leaves[splits] = leaves[left[splits]] + leaves[right[splits]]
    first = np.zeros(forest.tree.size, np.int64)
    for level in levels:
        splits = level[left[level] >= 0]
        first[left[splits]] = first[splits]
        first[right[splits]] = first[splits] + leaves[left[splits]]
    return first, leaves
