"""CloudWatch's filter patterns: a text becomes a predicate on messages. Pure.

Three languages by the first character: terms, `{ … }` for JSON (`filter_json`), `[ … ]` for space-delimited lines
(`filter_fields`). Follows "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail" of the CloudWatch Logs user guide. A term matches as a substring and minds case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farero.telemetry.filter_fields import compile_fields
from farero.telemetry.filter_json import compile_json
from farero.telemetry.filter_values import compile_regex, invalid, unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    Predicate = Callable[[str], bool]

#: One term: its sign, then a phrase in quotes, a regular expression, or anything up to the next space.
_TERM = re.compile(r'\s*([?-]?)("(?:[^"\\]|\\.)*"|%[^%]+%|[^\s"%]\S*)(?=\s|$)')


def compile_pattern(pattern: str) -> Predicate:
    """Return the predicate of a pattern; the empty one matches everything. Raises Invalid."""
    text = pattern.strip()
    if not text:
        return lambda _: True
    if text.startswith("{"):
        return compile_json(text)
    if text.startswith("["):
        return compile_fields(text)
    return _compile_terms(text)


def _compile_terms(text: str) -> Predicate:
    wanted: list[Predicate] = []
    unwanted: list[Predicate] = []
    optional: list[Predicate] = []
    place = 0
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None:
            raise invalid(text)
        sign, word = found.groups()
        {"": wanted, "-": unwanted, "?": optional}[sign].append(_term(word, text))
        place = found.end()
    # "?" together with other terms is ignored, says the guide.
    alternatives = [] if wanted or unwanted else optional

    def matches(message: str) -> bool:
        return (
            all(has(message) for has in wanted)
            and not any(has(message) for has in unwanted)
            and (not alternatives or any(has(message) for has in alternatives))
        )

    return matches


def _term(word: str, pattern: str) -> Predicate:
    if word.startswith("%"):
        regex = compile_regex(word, pattern)
        return regex.search
    text = unquote(word) if word.startswith('"') else word
    if not text:
        raise invalid(pattern)
    return lambda message: text in message
