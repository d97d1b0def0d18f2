"""Training data as a small table: its names, which column is the truth, and what stands for "nothing special"."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class TableError(Exception):
    """The file is no such table; `fix` says what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of texts, the label first."""

    label: str
    features: tuple[str, ...]
    rows: list[list[str]]


def read(path: Path, label: str = "") -> Table:
    """Read CSV with a header; the label is its first column, or the one that is named. Raises TableError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {error}", "a CSV file with a header") from error
    if len(lines) < 2:
        raise TableError(f"{path.name} has no rows", "a header, and a line for each row")
    names = [name.strip() for name in lines[0]]
    if any(_number(name) is not None for name in names) or len({*names}) < len(names):
        raise TableError(
            f"{path.name} has no header: {', '.join(names[:6])}",
            "a first line with the columns' names",
        )
    if len(names) < 2:
        raise TableError(f"{path.name} has one column", "the truth, and the features beside it")
    for number, row in enumerate(lines[1:], 2):
        if len(row) != len(names):
            raise TableError(
                f"line {number} of {path.name} has {len(row)} values, the header {len(names)}",
                "as many values in every line",
            )
    if label and label not in names:
        raise TableError(
            f"{path.name} has no column {label!r}; it has {', '.join(names)}", "--label COLUMN"
        )
    at = names.index(label) if label else 0
    order = [at, *(place for place in range(len(names)) if place != at)]
    return Table(
        label=names[at], features=tuple(names[place] for place in order[1:]),
        rows=[[row[place] for place in order] for row in lines[1:]],
    )  # fmt: skip


def spread(table: Table, most: int) -> Table:
    """Return at most so many of the rows, evenly spread over the table."""
    count = len(table.rows)
    if count <= most:
        return table
    return replace(table, rows=[table.rows[index * count // most] for index in range(most)])


def centre(table: Table) -> list[float | str]:
    """Return the row that is like most: medians of numbers, the most frequent of texts."""
    found: list[float | str] = []
    for place in range(1, len(table.features) + 1):
        held = [row[place].strip() for row in table.rows if row[place].strip()]
        numbers = [number for text in held if (number := _number(text)) is not None]
        if len(numbers) == len(held):
            found.append(median(numbers) if numbers else 0.0)
        else:
            found.append(Counter(held).most_common(1)[0][0])
    return found


def text(table: Table) -> str:
    """Return the table as CSV, its header first."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows([[table.label, *table.features], *table.rows])
    return made.getvalue()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
