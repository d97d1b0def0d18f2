"""Metric math: text → a function of named series. Pure. Grammar and functions: CloudWatch, "Using metric math"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from farero.base.errors import Invalid
from farero.telemetry.metrics.functions import BAND, FUNCTIONS, KEYWORDS, SORT_BY
from farero.telemetry.metrics.values import combine, each

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from farero.telemetry.metrics.values import Line, Operand

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<text>'[^']*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_LEVELS = (("OR",), ("AND",), ("<", "<=", ">", ">=", "==", "!="), ("+", "-"), ("*", "/"), ("^",))
_SAME = {"&&": "AND", "||": "OR"}
#: Deeper nesting is refused, so that no text can exhaust the stack.
_DEEPEST = 40
LONGEST = 2048


class Scope(Protocol):
    """What an expression may ask for."""

    #: Seconds since 1970; the end is exclusive.
    start: int
    end: int
    period_s: int

    def find(self, name: str) -> Operand:
        """Return the result of the query with this id. Raises Invalid."""
        ...

    def metrics(self, part: str = "") -> list[Line]:
        """Return the metrics of the request whose ids contain a text."""
        ...

    def search(self, expression: str, stat: str, period_s: int) -> list[Line]:
        """Return the series of all metrics that match."""
        ...

    def band(self, text: str, series: Callable[[Scope], Line], width: float) -> list[Line]:
        """Return the upper and the lower end of what is expected of a series. text: as it was written."""
        ...


class _Token(NamedTuple):
    kind: str
    text: str


Compiled = "Callable[[Scope], Operand]"


def compile_expression(text: str) -> Callable[[Scope], Operand]:
    """Return the function that computes an expression. Raises Invalid."""
    if len(text) > LONGEST:
        raise Invalid(f"the expression is longer than {LONGEST} characters")
    parser = _Parser(_tokens(text))
    found = parser.level(0, 0)
    parser.end()
    return found


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise Invalid(f"unexpected '{text[place:].strip()[:20]}' at character {place + 1}")
        kind = match.lastgroup or ""
        word = match[kind]
        is_word_operator = kind == "name" and word.upper() in {"AND", "OR"}
        found.append(
            _Token("sign", word.upper())
            if is_word_operator
            else _Token(kind, _SAME.get(word, word))
        )
        place = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise Invalid(f"unexpected '{self._tokens[self._at].text}'")

    def level(self, index: int, depth: int) -> Callable[[Scope], Operand]:
        if depth > _DEEPEST:
            raise Invalid("the expression is nested too deeply")
        if index == len(_LEVELS):
            return self._unary(depth)
        first = self.level(index + 1, depth)
        rest: list[tuple[str, Callable[[Scope], Operand]]] = []
        while self._peek("sign") in _LEVELS[index]:
            name = self._take().text
            rest.append((name, self.level(index + 1, depth)))
        return _combined(first, rest) if rest else first

    def _unary(self, depth: int) -> Callable[[Scope], Operand]:
        if self._peek("sign") == "-":
            self._take()
            inner = self.level(len(_LEVELS), depth + 1)
            return lambda scope: each(lambda value: -value, inner(scope))
        token = self._take()
        if token.kind == "number":
            number = float(token.text)
            return lambda _scope: number
        if token.kind == "name":
            return self._named(token.text, depth)
        if token.text == "(":
            inner = self.level(0, depth + 1)
            self._expect(")")
            return inner
        if token.text == "[":
            return FUNCTIONS["ARRAY"](self._arguments("]", depth))
        raise Invalid(f"unexpected '{token.text}'")

    def _named(self, name: str, depth: int) -> Callable[[Scope], Operand]:
        if self._peek("sign") != "(":
            if name.upper() in KEYWORDS:
                raise Invalid(f"'{name}' may not stand here")
            return lambda scope: scope.find(name)
        self._take()
        made = FUNCTIONS.get(name.upper())
        if made is None:
            raise Invalid(f"unknown function '{name}'")
        first = self._at
        words = KEYWORDS | SORT_BY.keys() if name.upper() == "SORT" else KEYWORDS
        arguments = self._arguments(")", depth, words)
        if name.upper() == BAND:  # a model of the series is kept, and known by these words
            arguments.append(" ".join(token.text for token in self._tokens[first : self._at - 1]))
        return made(arguments)

    def _arguments(
        self, end: str, depth: int, words: AbstractSet[str] = KEYWORDS
    ) -> list[Callable[[Scope], Operand] | str]:
        """Return the arguments up to the closing sign; texts, and words of FILL and SORT behind the first, as texts.

        words: those that stand without quotes, as AVG and DESC in `SORT(METRICS(), AVG, DESC, 10)`.
        """
        found: list[Callable[[Scope], Operand] | str] = []
        while self._peek("sign") != end:
            if found:
                self._expect(",")
            if self._peek("text") is not None:
                found.append(self._take().text[1:-1].replace('\\"', '"'))
            elif found and self._is_word(words):
                found.append(self._take().text.upper())
            else:
                found.append(self.level(0, depth + 1))
        self._take()
        return found

    def _is_word(self, words: AbstractSet[str]) -> bool:
        """Say whether one of these words comes next, and not a function of that name."""
        name = self._peek("name")
        following = self._tokens[self._at + 1 : self._at + 2]
        return name is not None and name.upper() in words and following != [("sign", "(")]

    def _peek(self, kind: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at].kind == kind:
            return self._tokens[self._at].text
        return None

    def _take(self) -> _Token:
        if self._at == len(self._tokens):
            raise Invalid("the expression ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        found = self._take()
        if found != ("sign", sign):
            raise Invalid(f"'{sign}' is missing before '{found.text}'")


def _combined(
    first: Callable[[Scope], Operand], rest: list[tuple[str, Callable[[Scope], Operand]]]
) -> Callable[[Scope], Operand]:
    def run(scope: Scope) -> Operand:
        found = first(scope)
        for name, operand in rest:
            found = combine(name, found, operand(scope))
        return found

    return run
