"""Makes a function of an expression: a row in, its value out. Pure."""

from __future__ import annotations

import json
import math
import operator
from typing import TYPE_CHECKING, cast

from farero.telemetry.insights.functions import FUNCTIONS, OPERATORS
from farero.telemetry.insights.syntax import Call, Field, Literal, Match
from farero.telemetry.insights.values import (
    Timestamp,
    Value,
    as_text,
    calculate,
    is_true,
    of_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.records.telemetry import LogEvent
    from farero.telemetry.insights.syntax import Expression

    Evaluate = Callable[["Row"], Value]

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": float.__truediv__,
    "%": float.__mod__,
    "^": math.pow,
}


class Row:
    """One line of a result on its way through the commands; its fields are looked up when they are asked for."""

    __slots__ = ("_json", "_point", "event", "log", "values")

    def __init__(
        self,
        event: LogEvent | None = None,
        *,
        log: str = "",
        point: Callable[[LogEvent], str] | None = None,
    ) -> None:
        """log: account and group, `123456789012:/aws/…`; point: makes what @ptr shows."""
        self.event = event
        self.log = log
        self._point = point
        #: What commands have named so far.
        self.values: dict[str, Value] = {}
        self._json: object = None if event is None else ...

    @property
    def at_ms(self) -> int:
        """Return the time of the event; 0 for a row of `stats`."""
        return 0 if self.event is None else self.event.timestamp_ms

    @property
    def pointer(self) -> str | None:
        """Return what @ptr shows; None for what is no stored event."""
        return None if self.event is None or self._point is None else self._point(self.event)

    def get(self, name: str) -> Value:
        """Return a field: a name given by a command, a field of the event, or a member of its JSON."""
        if name in self.values:
            return self.values[name]
        event = self.event
        if event is None:
            return None
        if name.startswith("@"):
            own = _OWN.get(name.lower())
            return None if own is None else own(self, event)
        if self._json is ...:
            self._json = parse_object(event.message)
        return of_json(_member(self._json, name))


_OWN: dict[str, Callable[[Row, LogEvent], Value]] = {
    "@timestamp": lambda _, event: Timestamp(event.timestamp_ms),
    "@ingestiontime": lambda _, event: Timestamp(event.ingested_ms),
    "@message": lambda _, event: event.message,
    "@logstream": lambda _, event: event.stream,
    "@log": lambda row, _: row.log,
    "@ptr": lambda row, _: row.pointer,
}


def parse_object(message: str) -> dict[str, object] | None:
    """Return a JSON message as an object; None for any other message."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def _member(found: object, path: str) -> object:
    """Return `a.b.0.c` of an object; a key that has dots itself is found too."""
    if isinstance(found, dict):
        members = cast("dict[str, object]", found)
        if path in members:
            return members[path]
        head, dot, rest = path.partition(".")
        while dot:
            if head in members:
                return _member(members[head], rest)
            more, dot, rest = rest.partition(".")
            head = f"{head}.{more}"
        return None
    if isinstance(found, list):
        head, dot, rest = path.partition(".")
        items = cast("list[object]", found)
        if not head.isdecimal() or len(head) > 9 or int(head) >= len(items):
            return None
        return _member(items[int(head)], rest) if dot else items[int(head)]
    return None


def compile_expression(expression: Expression) -> Evaluate:
    """Return the function of an expression without aggregates."""
    if isinstance(expression, Literal):
        value = expression.value
        return lambda _: value
    if isinstance(expression, Field):
        name = expression.name
        return lambda row: row.get(name)
    if isinstance(expression, Match):
        return _compile_match(expression)
    return _compile_call(expression)


def _compile_match(expression: Match) -> Evaluate:
    inner, search = compile_expression(expression.value), expression.regex.search

    def matches(row: Row) -> Value:
        value = inner(row)
        return value is not None and search(as_text(value)) is not None

    return matches


def _compile_call(call: Call) -> Evaluate:
    args = [compile_expression(arg) for arg in call.args]
    if call.name == "and":
        return lambda row: all(is_true(arg(row)) for arg in args)
    if call.name == "or":
        return lambda row: any(is_true(arg(row)) for arg in args)
    if call.name == "not":
        return lambda row: not is_true(args[0](row))
    if call.name in _ARITHMETIC:
        arithmetic = _ARITHMETIC[call.name]
        return lambda row: calculate(arithmetic, args[0](row), args[1](row))
    if call.name == "bin":
        args.insert(0, lambda row: row.get("@timestamp"))
    function = OPERATORS.get(call.name) or FUNCTIONS[call.name].call
    return lambda row: function(*[arg(row) for arg in args])
