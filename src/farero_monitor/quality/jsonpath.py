"""The part of JSONPath that monitoring schedules use: `$.predictions[0].score`, `$['a b']`, `$.predictions[*].score`.

A plain name (`prediction`, `a.b`) and an index (`0`) are understood, too. Syntax: RFC 9535, section 2.3 (name,
wildcard and index selectors).
"""

from __future__ import annotations

import re
from typing import Any, cast

_STEP = re.compile(
    r"\.(?P<name>[^.\[\]]+)|\[(?P<index>-?\d+)\]|\[(?P<all>\*)\]|\[(['\"])(?P<key>.*?)\4\]"
)

Step = str | int | None


class PathError(ValueError):
    """A text is no path; the message shows where it ends to be one."""


def parse(text: str) -> tuple[Step, ...]:
    """Return the steps of a path: a key, an index, or None for all of a list. Raises PathError."""
    plain = text.strip()
    if re.fullmatch(r"-?\d+", plain):
        return (int(plain),)
    rest = plain[1:] if plain.startswith("$") else f".{plain}"
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise PathError(f"'{text}' is no JSONPath: nothing is known like '{rest[at:]}'.")
        at = found.end()
        if found["all"] or found["name"] == "*":
            steps.append(None)
        elif found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            steps.append(found["name"] if found["name"] is not None else found["key"])
    return tuple(steps)


def find(document: Any, steps: tuple[Step, ...]) -> list[Any]:
    """Return what a path leads to: nothing, one value, or several after a `*`."""
    held = [document]
    for step in steps:
        held = [value for one in held for value in _next(one, step)]
    return held


def _next(value: Any, step: Step) -> list[Any]:
    if step is None:
        return cast("list[Any]", value) if isinstance(value, list) else []
    if isinstance(step, int):
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [items[step]] if -len(items) <= step < len(items) else []
        # an index into an object: its values in order
        items = list(cast("dict[str, Any]", value).values()) if isinstance(value, dict) else []
        return [items[step]] if -len(items) <= step < len(items) else []
    if isinstance(value, dict) and step in value:
        return [cast("dict[str, Any]", value)[step]]
    return []
