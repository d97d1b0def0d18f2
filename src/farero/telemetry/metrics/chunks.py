"""Many periods of one metric in few bytes: columns of figures, and one table of how many values fell where.

The table has a row a period and a column a bucket of the sketches; stored column by column, because neighbours in time
are alike, it takes little more than its entropy. A row holds a period's counts as they are as long as there are few.
Of many values it holds which of some 140 ranks fell into each bucket: each whole percent, each tenth of a percent in
the outermost percent, each hundredth in its outermost tenth. A percentile of such a rank is what it was before packing,
any other one is of a rank at most half such a step away. Whole numbers stay as they are, others keep seven digits.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from farero.telemetry.metrics.sketch import Sketch, value_of
from farero.telemetry.metrics.statistics import Summary

try:
    import lzma
except ImportError:  # a Python that was built without it; its chunks are a sixth larger
    lzma = None

if TYPE_CHECKING:
    from collections.abc import Sequence

#: As many values as this are counted one by one.
FEW = 128
#: Shares of all values at which a row of many is cut, the last being all of them.
GRID = sorted(
    {k / 100 for k in range(1, 101)}
    | {side / 1000 for k in range(1, 11) for side in (k, 1000 - k)}
    | {side / 10_000 for k in range(1, 11) for side in (k, 10_000 - k)}
)
#: What share of all is taken to lie up to the k-th cut: half the way to the next, so that errors have no side.
_REACHED = [0.0, *((a + b) / 2 for a, b in pairwise(GRID)), 1.0]
_LZMA = [{"id": 0x21, "dict_size": 1 << 20, "lc": 0, "lp": 0, "pb": 0}]
#: How a period's values are known.
_UNKNOWN, _EQUAL, _COUNTED, _CUT = range(4)


class Point(NamedTuple):
    """One period of a metric."""

    #: Seconds since 1970.
    at: int
    summary: Summary


class _Chunk(msgspec.Struct, array_like=True):
    #: Compressed `_Columns`.
    columns: bytes
    #: The table, compressed too.
    cells: bytes
    is_lzma: bool


class _Columns(msgspec.Struct, array_like=True):
    #: Each but the first as its distance from the one before.
    times: list[int]
    kinds: bytes
    samples: list[int] | bytes
    totals: list[int] | bytes
    least: list[int] | bytes
    most: list[int] | bytes
    #: Keys of the table's columns, as distances too.
    keys: list[int]


class _Table:
    """Rows of counts, unpacked when somebody asks for the first."""

    def __init__(self, chunk: _Chunk, keys: list[int], height: int) -> None:
        self._chunk = chunk
        self.keys = keys
        self._height = height

    def row(self, number: int) -> bytes:
        return self._cells[number :: self._height]

    @cached_property
    def middles(self) -> list[float]:
        return [value_of(key) for key in self.keys]

    @cached_property
    def _cells(self) -> bytes:
        return _decompress(self._chunk.cells, is_lzma=self._chunk.is_lzma)


class Row:
    """The values of one period within its table; a call makes a sketch of them."""

    __slots__ = ("_count", "_is_cut", "_number", "_table")

    def __init__(self, table: _Table, number: int, count: float, *, is_cut: bool) -> None:
        self._table = table
        self._number = number
        self._count = count
        self._is_cut = is_cut

    def __call__(self) -> Sketch:
        """Return the sketch."""
        row = self._table.row(self._number)
        counts: Sequence[float] = row
        if self._is_cut:
            reached = [_REACHED[cuts] * self._count for cuts in accumulate(row, initial=0)]
            counts = [after - before for before, after in pairwise(reached)]
        return Sketch.from_cells(zip(self._table.keys, counts, strict=True))

    def percentile(self, share: float) -> float:
        """Return the smallest value that is not exceeded by that share of all, without making a sketch."""
        sums = list(accumulate(self._table.row(self._number)))
        wanted = share * (1 - 1e-12)
        rank = bisect_left(_REACHED, wanted) if self._is_cut else wanted * self._count
        return self._table.middles[min(bisect_left(sums, rank), len(sums) - 1)]


def pack(points: Sequence[Point]) -> bytes:
    """Return the periods as bytes; one or more, oldest first."""
    kinds = bytes(map(_kind, points))
    found = [
        _cells(point.summary, kind)
        for kind, point in zip(kinds, points, strict=True)
        if kind in (_COUNTED, _CUT)
    ]
    keys = sorted({key for row in found for key in row})
    table = b"".join(bytes(row.get(key, 0) for row in found) for key in keys)
    summaries = [point.summary for point in points]
    columns = _Columns(
        times=_steps([point.at for point in points]),
        kinds=kinds,
        samples=_numbers([one.count for one in summaries]),
        totals=_numbers([one.total for one in summaries]),
        least=_numbers([one.least for one in summaries]),
        most=_numbers([one.most for one in summaries]),
        keys=_steps(keys),
    )
    packed = msgspec.msgpack.encode(columns)
    return msgspec.msgpack.encode(_Chunk(_compress(packed), _compress(table), lzma is not None))


def unpack(data: bytes) -> list[Point]:
    """Return what `pack` was given; the table stays packed until a percentile is asked for.

    Raises ValueError for what another version packed in another way.
    """
    chunk = msgspec.msgpack.decode(data, type=_Chunk)
    packed = _decompress(chunk.columns, is_lzma=chunk.is_lzma)
    columns = msgspec.msgpack.decode(packed, type=_Columns)
    height = columns.kinds.count(_COUNTED) + columns.kinds.count(_CUT)
    table = _Table(chunk, list(accumulate(columns.keys)), height)
    found: list[Point] = []
    number = 0
    for at, kind, count, total, least, most in zip(
        accumulate(columns.times),
        columns.kinds,
        _read(columns.samples),
        _read(columns.totals),
        _read(columns.least),
        _read(columns.most),
        strict=True,
    ):
        known = None
        if kind >= _COUNTED:
            known = Row(table, number, count, is_cut=kind == _CUT)
            number += 1
        elif kind == _EQUAL:
            known = Equal(least, count)
        found.append(Point(at, Summary(count, total, least, most, known)))
    return found


class Equal(NamedTuple):
    """Values that are all the same; a call makes a sketch of them."""

    value: float
    times: float

    def __call__(self) -> Sketch:
        """Return the sketch."""
        made = Sketch()
        made.add(self.value, self.times)
        return made

    def percentile(self, _share: float) -> float:
        """Return the value."""
        return self.value


def _compress(data: bytes) -> bytes:
    if lzma is None:
        return zlib.compress(data, 9)
    return lzma.compress(data, lzma.FORMAT_RAW, filters=_LZMA)


def _decompress(data: bytes, *, is_lzma: bool) -> bytes:
    if not is_lzma:
        return zlib.decompress(data)
    assert lzma is not None
    return lzma.decompress(data, lzma.FORMAT_RAW, filters=_LZMA)


def _kind(point: Point) -> int:
    found = point.summary
    if found.known is None:
        return _UNKNOWN
    if found.least == found.most:
        return _EQUAL
    assert found.sketch is not None
    is_counted = found.count <= FEW and all(
        count == int(count) and 0 <= count <= FEW for _, count in found.sketch.cells()
    )
    return _COUNTED if is_counted else _CUT


def _cells(summary: Summary, kind: int) -> dict[int, int]:
    """Return what a row holds, by key."""
    assert summary.sketch is not None
    cells = summary.sketch.cells()
    if kind == _COUNTED:
        return {key: int(count) for key, count in cells}
    whole = sum(count for _, count in cells)
    sums = accumulate(count for _, count in cells)
    cuts = [0, *(bisect_right(GRID, one / whole * (1 + 1e-12)) for one in sums)]
    cuts[-1] = len(GRID)
    return {
        key: after - before
        for (key, _), (before, after) in zip(cells, pairwise(cuts), strict=True)
        if after > before
    }


def _steps(numbers: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise([0, *numbers])]


def _numbers(values: Sequence[float]) -> list[int] | bytes:
    """Return whole numbers as such; others as bytes, all first ones, then all second ones, and so on."""
    if all(abs(value) < 2**53 and value == int(value) for value in values):
        return [int(value) for value in values]
    width, code = 8, "d"
    try:
        raw = struct.pack(f"<{len(values)}f", *values)
    except OverflowError:
        raw = b""
    if raw and all(map(_is_near, struct.unpack(f"<{len(values)}f", raw), values)):
        width, code = 4, "f"
    else:
        raw = struct.pack(f"<{len(values)}d", *values)
    return code.encode() + b"".join(raw[place::width] for place in range(width))


def _is_near(short: float, value: float) -> bool:
    return short == value or (value != int(value) and abs(short - value) <= 1e-7 * abs(value))


def _read(column: list[int] | bytes) -> Sequence[float]:
    if isinstance(column, list):
        return [float(value) for value in column]
    code, planes = column[:1].decode(), column[1:]
    count = len(planes) // (4 if code == "f" else 8)
    raw = b"".join(bytes(planes[place::count]) for place in range(count))
    return struct.unpack(f"<{count}{code}", raw)
