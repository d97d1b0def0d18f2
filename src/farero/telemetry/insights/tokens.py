"""Splits the text of a Logs Insights query into tokens. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.telemetry.insights.syntax import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Milliseconds of a unit of time: `bin(5m)`. Longer names as the guide lists them ("Functions": bin).
SPANS_MS = {
    **dict.fromkeys(("ms", "msec"), 1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000),
    **dict.fromkeys(("mo", "mon", "month", "months"), 2_592_000_000),
    **dict.fromkeys(("q", "qtr", "quarter", "quarters"), 7_776_000_000),
    **dict.fromkeys(("y", "yr", "year", "years"), 31_536_000_000),
}
_TOKEN = re.compile(
    r"""
      (?P<space>(?:\s+|\#[^\n]*)+)
    | (?P<span>\d+(?:[a-zA-Z]+)\b)
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    | (?P<name>[@A-Za-z_][\w@]*(?:\.[\w@]+)*)
    | (?P<quoted>`[^`]*`)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<operator>!=|<=|>=|==|=~|[=<>+\-*%^(),|\[\]])
    | (?P<slash>/)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_REGEX = re.compile(r"/((?:[^/\\]|\\.)+)/", re.DOTALL)
_NUMBER_AND_UNIT = re.compile(r"(\d+)([a-zA-Z]+)")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the query: `kind` is name, number, span, text, regex, operator or end."""

    kind: str
    #: Without its quotes; a quoted field name is a `name`.
    text: str
    start: int
    end: int
    #: Field names in back quotes are never commands or operators.
    is_quoted: bool = False


def split(query: str) -> list[Token]:
    """Return the tokens, with one of kind `end` at the end. Raises Malformed."""
    return [*_split(query), Token("end", "", len(query), len(query))]


def _split(query: str) -> Iterator[Token]:
    place = 0
    before = last = ""
    while place < len(query):
        found = _TOKEN.match(query, place)
        if found is None or found.lastgroup is None:
            raise unexpected(query, place, place + 1)
        kind, text = found.lastgroup, found.group()
        # Elsewhere a slash divides.
        if kind == "slash" and (last in ("like", "parse", "=~") or before == "parse"):
            found = _REGEX.match(query, place)
            if found is None:
                raise unexpected(query, place, place + 1)
            kind, text = "regex", found[1]
        if kind != "space":
            yield _token(kind, text, place, found.end(), query)
            before, last = last, text.lower()
        place = found.end()


def _token(kind: str, text: str, start: int, end: int, query: str) -> Token:
    if kind == "span":
        unit = _NUMBER_AND_UNIT.fullmatch(text)
        if unit is None or unit[2].lower() not in SPANS_MS:
            raise unexpected(query, start, end)
    if kind == "quoted":
        return Token("name", text[1:-1], start, end, is_quoted=True)
    if kind == "slash":
        return Token("operator", text, start, end)
    if kind == "text":
        return Token("text", _plain(text[1:-1]), start, end)
    return Token(kind, text, start, end)


def span_ms(text: str) -> int:
    """Return the milliseconds of a `span` token's text."""
    unit = _NUMBER_AND_UNIT.fullmatch(text)
    return 0 if unit is None else int(unit[1][:12]) * SPANS_MS[unit[2].lower()]


def unexpected(query: str, start: int, end: int) -> Malformed:
    """Return AWS's error for what does not belong here."""
    line = query.count("\n", 0, start) + 1
    column = start - (query.rfind("\n", 0, start) + 1)
    shown = query[start:end][:40]
    what = f"unexpected symbol found {shown}" if shown else "unexpected end of the query"
    return Malformed(f"{what} at line {line} and position {column}", start, end)


def _plain(text: str) -> str:
    r"""Undo escapes of quotes and backslashes; others (`\d`) stay, as patterns need them."""
    return re.sub(r"\\([\"'\\])", r"\1", text)
