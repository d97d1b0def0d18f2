"""The expressions of SEARCH: `{AWS/SageMaker,EndpointName} MetricName="Invocations" -test`. Pure.

A term matches a token of a name or value; tokens end at signs and where letters turn to capitals or digits. Words in
double quotes match whole names. Terms stand in AND, OR and NOT. Source: CloudWatch, "Search expression syntax".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.records.metrics import Metric

    Test = Callable[[Metric], bool]

_SCHEMA = re.compile(r"\s*\{([^}]*)\}\s*")
_PIECE = re.compile(r"\s*(\(|\)|-?(?:[\w:/.]+=)?(?:\"[^\"]*\"|\([^()\"]*\)|[^\s()\"=]+))")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
MOST_FOUND = 500
_DEEPEST = 30


def compile_search(text: str) -> Test:
    """Return the test of one search expression. Raises Invalid."""
    schema = _SCHEMA.match(text)
    tests: list[Test] = []
    if schema is not None:
        tests.append(_of_schema(schema[1]))
        text = text[schema.end() :]
    words = _PIECE.findall(text)
    if "".join(words) != re.sub(r"\s+", "", text) and "".join(words).replace(
        " ", ""
    ) != text.replace(" ", ""):
        raise Invalid(f"the search expression cannot be read: {text.strip()[:60]}")
    if words:
        tests.append(_Terms(words).whole())
    return lambda metric: all(test(metric) for test in tests)


def _of_schema(text: str) -> Test:
    namespace, *names = [part.strip().strip('"') for part in text.split(",")]
    wanted = sorted(names)

    def test(metric: Metric) -> bool:
        return metric.namespace == namespace and (
            not names or [name for name, _ in metric.dimensions] == wanted
        )

    return test


class _Terms:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    def whole(self) -> Test:
        found = self._any(0)
        if self._at < len(self._words):
            raise Invalid(f"unexpected '{self._words[self._at]}' in the search expression")
        return found

    def _any(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise Invalid("the search expression is nested too deeply")
        tests = [self._all(depth)]
        while self._next() == "OR":
            self._at += 1
            tests.append(self._all(depth))
        return lambda metric: any(test(metric) for test in tests)

    def _all(self, depth: int) -> Test:
        tests: list[Test] = []
        while (word := self._next()) is not None and word not in {"OR", ")"}:
            self._at += 1
            if word == "AND":
                continue
            tests.append(self._one(word, depth))
        if not tests:
            raise Invalid("a term is missing in the search expression")
        return lambda metric: all(test(metric) for test in tests)

    def _one(self, word: str, depth: int) -> Test:
        if depth > _DEEPEST:
            raise Invalid("the search expression is nested too deeply")
        if word in {"NOT", "-"}:
            following = self._next()
            if following is None:
                raise Invalid("a term is missing after NOT")
            self._at += 1
            test = self._one(following, depth + 1)
            return lambda metric: not test(metric)
        if word == "(":
            test = self._any(depth + 1)
            if self._next() != ")":
                raise Invalid("')' is missing in the search expression")
            self._at += 1
            return test
        if word.startswith("-") and len(word) > 1:
            test = self._one(word[1:], depth + 1)
            return lambda metric: not test(metric)
        return _term(word, depth)

    def _next(self) -> str | None:
        return self._words[self._at] if self._at < len(self._words) else None


def _term(word: str, depth: int) -> Test:
    name, separator, value = word.partition("=")
    if separator and not word.startswith('"'):
        if value.startswith("("):
            choices = [_term(f"{name}={part}", depth) for part in value[1:-1].split(" OR ")]
            return lambda metric: any(test(metric) for test in choices)
        return lambda metric: any(_fits(value.strip(), text) for text in _texts_of(metric, name))
    if word.startswith("("):
        return _Terms(_PIECE.findall(word[1:-1])).whole()
    return lambda metric: any(_fits(word, text) for text in _texts_of(metric, ""))


def _texts_of(metric: Metric, name: str) -> list[str]:
    """Return the texts of a metric that a term may match; name: which property, empty for all."""
    if name.lower() == "metricname":
        return [metric.name]
    if name.lower() == "namespace":
        return [metric.namespace]
    if name:
        return [value for dimension, value in metric.dimensions if dimension == name]
    pairs = [text for pair in metric.dimensions for text in pair]
    return [metric.namespace, metric.name, *pairs]


def _fits(term: str, text: str) -> bool:
    if term.startswith('"'):
        return term.strip('"') == text
    wanted = [token.lower() for token in _TOKEN.findall(term)]
    there = [token.lower() for token in _TOKEN.findall(text)]
    if term.lower() == text.lower():
        return True
    return bool(wanted) and any(
        there[i : i + len(wanted)] == wanted for i in range(len(there) - len(wanted) + 1)
    )
