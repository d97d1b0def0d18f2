"""SageMaker's capture files: a record a line, each with a request and its answer, as one row of values.

Two ways give the same rows. The fast one takes a block of which every line has the very same shape and CSV on both
sides: a CSV parser that splits at double quotes finds the payloads without reading JSON. Whatever else there is (an
escape, another encoding, a missing half, a script) is read record by record (`records.py`).

The values of the answer come before those of the request, as the analyzer of AWS has them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero_monitor.readers import table
from farero_monitor.readers.files import blocks
from farero_monitor.readers.records import FIRST, tables_of_records
from farero_monitor.untyped import arrow_csv, pa, pc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farero_monitor.profile.dataset import Profile
    from farero_monitor.readers.options import Options

_INPUT = b'{"captureData":{"endpointInput":{"observedContentType":"'
_SENT = b'","mode":"INPUT","data":"'
_GOT = b'","mode":"OUTPUT","data":"'
_BETWEEN = b'","encoding":"CSV"},"endpointOutput":{"observedContentType":"'
_END = b'","encoding":"CSV"}},"eventMetadata":{"eventId":"'
_TIME = "inferenceTime"


def capture_tables(
    path: Path, start: int, end: int | None, options: Options, profile: Profile
) -> Iterator[Any]:
    """Yield the rows of a capture file between two bytes; times go into `profile`, bad lines into its `unread`."""
    line = 0
    for block in blocks(path, start, end, profile.unread):
        fast = None if options.script else _fast(block, options, profile, path.name)
        if fast is None:
            yield from tables_of_records(block, options, profile, path.name, line)
            line += block.count(b"\n")
        else:
            made, lines = fast
            yield made
            line += lines


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the values of a line stand among its pieces between double quotes."""

    pieces: int
    halves: tuple[int, ...]
    time: int
    #: What stands before the first half, and between the two.
    before: bytes
    between: bytes


def _shape(line: bytes) -> _Shape | None:
    pieces = line.split(b'"')
    places = [index + 2 for index, piece in enumerate(pieces) if piece == b"data"]
    times = [index + 2 for index, piece in enumerate(pieces) if piece == _TIME.encode()]
    if not places or len(places) > 2 or len(times) != 1:
        return None
    before = b'"'.join(pieces[: places[0]]) + b'"'
    between = b'"' + b'"'.join(pieces[places[0] + 1 : places[-1]]) + b'"'
    return _Shape(len(pieces), tuple(places), times[0], before, between)


def _alike(block: bytes, lines: int, shape: _Shape) -> bool:
    """Tell whether every line has the keys of a capture record in their usual order and CSV in it."""
    if block.count(_END) != lines:
        return False
    if len(shape.halves) == 1:
        # answers alone are rare: they are read record by record
        return block.count(_INPUT) == block.count(_SENT) == lines
    if (
        shape.before.startswith(_INPUT) and shape.before.endswith(_SENT)
        and shape.between.startswith(_BETWEEN) and shape.between.endswith(_GOT)
        and block.count(shape.before) == block.count(shape.between) == lines
    ):  # fmt: skip
        return True  # all are of the first one's content types
    counts = {block.count(part) for part in (_INPUT, _SENT, _BETWEEN, _GOT)}
    return counts == {lines}


def _split(block: bytes) -> Any | None:
    """Return a block's payloads and times as columns, None if its lines are not alike."""
    shape = _shape(block[: block.index(b"\n")])
    if shape is None or b"\\" in block:
        return None
    # the key of the time, too: that it stands before each of them
    wanted = [f"f{place}" for place in (*shape.halves, shape.time - 2, shape.time)]
    try:
        split = arrow_csv.read_csv(
            pa.BufferReader(block),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=len(block) + 1, autogenerate_column_names=True
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter='"', quote_char=False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False, check_utf8=True,
            ),
        ).combine_chunks()  # fmt: skip
    except pa.ArrowInvalid:
        return None
    keys = split.column(wanted[-2]).chunk(0)
    if not pc.all(pc.equal(keys, _TIME)).as_py() or not _alike(block, split.num_rows, shape):
        return None
    return split.drop_columns(wanted[-2])


def _fast(block: bytes, options: Options, profile: Profile, file: str) -> tuple[Any, int] | None:
    """Return a block's rows as a table of texts and its lines; None if it has to be read record by record."""
    split = _split(block)
    if split is None:
        return None
    lines, times = split.num_rows, split.column(split.num_columns - 1).chunk(0)
    if options.start or options.end:
        kept = pc.and_(pc.greater_equal(times, options.start), pc.less(times, options.end or "~"))
        outside = lines - (pc.sum(kept).as_py() or 0)
        if outside:
            split, times = split.filter(kept).combine_chunks(), times.filter(kept)
        if not len(times):
            profile.outside += outside
            return pa.table({}), lines
    halves = [column.chunk(0) for column in reversed(split.columns[:-1])]
    made = _rows(halves, options, profile, file)
    if made is None:
        return None
    profile.outside += lines - len(times)
    extremes = pc.min_max(times).as_py()
    profile.seen(extremes["min"])
    profile.seen(extremes["max"])
    return made, lines


def _rows(halves: list[Any], options: Options, profile: Profile, file: str) -> Any | None:
    """Return the table of payloads joined row by row; None if that takes reading them record by record."""
    first = [half.slice(0, FIRST).to_pylist() for half in halves]
    if not all(text for texts in first for text in texts):
        return None
    wide = Counter(sum(text.count(",") + 1 for text in row) for row in zip(*first, strict=True))
    most = wide.most_common(1)[0][0]
    counts = next(
        found
        for row in zip(*first, strict=True)
        if sum(found := [text.count(",") + 1 for text in row]) == most
    )
    outputs = counts[0] if len(halves) == 2 else 0
    joined = pc.binary_join_element_wise(*halves, ",")
    lines = pa.ListArray.from_arrays(pa.array([0, len(joined)], pa.int32()), joined)
    buffer = pc.binary_join(lines, "\n")[0].as_buffer()
    names = options.columns(outputs, most - outputs)
    profile.answers.update(names[:outputs])
    try:
        return table.parse(buffer, names, options.missing, profile.unread, file)
    except table.NotCsvError:
        return None
