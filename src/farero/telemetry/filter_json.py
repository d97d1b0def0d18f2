"""The pattern language for JSON events: `{ $.level = "ERROR" && ($.ms > 500 || $.user IS NULL) }`. Pure.

A comparison holds if the property is there and passes; with wildcards (`$.items[*].id`), if any of the values passes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from farero.telemetry.filter_values import compile_test, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farero.telemetry.filter_values import Operator, Test

    Node = Callable[[object], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<path>\$(?:\.[\w\-@]+|\.\*|\.?\[(?:\d+|\*|"(?:[^"\\]|\\.)*"|'[^']*')\])+)
    | (?P<logic>&&|\|\||\(|\))
    | (?P<operator>!=|<=|>=|=|<|>)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<regex>%[^%]+%)
    | (?P<word>[^\s&|()=<>!"%{}]+)
    )""",
    re.VERBOSE,
)
_PART = re.compile(r"""\.([\w\-@]+|\*)|\.?\[(?:(\d+|\*)|"((?:[^"\\]|\\.)*)"|'([^']*)')\]""")
#: Deeper brackets than this are no honest pattern.
_DEPTH = 50


def compile_json(pattern: str) -> Callable[[str], bool]:
    """Return the predicate; a message that is no JSON object or list never matches. Raises Invalid."""
    if not pattern.endswith("}"):
        raise invalid(pattern)
    node = _Parser(pattern).parse()

    def matches(message: str) -> bool:
        event = parse_event(message)
        return event is not None and node(event)

    return matches


def read_path(text: str) -> list[str | int] | None:
    """Return the steps of `$.a.b[0]`; None for what is no path."""
    found = _TOKEN.fullmatch(text)
    return None if found is None or found.lastgroup != "path" else _read_path(text)


def paths(pattern: str) -> list[str]:
    """Return the paths that a pattern names, each once."""
    found = (token for token in _TOKEN.finditer(pattern[1:-1]) if token.lastgroup == "path")
    return list(dict.fromkeys(token["path"] for token in found))


def parse_event(message: str) -> object:
    """Return a message that is a JSON object or list; None for any other."""
    if not message.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


class _Parser:
    """Recursive descent: `||` binds less than `&&`, brackets most."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._tokens = list(self._split(pattern[1:-1]))
        self._place = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._either()
        if self._place < len(self._tokens):
            raise invalid(self._pattern)
        return node

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        place = 0
        text = text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None or found.lastgroup is None:
                raise invalid(self._pattern)
            yield found.lastgroup, found.group(found.lastgroup)
            place = found.end()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._place += 1
        return token

    def _either(self) -> Node:
        nodes = [self._both()]
        while self._peek() == ("logic", "||"):
            self._place += 1
            nodes.append(self._both())
        return nodes[0] if len(nodes) == 1 else lambda event: any(node(event) for node in nodes)

    def _both(self) -> Node:
        nodes = [self._one()]
        while self._peek() == ("logic", "&&"):
            self._place += 1
            nodes.append(self._one())
        return nodes[0] if len(nodes) == 1 else lambda event: all(node(event) for node in nodes)

    def _one(self) -> Node:
        kind, text = self._next()
        if (kind, text) == ("logic", "("):
            self._depth += 1
            if self._depth > _DEPTH:
                raise invalid(self._pattern)
            node = self._either()
            if self._next() != ("logic", ")"):
                raise invalid(self._pattern)
            self._depth -= 1
            return node
        if kind != "path":
            raise invalid(self._pattern)
        return self._comparison(_read_path(text))

    def _comparison(self, path: list[str | int]) -> Node:
        kind, text = self._next()
        if kind == "word":
            return self._claim(path, text.upper())
        value_kind, value = self._next()
        if kind != "operator" or value_kind not in ("quoted", "regex", "word"):
            raise invalid(self._pattern)
        test = compile_test(cast("Operator", text), value, self._pattern)
        return _having(path, test)

    def _claim(self, path: list[str | int], word: str) -> Node:
        second = self._next()[1].upper()
        if (word, second) == ("NOT", "EXISTS"):
            return lambda event: (
                next(select(event, path), None) is None and not _is_null(event, path)
            )
        tests: dict[str, Test] = {
            "NULL": lambda value: value is None,
            "TRUE": lambda value: value is True,
            "FALSE": lambda value: value is False,
        }
        if word != "IS" or second not in tests:
            raise invalid(self._pattern)
        return _having(path, tests[second])


def _having(path: list[str | int], test: Test) -> Node:
    return lambda event: any(test(value) for value in select(event, path))


def _is_null(event: object, path: list[str | int]) -> bool:
    return any(value is None for value in select(event, path))


def _read_path(text: str) -> list[str | int]:
    parts: list[str | int] = []
    for found in _PART.finditer(text, 1):
        name, index, quoted, single = found.groups()
        if index is not None:
            parts.append("*" if index == "*" else int(index))
        else:
            parts.append(next(word for word in (name, quoted, single) if word is not None))
    return parts


def select(event: object, path: list[str | int]) -> Iterator[object]:
    """Yield every value the path leads to."""
    if not path:
        yield event
        return
    head, rest = path[0], path[1:]
    if isinstance(event, dict):
        members = cast("dict[str, object]", event)
        if head == "*":
            for value in members.values():
                yield from select(value, rest)
        elif isinstance(head, str) and head in members:
            yield from select(members[head], rest)
    elif isinstance(event, list):
        values = cast("list[object]", event)
        if head == "*":
            for value in values:
                yield from select(value, rest)
        elif isinstance(head, int) and head < len(values):
            yield from select(values[head], rest)
