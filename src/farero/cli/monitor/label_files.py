"""Labels as a person has them: CSV with a header, or a JSON object a line. Read and checked whole before any is sent.

Lines in the form of SageMaker's ground truth are taken as they are.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Names of the column with the ids, tried in this order when none is given.
IDS = ("id", "inference_id", "inferenceId", "event_id", "eventId")


class LabelsError(Exception):
    """A file of labels is wrong; the text says what and in which line, `fix` what to do."""

    def __init__(self, what: str, fix: str, line: int = 0) -> None:
        super().__init__(what)
        self.fix = fix
        self.line = line


@dataclass(slots=True)
class Labels:
    """What a file holds."""

    #: Label by inference id, in the order of the file.
    by_id: dict[str, str] = field(default_factory=dict[str, str])
    #: Lines whose label is empty: it is not known yet.
    unknown: int = 0
    #: Lines that say again what another one said.
    repeated: int = 0


def read(path: Path, id_column: str = "", label_column: str = "") -> Labels:
    """Read a file of labels. Raises LabelsError, OSError."""
    made, lines = Labels(), dict[str, int]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, known, label in _rows(file, path.name, id_column, label_column):
                _take(made, lines, line, known, label)
    except UnicodeDecodeError as error:
        raise LabelsError(f"{path.name} is not text in UTF-8", "save it as UTF-8") from error
    if not made.by_id:
        raise LabelsError(f"{path.name} has no labels", "a line for each known label")
    return made


def lines_of(labels: Labels) -> Iterator[str]:
    """Yield SageMaker's ground truth, a line a label ("Ingest Ground Truth labels", Developer Guide).

    `data` is a CSV cell: one that holds a comma, a quote or a line break is quoted.
    """
    for known, label in labels.by_id.items():
        quoted = any(sign in label for sign in ',"\r\n')
        cell = '"' + label.replace('"', '""') + '"' if quoted else label
        yield json.dumps({
            "groundTruthData": {"data": cell, "encoding": "CSV"},
            "eventMetadata": {"eventId": known},
            "eventVersion": "0",
        }, separators=(",", ":"), ensure_ascii=False)  # fmt: skip


def _take(made: Labels, lines: dict[str, int], line: int, known: str, label: str) -> None:
    if not known:
        raise LabelsError("the id is empty", "give every line the id of its request", line)
    if not label:
        made.unknown += 1
        return
    before = made.by_id.setdefault(known, label)
    if before != label:
        raise LabelsError(
            f"{known!r} has the label {label!r} here and {before!r} in line {lines[known]}",
            "keep the right one of the two lines", line,
        )  # fmt: skip
    if lines.setdefault(known, line) != line:
        made.repeated += 1


def _rows(
    file: IO[str], name: str, id_column: str, label_column: str
) -> Iterator[tuple[int, str, str]]:
    """Yield line, id and label."""
    first = file.read(1)
    while first.isspace():
        first = file.read(1)
    file.seek(0)
    if not first:
        raise LabelsError(f"{name} is empty", "a header and a line for each label, as id,label")
    if first == "{":
        yield from _json_rows(file, name, id_column, label_column)
    else:
        yield from _csv_rows(file, name, id_column, label_column)


def _csv_rows(
    file: IO[str], name: str, id_column: str, label_column: str
) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(file)
    header = [cell.strip() for cell in next(reader)]
    at, of = _columns(header, name, id_column, label_column)
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise LabelsError(
                f"the line has {len(row)} values, the header {len(header)}",
                "quote values that hold a comma", reader.line_num,
            )  # fmt: skip
        yield reader.line_num, row[at].strip(), row[of].strip()


def _json_rows(
    file: IO[str], name: str, id_column: str, label_column: str
) -> Iterator[tuple[int, str, str]]:
    names: tuple[str, str] | None = None
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            found: Any = json.loads(text)
        except ValueError as error:
            raise LabelsError(f"no JSON: {error}", "one JSON object a line", line) from error
        if not isinstance(found, dict):
            raise LabelsError("no JSON object", 'a line is {"id": …, "label": …}', line)
        row = cast("dict[str, Any]", found)
        if "groundTruthData" in row:
            yield line, *_ground_truth(row, line)
            continue
        if names is None:
            keys = list(row)
            at, of = _columns(keys, name, id_column, label_column)
            names = keys[at], keys[of]
        if missing := [key for key in names if key not in row]:
            raise LabelsError(f"{missing[0]!r} is missing", "both keys in every line", line)
        yield line, _text(row[names[0]], line), _text(row[names[1]], line)


def _ground_truth(row: dict[str, Any], line: int) -> tuple[str, str]:
    try:
        cell, known = row["groundTruthData"]["data"], row["eventMetadata"]["eventId"]
    except (KeyError, TypeError) as error:
        raise LabelsError(
            "ground truth needs groundTruthData.data and eventMetadata.eventId",
            "see docs/monitoring.md", line,
        ) from error  # fmt: skip
    cells = next(csv.reader([_text(cell, line)]), [""])
    return _text(known, line), cells[0] if len(cells) == 1 else _text(cell, line)


def _columns(
    header: Sequence[str], name: str, id_column: str, label_column: str
) -> tuple[int, int]:
    """Return where id and label stand."""
    there = ", ".join(header[:8]) + (" …" if len(header) > 8 else "")
    for flag, asked in (("--id-column", id_column), ("--label-column", label_column)):
        if asked and asked not in header:
            what = f"{name} has no column {asked!r}; it has {there}"
            raise LabelsError(what, f"{flag} with one of them")
    found = id_column or next((known for known in IDS if known in header), "")
    if not found:
        what = f"none of the columns of {name} ({there}) is called id"
        raise LabelsError(what, "--id-column with one of them")
    at = list(header).index(found)
    if label_column:
        return at, list(header).index(label_column)
    others = [index for index in range(len(header)) if index != at]
    if "label" in header:
        return at, list(header).index("label")
    if len(others) != 1:
        what = f"{name} has the columns {there}: which one is the label?"
        raise LabelsError(what, "--label-column with one of them")
    return at, others[0]


def _text(value: Any, line: int) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value.strip()
        case int() | float():
            return repr(value)
        case _:
            raise LabelsError("a label is one text or number", "no lists or objects", line)
