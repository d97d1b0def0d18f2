"""Runs the commands of a query over rows, one after the other, holding no more rows than it must. Pure."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.telemetry.insights.aggregates import AGGREGATES
from farero.telemetry.insights.evaluate import Row, compile_expression
from farero.telemetry.insights.parsing import LIMIT_ROWS
from farero.telemetry.insights.syntax import (
    Call,
    Dedup,
    Field,
    Fields,
    Filter,
    Limit,
    Match,
    Named,
    Parse,
    Sort,
    Stats,
)
from farero.telemetry.insights.values import Value, as_text, is_true, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from farero.telemetry.insights.aggregates import Fold
    from farero.telemetry.insights.syntax import Command, Expression

#: A result ends here, though it has fewer rows than were asked for: it must fit into an answer.
RESULT_CHARACTERS = 16_000_000
_DEFAULT_COLUMNS = ("@timestamp", "@message")


@dataclass(frozen=True, slots=True)
class Result:
    """What a query found: rows of (field, text), and how many events passed its filters."""

    rows: list[list[tuple[str, str]]]
    matched: int


def run(commands: Sequence[Command], events: Iterable[Row], *, most: int = LIMIT_ROWS) -> Result:
    """Put the events, newest first, through the commands; at most `most` rows come out.

    All events are looked at, also when a limit is reached early, so that `matched` tells how many there are.
    """
    counter = _Counter()
    rows: Iterator[Row] = iter(events)
    is_counted = False
    counted = rows
    for index, command in enumerate(commands):
        if not is_counted and not isinstance(command, Fields | Filter | Parse):
            rows = counted = counter.count(rows)
            is_counted = True
        rows = _step(command, rows, most=_most_after(commands[index + 1 :], most))
    if not is_counted:
        rows = counted = counter.count(rows)
    columns = shown_columns(commands)
    shown = list(_fitting(_shown(row, columns) for row in itertools.islice(rows, most)))
    for _ in counted:
        pass
    return Result(rows=shown, matched=counter.seen)


def shown_columns(commands: Sequence[Command]) -> tuple[str, ...]:
    """Return the names of the columns that a query shows, in order."""
    columns: list[str] = []
    for command in commands:
        if isinstance(command, Stats):
            columns = [column.name for column in (*command.by, *command.columns)]
        elif isinstance(command, Fields):
            names = [column.name for column in command.columns]
            columns = names if command.is_display else [*columns, *names]
    return tuple(dict.fromkeys(columns or _DEFAULT_COLUMNS))


class _Counter:
    def __init__(self) -> None:
        self.seen = 0

    def count(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.seen += 1
            yield row


def _fitting(rows: Iterator[list[tuple[str, str]]]) -> Iterator[list[tuple[str, str]]]:
    size = 0
    for row in rows:
        size += sum(len(name) + len(text) for name, text in row)
        if size > RESULT_CHARACTERS:
            return
        yield row


def _shown(row: Row, columns: Sequence[str]) -> list[tuple[str, str]]:
    found = [(name, row.get(name)) for name in columns]
    texts = [(name, as_text(value)) for name, value in found if value is not None]
    pointer = row.pointer
    if pointer is not None and "@ptr" not in columns:
        texts.append(("@ptr", pointer))
    return texts


def _most_after(commands: Sequence[Command], most: int) -> int | None:
    """Return how many rows a sort must keep for the commands after it; None for all of them."""
    for command in commands:
        if isinstance(command, Limit):
            return min(command.count, most)
        if not isinstance(command, Fields):
            return None
    return most


def _step(command: Command, rows: Iterator[Row], *, most: int | None) -> Iterator[Row]:
    match command:
        case Fields():
            found = _name(command.columns, rows)
        case Filter():
            holds = compile_expression(command.condition)
            found = (row for row in rows if is_true(holds(row)))
        case Parse():
            found = _parse(command, rows)
        case Stats():
            found = _stats(command, rows)
        case Sort():
            found = _sort(command, rows, most)
        case Limit():
            found = itertools.islice(rows, command.count)
        case Dedup():
            found = _dedup(command, rows)
    return found


def _name(columns: Sequence[Named], rows: Iterator[Row]) -> Iterator[Row]:
    """Give a value to every column that is more than a field of its own name."""
    made = [
        (column.name, compile_expression(column.value))
        for column in columns
        if column.value != Field(column.name)
    ]
    for row in rows:
        for name, value in made:
            row.values[name] = value(row)
        yield row


def _parse(command: Parse, rows: Iterator[Row]) -> Iterator[Row]:
    text = compile_expression(command.value)
    for row in rows:
        value = text(row)
        found = None if value is None else command.regex.search(as_text(value))
        if found is not None:
            row.values.update(zip(command.names, found.groups(), strict=True))
        yield row


def _dedup(command: Dedup, rows: Iterator[Row]) -> Iterator[Row]:
    fields = [compile_expression(field) for field in command.fields]
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        values = [field(row) for field in fields]
        key = tuple(as_text(value) for value in values)
        if None in values or key not in seen:
            seen.add(key)
            yield row


class _Descending:
    """Turns an order round."""

    __slots__ = ("key",)

    def __init__(self, key: tuple[int, float | int | str]) -> None:
        self.key = key

    def __lt__(self, other: _Descending) -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and other.key == self.key

    __hash__ = None  # type: ignore[assignment]  # only compared


def _sort(command: Sort, rows: Iterator[Row], most: int | None) -> Iterator[Row]:
    keys = [(compile_expression(value), descends) for value, descends in command.keys]

    def key(row: Row) -> list[object]:
        found = [(sort_key(value(row)), descends) for value, descends in keys]
        return [_Descending(part) if descends else part for part, descends in found]

    def ordered() -> Iterator[Row]:
        yield from sorted(rows, key=key) if most is None else heapq.nsmallest(most, rows, key=key)

    return ordered()


def _stats(command: Stats, rows: Iterator[Row]) -> Iterator[Row]:
    by = [(column.name, compile_expression(column.value)) for column in command.by]
    calls: list[Call] = []
    outer = [
        (column.name, compile_expression(_take_out(column.value, calls)))
        for column in command.columns
    ]
    folds = [
        (AGGREGATES[call.name].start, tuple(compile_expression(arg) for arg in call.args))
        for call in calls
    ]
    args = [found for _, found in folds]
    groups: dict[tuple[str | None, ...], tuple[list[Value], list[Fold]]] = {}
    for row in rows:
        values = [value(row) for _, value in by]
        key = tuple(None if value is None else as_text(value) for value in values)
        group = groups.get(key)
        if group is None:
            group = groups[key] = values, [start() for start, _ in folds]
        for fold, arg in zip(group[1], args, strict=True):
            fold.add(row.at_ms, tuple([value(row) for value in arg]))
    if not groups and not by:
        groups[()] = [], [start() for start, _ in folds]
    for values, made in groups.values():
        row = Row()
        row.values = {f"\0{index}": fold.result() for index, fold in enumerate(made)}
        results = {name: value(row) for name, value in outer}
        row.values = dict(zip((name for name, _ in by), values, strict=True)) | results
        yield row


def _take_out(expression: Expression, calls: list[Call]) -> Expression:
    """Put a hidden field in the place of each aggregate."""
    if isinstance(expression, Call):
        if expression.name in AGGREGATES:
            calls.append(expression)
            return Field(f"\0{len(calls) - 1}")
        return Call(expression.name, tuple(_take_out(arg, calls) for arg in expression.args))
    if isinstance(expression, Match):
        return dataclasses.replace(expression, value=_take_out(expression.value, calls))
    return expression
