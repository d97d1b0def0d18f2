"""Regular expressions of filter patterns, searched in time that grows with the text and no faster. Pure.

CloudWatch's expressions have no groups, so one is a few alternatives of characters in a row, each at most repeated.
Such a row is an automaton whose states fit into one integer: all ways through it are walked at once, a step a character
(Navarro and Raffinot, "Flexible Pattern Matching in Strings", 2002, 4.2.2). Python's own engine is faster where it has
few ways to go wrong, and takes exponential time where it has many; it is asked only when the text is short enough.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

#: Copies that `{m,n}` makes of a character, in all of an expression.
MOST_POSITIONS = 2000
#: Python's engine may try this many ways, by a cautious count.
_MOST_STEPS = 1_000_000
_PIECE = re.compile(
    r"""(?P<atom>\\x[0-9A-Fa-f]{2}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^|*+?{}\[\]()\\])
        (?P<times>[*+?]|\{\d{1,4}(?:,\d{0,4})?\})?\??""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Way:
    """One alternative: what may stand at each place, which places repeat and which may be left out (as bits)."""

    is_anchored: bool
    to_end: bool
    atoms: list[re.Pattern[str]] = field(default_factory=list[re.Pattern[str]])
    loops: int = 0
    optional: int = 0
    masks: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, atom: re.Pattern[str], *, loops: bool = False, is_optional: bool = False) -> None:
        bit = 1 << len(self.atoms)
        self.atoms.append(atom)
        self.loops |= bit * loops
        self.optional |= bit * is_optional

    def search(self, text: str) -> bool:
        accept = 1 << len(self.atoms)
        start = self._closed(1)
        states = start
        end = len(text) - text.endswith("\n")
        for index, character in enumerate(text):
            if states & accept and (not self.to_end or index >= end):
                return True
            taken = states & self._mask(character)
            states = self._closed((taken << 1) | (taken & self.loops))
            if not self.is_anchored:
                states |= start
            elif not states:
                return False
        return bool(states & accept)

    def _closed(self, states: int) -> int:
        """Add the states behind places that may be left out: a carry runs through each row of them."""
        return states | (((states & self.optional) + self.optional) ^ self.optional)

    def _mask(self, character: str) -> int:
        mask = self.masks.get(character)
        if mask is None:
            mask = sum(1 << i for i, atom in enumerate(self.atoms) if atom.fullmatch(character))
            if len(self.masks) < 4096:
                self.masks[character] = mask
        return mask


class LinearRegex:
    """An expression that was checked and compiled once. Raises ValueError for one that is not supported."""

    def __init__(self, text: str) -> None:
        self._ways = [_read_way(part) for part in _alternatives(text)]
        if sum(len(way.atoms) for way in self._ways) > MOST_POSITIONS:
            raise ValueError("too long")
        self._regex = _compile(text)
        self._most_characters = min(_safe_length(way) for way in self._ways)

    def search(self, text: str) -> bool:
        """Say whether the expression is found anywhere in the text."""
        if len(text) <= self._most_characters:
            return self._regex.search(text) is not None
        return any(way.search(text) for way in self._ways)


def _safe_length(way: _Way) -> int:
    """Return how long a text may be for Python's engine: n^(loops+1) · 2^optional ways at most."""
    free = way.optional & ~way.loops
    steps = _MOST_STEPS / 2.0 ** min(free.bit_count(), 60)
    return int(steps ** (1 / (way.loops.bit_count() + 1)))


def _alternatives(text: str) -> list[str]:
    """Split at each `|` that is not escaped or in brackets."""
    parts, last = list[str](), 0
    for found in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\|", text, re.DOTALL):
        if found.group() == "|":
            parts.append(text[last : found.start()])
            last = found.end()
    return [*parts, text[last:]]


def _read_way(text: str) -> _Way:
    way = _Way(is_anchored=text.startswith("^"), to_end=False)
    text = text.removeprefix("^")
    escaped_end = re.search(r"\\+\$$", text)
    if text.endswith("$") and not (escaped_end and len(escaped_end.group()) % 2 == 0):
        way.to_end, text = True, text[:-1]
    place = 0
    while place < len(text):
        found = _PIECE.match(text, place)
        if found is None or found["atom"] in ("^", "$", r"\b", r"\B", r"\A", r"\Z"):
            raise ValueError("not supported")
        _repeat(way, _compile(found["atom"]), found["times"] or "")
        place = found.end()
    return way


def _repeat(way: _Way, atom: re.Pattern[str], times: str) -> None:
    if not times.startswith("{"):
        way.add(
            atom,
            loops=times in {"*", "+"},
            is_optional=times in {"*", "?"},
        )
        return
    least, comma, most = times[1:-1].partition(",")
    if max(int(least), int(most or 0)) > MOST_POSITIONS or (most and int(most) < int(least)):
        raise ValueError("too long")
    for _ in range(int(least)):
        way.add(atom)
    if comma and not most:
        way.add(atom, loops=True, is_optional=True)
    elif most:
        for _ in range(int(most) - int(least)):
            way.add(atom, is_optional=True)


def _compile(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
