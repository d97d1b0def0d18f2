"""The pattern language for space-delimited events: `[ip, user, ..., status = 4*, bytes > 1000]`. Pure.

A message is split at blanks; what stands in double quotes or square brackets is one field. Without an ellipsis the
number of fields must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from farero.telemetry.filter_values import compile_test, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.telemetry.filter_values import Operator, Test

_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<logic>&&|\|\|)
    | (?P<operator>!=|<=|>=|=|<|>)
    | (?P<ellipsis>\.\.\.)
    | (?P<comma>,)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<regex>%[^%]+%)
    | (?P<word>[^\s&|=<>!",%\[\]]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Column:
    """One place of the pattern: any of these groups of tests, all of one group; empty lets all pass."""

    alternatives: tuple[tuple[Test, ...], ...] = ()

    def passes(self, text: str) -> bool:
        """Say whether a field's text is accepted."""
        return not self.alternatives or any(
            all(test(text) for test in group) for group in self.alternatives
        )


def compile_fields(pattern: str) -> Callable[[str], bool]:
    """Return the predicate. Raises Invalid."""
    if not pattern.endswith("]"):
        raise invalid(pattern)
    head, tail = _columns(pattern)

    def matches(message: str) -> bool:
        fields = split_fields(message)
        if tail is None:
            return len(fields) == len(head) and _pass(head, fields)
        if len(fields) < len(head) + len(tail):
            return False
        return _pass(head, fields[: len(head)]) and _pass(tail, fields[len(fields) - len(tail) :])

    return matches


def field_names(pattern: str) -> tuple[list[str], list[str] | None]:
    """Return the names of the columns before and after the ellipsis; None when there is none. Raises Invalid."""
    _columns(pattern)
    head: list[str] = []
    tail: list[str] | None = None
    for (kind, text), *_ in _places(pattern):
        if kind == "ellipsis":
            tail = []
        else:
            (head if tail is None else tail).append(text.strip('"'))
    return head, tail


def split_fields(message: str) -> list[str]:
    """Return the fields of a message."""
    return [
        next((part for part in found.groups() if part is not None), "")
        for found in _FIELD.finditer(message)
    ]


def _pass(columns: Sequence[_Column], fields: Sequence[str]) -> bool:
    return all(column.passes(text) for column, text in zip(columns, fields, strict=True))


def _columns(pattern: str) -> tuple[list[_Column], list[_Column] | None]:
    """Return the columns before and after the ellipsis; None when there is none."""
    head: list[_Column] = []
    tail: list[_Column] | None = None
    for tokens in _places(pattern):
        if [kind for kind, _ in tokens] == ["ellipsis"]:
            if tail is not None:
                raise invalid(pattern)
            tail = []
        else:
            (head if tail is None else tail).append(_column(tokens, pattern))
    return head, tail


def _places(pattern: str) -> list[list[tuple[str, str]]]:
    text = pattern[1:-1].strip()
    places: list[list[tuple[str, str]]] = [[]]
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise invalid(pattern)
        if found.lastgroup == "comma":
            places.append([])
        else:
            places[-1].append((found.lastgroup, found.group(found.lastgroup)))
        at = found.end()
    if not all(places):
        raise invalid(pattern)
    return places


def _column(tokens: list[tuple[str, str]], pattern: str) -> _Column:
    """Read `name`, or `name op value` once or more, joined by && and ||."""
    if len(tokens) == 1 and tokens[0][0] in ("word", "quoted"):
        return _Column()
    groups: list[list[Test]] = [[]]
    for start in range(0, len(tokens), 4):
        part = tokens[start : start + 3]
        kinds = [kind for kind, _ in part]
        if (
            len(part) != 3
            or kinds[:2] != ["word", "operator"]
            or kinds[2] not in ("word", "quoted", "regex")
        ):
            raise invalid(pattern)
        groups[-1].append(compile_test(cast("Operator", part[1][1]), part[2][1], pattern))
        joint = tokens[start + 3 : start + 4]
        if joint and (joint[0][0] != "logic" or start + 4 >= len(tokens)):
            raise invalid(pattern)
        if joint and joint[0][1] == "||":
            groups.append([])
    return _Column(tuple(tuple(group) for group in groups))
