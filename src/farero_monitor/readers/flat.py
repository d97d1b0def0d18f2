"""Flat data sets: CSV, Parquet, JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.readers import table
from farero_monitor.readers.files import blocks, documents_of
from farero_monitor.untyped import pa, pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from farero_monitor.profile.dataset import Unread

_ROWS = 131_072

#: A row of named values, as texts.
Texts = dict[str, str | None]


def csv_tables(  # noqa: PLR0913, PLR0917
    path: Path, start: int, end: int | None, names: Sequence[str] | None,
    missing: Sequence[str], unread: Unread, skip: int = 0,
) -> Iterator[Any]:  # fmt: skip
    """Yield the rows of a CSV file between two bytes. names: of the columns; None numbers them; skip: lines."""
    line = 0
    for whole in blocks(path, start, end, unread, quoted=True):
        block = whole
        for _ in range(skip):
            block = block[block.index(b"\n") + 1 :]
            line += 1
        skip = 0
        if not block:
            continue
        if names is None:
            names = table.numbered(table.width(block))
        try:
            yield table.parse(block, names, missing, unread, path.name, line)
        except table.NotCsvError:
            # one bad byte must not cost a whole block: halve it line by line
            yield from _by_lines(block, names, missing, unread, path.name, line)
        line += block.count(b"\n")


def _by_lines(  # noqa: PLR0913, PLR0917
    block: bytes, names: Sequence[str], missing: Sequence[str], unread: Unread, file: str, line: int
) -> Iterator[Any]:
    lines = block.splitlines(keepends=True)
    if len(lines) == 1:
        unread.add(file, f"line {line + 1}", "not text in UTF-8, or not CSV")
        return
    half = len(lines) // 2
    for part, before in ((lines[:half], 0), (lines[half:], half)):
        text = b"".join(part)
        try:
            yield table.parse(text, names, missing, unread, file, line + before)
        except table.NotCsvError:
            yield from _by_lines(text, names, missing, unread, file, line + before)


def parquet_tables(path: Path, groups: Sequence[int] | None = None) -> Iterator[Any]:
    """Yield the row groups of a Parquet file, typed as they are stored."""
    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    texts = [
        name
        for name, kind in zip(schema.names, schema.types, strict=True)
        if pa.types.is_string(kind)
    ]
    # a dictionary is counted by the places in it; a column that has none in the file is given one
    with pq.ParquetFile(path, read_dictionary=texts, metadata=metadata) as file:
        yield from file.iter_batches(_ROWS, row_groups=groups, use_threads=False)


def json_tables(path: Path, start: int, end: int | None, unread: Unread) -> Iterator[Any]:
    """Yield the objects of a file of JSON lines, nested ones written flat (`a.b`, `a.0`)."""
    decode = msgspec.json.Decoder().decode
    line = 0
    for block in blocks(path, start, end, unread):
        found = documents_of(block, decode, unread, "not JSON", path.name, line)
        rows = [flatten(document) for _, _, document in found]
        line += block.count(b"\n")
        if rows:
            yield of_records(rows)


def flatten(value: Any, prefix: str = "") -> Texts:
    """Write nested JSON flat, each value as its text; an empty list or object gives nothing."""
    if isinstance(value, dict):
        items = [(str(key), held) for key, held in cast("dict[Any, Any]", value).items()]
    elif isinstance(value, list):
        items = [(str(index), held) for index, held in enumerate(cast("list[Any]", value))]
    else:
        return {prefix or "_c0": text(value)}
    flat: Texts = {}
    for key, held in items:
        flat.update(flatten(held, f"{prefix}.{key}" if prefix else key))
    return flat


def text(value: object) -> str | None:
    """Return a JSON value as the text by which its type is found again."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return value or None
        case _:
            return repr(value)


def of_records(rows: Sequence[Texts]) -> Any:
    """Return records as a table of texts; a key that a record lacks is missing there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    )
