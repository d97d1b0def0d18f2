"""Takes values out of events as metric filters name them: `$.latency` of JSON, `$bytes` of lines in columns. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.telemetry.filter_fields import field_names, split_fields
from farero.telemetry.filter_json import parse_event, paths, read_path, select

if TYPE_CHECKING:
    from collections.abc import Callable

    #: A message in, the value out; None when it is not there.
    Extract = Callable[[str], object]


def compile_reference(reference: str, pattern: str) -> Extract:
    """Return the function that finds what `reference` names in events of the pattern. Raises Invalid."""
    pattern = pattern.strip()
    path = read_path(reference)
    if path is not None:
        return lambda message: next(select(parse_event(message), path), None)
    if reference.startswith("$") and pattern.startswith("["):
        head, tail = field_names(pattern)
        name = reference[1:]
        if name in head:
            return _field(head.index(name))
        if tail is not None and name in tail:
            return _field(tail.index(name) - len(tail))
    raise Invalid(
        f"Invalid metric transformation: '{reference}' is not in the filter pattern; it can be a number, a JSON "
        "property like $.latency, or a column of a space-delimited pattern like $bytes."
    )


def compile_extracted(pattern: str) -> Callable[[str], dict[str, str]]:
    """Return the function that finds everything the pattern names, as TestMetricFilter shows it."""
    pattern = pattern.strip()
    if pattern.startswith("{"):
        named = [(path, read_path(path) or []) for path in paths(pattern)]

        def members(message: str) -> dict[str, str]:
            event = parse_event(message)
            found = [(name, next(select(event, path), None)) for name, path in named]
            return {name: as_text(value) for name, value in found if value is not None}

        return members
    if not pattern.startswith("["):
        return lambda _: {}
    head, tail = field_names(pattern)

    def fields(message: str) -> dict[str, str]:
        found = split_fields(message)
        between = len(found) - len(head) - len(tail or ())
        numbered = [str(len(head) + index + 1) for index in range(max(0, between))]
        names = [*head, *numbered, *(tail or ())]
        return {f"${name}": text for name, text in zip(names, found, strict=False)}

    return fields


def as_text(value: object) -> str:
    """Return a value of an event as text: JSON's own, but for strings."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _field(index: int) -> Extract:
    def field(message: str) -> object:
        fields = split_fields(message)
        return fields[index] if -len(fields) <= index < len(fields) else None

    return field
