"""CSV text as a pyarrow table of texts: nothing is guessed here, types are found by counting."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING, Any

from farero_monitor.profile.dataset import Unread
from farero_monitor.untyped import arrow_csv, pa

if TYPE_CHECKING:
    from collections.abc import Sequence


#: What counts as missing, as in Spark's CSV reader and JSON; NaN is missing too, wherever it stands among numbers.
MISSING = ("", "null", "NULL", "None")


class NotCsvError(Exception):
    """A block that the CSV parser does not take."""


def unique(names: Sequence[str]) -> list[str]:
    """Return names without repetition: a second `x` becomes `x.1`; an empty one is named by its place."""
    taken: set[str] = set()
    made: list[str] = []
    for index, name in enumerate(names):
        wanted = plain = name.strip() or f"_c{index}"
        number = 0
        while wanted in taken:
            number += 1
            wanted = f"{plain}.{number}"
        taken.add(wanted)
        made.append(wanted)
    return made


def numbered(count: int) -> list[str]:
    """Return the names of columns without a header, as Spark gives them."""
    return [f"_c{index}" for index in range(count)]


def header(line: bytes) -> list[str]:
    """Return the names in a header line."""
    text = line.decode("utf-8-sig", "replace")
    return unique(next(csv.reader([text]), list[str]()))


def width(block: bytes) -> int:
    """Return how many values most of the first rows have."""
    first = block[: 1 << 16].decode("utf-8", "replace").splitlines()[:100]
    found = Counter(len(row) for row in csv.reader(first) if row)
    return found.most_common(1)[0][0] if found else 0


def parse(  # noqa: PLR0913, PLR0917
    text: Any,
    names: Sequence[str],
    missing: Sequence[str],
    unread: Unread,
    file: str,
    line: int = 0,
) -> Any:
    """Return a block of CSV rows as a table of texts; rows of another length are counted in `unread`.

    text: bytes or a pyarrow buffer; line: lines of the file before this block. Raises NotCsvError.
    """
    skipped = Unread()

    def bad(row: Any) -> str:
        place = f"line {line + row.number}" if row.number is not None else f"row {row.text[:40]!r}"
        skipped.add(file, place, f"{row.actual_columns} values instead of {row.expected_columns}")
        return "skip"

    newlines = b'"' in text if isinstance(text, bytes) else False
    try:
        found = arrow_csv.read_csv(
            pa.BufferReader(text),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=max(1 << 20, len(text) + 1), column_names=list(names)
            ),
            parse_options=arrow_csv.ParseOptions(
                newlines_in_values=newlines, invalid_row_handler=bad, ignore_empty_lines=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True,
                null_values=list(missing),
                # a buffer is of texts that pyarrow holds, and has looked at
                check_utf8=isinstance(text, bytes),
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        raise NotCsvError(str(error)) from error
    unread.merge(skipped)
    return found


def of_rows(
    rows: Sequence[Sequence[str | None]], names: Sequence[str], missing: Sequence[str]
) -> Any:
    """Return rows of one length as a table of texts."""
    gone = {None, *missing}
    columns = [
        pa.array([None if value in gone else value for value in column], pa.string())
        for column in zip(*rows, strict=True)
    ]
    return pa.table(columns, names=list(names)) if columns else pa.table({})
