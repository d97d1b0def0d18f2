"""The rules of composite alarms: `ALARM(a) AND NOT (OK("b c") OR INSUFFICIENT_DATA(d))`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from farero.records.alarms import State

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
LONGEST = 10240
MOST_ALARMS = 100
DEEPEST = 100

_TOKEN = re.compile(
    r"""\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*
          (?:"(?P<quoted>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^()"'\s]+))\s*\)
        |(?P<word>AND|OR|NOT|TRUE|FALSE)(?![A-Za-z0-9_])
        |(?P<mark>[()]))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read."""

    #: Names of the alarms it asks about, in order of their first mention.
    children: tuple[str, ...]
    holds: Callable[[Mapping[str, State]], bool]


def parse(text: str) -> Rule:
    """Read a rule; raises Invalid. A child that does not exist counts as INSUFFICIENT_DATA; ARNs stand for names."""
    if not text.strip() or len(text) > LONGEST:
        raise Invalid("AlarmRule must not be empty or longer than 10240 characters.")
    reader = _Reader(list(_tokens(text)))
    node = reader.either(0)
    if not reader.is_at_end:
        raise _wrong(text)
    children = tuple(dict.fromkeys(reader.children))
    if len(children) > MOST_ALARMS:
        raise Invalid(f"AlarmRule must not ask about more than {MOST_ALARMS} alarms.")
    return Rule(children, node)


def find_cycle(name: str, rule: Rule, others: Mapping[str, Sequence[str]]) -> bool:
    """Say whether an alarm of this name and rule would, through others, depend on itself."""
    seen: set[str] = set()
    waiting = list(rule.children)
    while waiting:
        child = waiting.pop()
        if child == name:
            return True
        if child not in seen:
            seen.add(child)
            waiting += others.get(child, ())
    return False


def in_order(children: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that every one comes after those it depends on."""
    done: dict[str, None] = {}
    on_the_way: set[str] = set()
    for top in children:
        stack = [(top, iter(children[top]))]
        while stack:
            name, rest = stack[-1]
            on_the_way.add(name)
            following = next(
                (c for c in rest if c in children and c not in done and c not in on_the_way), None
            )
            if following is not None:
                stack.append((following, iter(children[following])))
            else:
                done[name] = None
                stack.pop()
    return list(done)


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.children: list[str] = []

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._tokens)

    def either(self, depth: int) -> Callable[[Mapping[str, State]], bool]:
        parts = [self._both(depth)]
        while self._takes("OR"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda states: any(part(states) for part in parts)

    def _both(self, depth: int) -> Callable[[Mapping[str, State]], bool]:
        parts = [self._one(depth)]
        while self._takes("AND"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda states: all(part(states) for part in parts)

    def _one(self, depth: int) -> Callable[[Mapping[str, State]], bool]:
        if depth > DEEPEST:
            raise Invalid("AlarmRule is nested too deeply.")
        if self._takes("NOT"):
            inner = self._one(depth + 1)
            return lambda states: not inner(states)
        if self._takes("("):
            inner = self.either(depth + 1)
            if not self._takes(")"):
                raise _wrong("")
            return inner
        if self.is_at_end:
            raise _wrong("")
        kind, value = self._tokens[self._at]
        self._at += 1
        if kind in STATES:
            self.children.append(value)
            return lambda states: states.get(value, "INSUFFICIENT_DATA") == kind
        if kind in ("TRUE", "FALSE"):
            return lambda _: kind == "TRUE"
        raise _wrong(kind)

    def _takes(self, kind: str) -> bool:
        is_next = not self.is_at_end and self._tokens[self._at][0] == kind
        self._at += is_next
        return is_next


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text)
        at = match.end()
        if state := match["state"]:
            name = match["quoted"] or match["single"] or match["bare"] or ""
            if name.startswith("arn:"):
                name = name.split(":alarm:", 1)[-1]
            yield state, name
        else:
            yield match["word"] or match["mark"], ""


def _wrong(text: str) -> Invalid:
    _ = text
    return Invalid("Error in AlarmRule: The expression is not a valid composite alarm rule.")
