"""Reads a Logs Insights query: text → commands. Pure. Raises Malformed for what cannot be read."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING

from farero.telemetry.insights import tokens
from farero.telemetry.insights.aggregates import AGGREGATES
from farero.telemetry.insights.functions import FUNCTIONS
from farero.telemetry.insights.syntax import (
    Call,
    Dedup,
    Field,
    Fields,
    Filter,
    Limit,
    Literal,
    Malformed,
    Match,
    Named,
    Parse,
    Sort,
    Stats,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from farero.telemetry.insights.syntax import Command, Expression
    from farero.telemetry.insights.tokens import Token

#: What AWS allows: "Query strings can have a maximum length of 10000 characters."
QUERY_CHARACTERS = 10_000
LIMIT_ROWS = 10_000
#: Deeper brackets than this are no honest query.
_DEPTH = 60
_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")


def parse(query: str) -> tuple[Command, ...]:
    """Return the commands of a query; none for an empty one. Raises Malformed."""
    if len(query) > QUERY_CHARACTERS:
        raise Malformed("the query is longer than 10000 characters", QUERY_CHARACTERS, len(query))
    return _Parser(query).parse()


def read_source(query: str) -> tuple[list[str], str]:
    """Take a leading `SOURCE '/a' | SOURCE '/b' | …` off, as dashboards have it: groups and the rest of the query."""
    groups: list[str] = []
    found = _SOURCE.match(query)
    while found is not None:
        groups += [name[1:-1] for name in _QUOTED.findall(found[1])]
        query = query[found.end() :]
        found = _SOURCE.match(query)
    return groups, query.strip()


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SOURCE = re.compile(
    r"\s*SOURCE\s+((?:'[^']*'|\"[^\"]*\")(?:\s*,?\s*(?:'[^']*'|\"[^\"]*\"))*)\s*(?:\||$)",
    re.IGNORECASE,
)


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = tokens.split(query)
        self._at = 0
        self._depth = 0
        #: How many aggregates the expression has that is being read.
        self._aggregates = 0

    def parse(self) -> tuple[Command, ...]:
        if self._peek().kind == "end":
            return ()
        found = [self._command()]
        while self._take("|"):
            found.append(self._command())
        if self._peek().kind != "end":
            raise self._unexpected()
        return tuple(found)

    # Commands

    def _command(self) -> Command:
        token = self._next()
        readers: dict[str, Callable[[], Command]] = {
            "fields": self._fields,
            "display": self._display,
            "filter": lambda: Filter(self._expression()),
            "stats": self._stats,
            "sort": self._sort,
            "limit": lambda: Limit(self._count()),
            "head": lambda: Limit(self._count()),
            "parse": self._parse,
            "dedup": lambda: Dedup(tuple(column.value for column in self._columns())),
        }
        reader = readers.get(token.text.lower()) if token.kind == "name" else None
        if reader is None or token.is_quoted:
            raise tokens.unexpected(self._query, token.start, token.end)
        return reader()

    def _fields(self) -> Fields:
        return Fields(self._columns())

    def _display(self) -> Fields:
        return Fields(self._columns(), is_display=True)

    def _stats(self) -> Stats:
        columns = self._columns(is_aggregate=True)
        return Stats(columns, self._columns() if self._word("by") else ())

    def _sort(self) -> Sort:
        keys: list[tuple[Expression, bool]] = []
        while True:
            value = self._expression()
            descends = self._word("desc")
            if not descends:
                self._word("asc")
            keys.append((value, descends))
            if not self._take(","):
                return Sort(tuple(keys))

    def _count(self) -> int:
        token = self._next()
        if token.kind != "number" or not token.text.isdecimal():
            raise tokens.unexpected(self._query, token.start, token.end)
        return min(int(token.text[:9]), LIMIT_ROWS)

    def _parse(self) -> Parse:
        value: Expression = Field("@message")
        if self._peek().kind not in ("text", "regex"):
            value = self._value()
        token = self._next()
        if token.kind == "regex":
            regex = self._regex(token)
            names = tuple(regex.groupindex)
            if not names or len(names) != regex.groups:
                raise Malformed(
                    "parse needs named groups only: /(?<name>…)/", token.start, token.end
                )
            return Parse(value, regex, names)
        if token.kind != "text":
            raise tokens.unexpected(self._query, token.start, token.end)
        names = self._aliases() if self._word("as") else ()
        parts = token.text.split("*")
        if len(parts) - 1 != len(names) or not names:
            message = f"parse has {len(parts) - 1} wildcards and {len(names)} names"
            raise Malformed(message, token.start, token.end)
        return Parse(value, _glob(parts), names)

    def _aliases(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._take(","):
            names.append(self._name())
        return tuple(names)

    def _columns(self, *, is_aggregate: bool = False) -> tuple[Named, ...]:
        columns: list[Named] = []
        while True:
            start = self._peek().start
            value = self._expression(is_aggregate=is_aggregate)
            name = self._query[start : self._tokens[self._at - 1].end]
            if isinstance(value, Field):
                name = value.name
            if self._word("as"):
                name = self._name()
            columns.append(Named(name, value))
            if not self._take(","):
                return tuple(columns)

    # Expressions: or < and < not < comparison < + - < * / % < ^ < sign < value

    def _expression(self, *, is_aggregate: bool = False) -> Expression:
        start, self._aggregates = self._at, 0
        value = self._either()
        token, last = self._tokens[start], self._tokens[self._at - 1]
        if self._aggregates and not is_aggregate:
            raise Malformed("an aggregate belongs into stats", token.start, last.end)
        if is_aggregate and not self._aggregates:
            raise Malformed("stats needs an aggregate like count(*)", token.start, last.end)
        return value

    def _either(self) -> Expression:
        values = [self._both()]
        while self._word("or"):
            values.append(self._both())
        return values[0] if len(values) == 1 else Call("or", tuple(values))

    def _both(self) -> Expression:
        values = [self._negation()]
        while self._word("and"):
            values.append(self._negation())
        return values[0] if len(values) == 1 else Call("and", tuple(values))

    def _negation(self) -> Expression:
        if self._word("not"):
            with self._deeper():
                return Call("not", (self._negation(),))
        return self._comparison()

    def _comparison(self) -> Expression:
        value = self._sum()
        token = self._peek()
        if token.kind == "operator" and token.text in _COMPARISONS:
            self._at += 1
            return Call(_COMPARISONS[token.text], (value, self._sum()))
        if self._take("=~"):
            return self._like(value)
        is_negated = self._word("not")
        if self._word("like"):
            found = self._like(value)
        elif self._word("in"):
            found = Call("in", (value, *self._list()))
        elif is_negated:
            raise self._unexpected()
        else:
            return value
        return Call("not", (found,)) if is_negated else found

    def _like(self, value: Expression) -> Expression:
        token = self._peek()
        if token.kind == "regex":
            self._at += 1
            return Match(value, self._regex(token))
        return Call("like", (value, self._sum()))

    def _list(self) -> list[Expression]:
        self._must("[")
        if self._take("]"):
            return []
        items = [self._sum()]
        while self._take(","):
            items.append(self._sum())
        self._must("]")
        return items

    def _sum(self) -> Expression:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Expression:
        return self._chain(self._power, "*", "/", "%")

    def _chain(self, operand: Callable[[], Expression], *operators: str) -> Expression:
        value = operand()
        count = 0
        while (text := self._operator(*operators)) is not None:
            value = Call(text, (value, operand()))
            count += 1
            if count > _DEPTH:
                raise self._too_deep()
        return value

    def _power(self) -> Expression:
        value = self._value()
        if self._take("^"):
            with self._deeper():
                return Call("^", (value, self._power()))
        return value

    def _value(self) -> Expression:
        if self._take("-"):
            with self._deeper():
                return Call("-", (Literal(0), self._value()))
        if self._take("("):
            with self._deeper():
                value = self._either()
            self._must(")")
            return value
        token = self._next()
        if token.kind == "name":
            is_call = self._is_next("(") and not token.is_quoted
            return self._call(token) if is_call else Field(token.text)
        return self._literal(token)

    def _literal(self, token: Token) -> Literal:
        match token.kind:
            case "text":
                return Literal(token.text)
            case "number":
                is_whole = token.text.isdecimal() and len(token.text) < 40
                return Literal(int(token.text) if is_whole else float(token.text))
            case "span":
                return Literal(tokens.span_ms(token.text))
            case _:
                raise tokens.unexpected(self._query, token.start, token.end)

    def _call(self, token: Token) -> Call:
        name = token.text.lower()
        self._must("(")
        args: list[Expression] = []
        outside = self._aggregates
        with self._deeper():
            if name == "count" and self._take("*"):
                pass
            elif not self._is_next(")"):
                args.append(self._either())
                while self._take(","):
                    args.append(self._either())
        self._must(")")
        most = AGGREGATES.get(name) or FUNCTIONS.get(name)
        if most is None:
            raise Malformed(f"unknown function {token.text}", token.start, token.end)
        if not most.least <= len(args) <= most.most:
            raise Malformed(
                f"wrong number of arguments for {token.text}: {len(args)}", token.start, token.end
            )
        if name in AGGREGATES:
            if self._aggregates > outside:
                raise Malformed("an aggregate of an aggregate", token.start, token.end)
            self._aggregates += 1
        return Call(name, tuple(args))

    def _regex(self, token: Token) -> re.Pattern[str]:
        text = _NAMED_GROUP.sub("(?P<", token.text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise Malformed(
                f"invalid regular expression: {error}", token.start, token.end
            ) from error

    # Tokens

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind == "end":
            raise self._unexpected()
        self._at += 1
        return token

    def _name(self) -> str:
        token = self._next()
        if token.kind != "name":
            raise tokens.unexpected(self._query, token.start, token.end)
        return token.text

    def _is_next(self, text: str) -> bool:
        return self._peek().kind == "operator" and self._peek().text == text

    def _take(self, text: str) -> bool:
        found = self._is_next(text)
        self._at += found
        return found

    def _must(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected()

    def _operator(self, *texts: str) -> str | None:
        return next((text for text in texts if self._take(text)), None)

    def _word(self, word: str) -> bool:
        token = self._peek()
        found = token.kind == "name" and not token.is_quoted and token.text.lower() == word
        self._at += found
        return found

    def _unexpected(self) -> Malformed:
        token = self._peek()
        return tokens.unexpected(self._query, token.start, token.end)

    def _too_deep(self) -> Malformed:
        token = self._peek()
        return Malformed("the query is nested too deeply", token.start, token.end)

    @contextlib.contextmanager
    def _deeper(self) -> Generator[None]:
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._too_deep()
        yield
        self._depth -= 1


def _glob(parts: list[str]) -> re.Pattern[str]:
    """`a * b *` as an expression: a wildcard takes as little as it can, the last one all that is left."""
    text = "(.*?)".join(re.escape(part) for part in parts)
    return re.compile(text + ("$" if not parts[-1] else ""), re.DOTALL)
