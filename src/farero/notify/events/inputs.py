"""What a target is told of an event: the event itself, a part of it, a constant, or a filled-in template. Pure.

Follows "Amazon EventBridge input transformation". A template is JSON, or lines of JSON strings, with `<name>` for a
value. Outside of quotes a value is written as JSON, within them as text; values are escaped there, so that what
arrives is JSON whatever the event holds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.records.events import Rule

MAX_VARIABLES = 100
#: Reserved names ("Predefined variables").
RESERVED = (
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
)
_VARIABLE = re.compile(r"<([^<>\s]+)>")
_STEP = re.compile(r"\.(\*|[^.\[\]]+)|\[(\*|[0-9]{1,6})\]|\['([^']+)'\]")
_PATH = re.compile(rf"\$(?:{_STEP.pattern})*")
_MISSING = object()


def check(target: Mapping[str, Any]) -> None:
    """Raise Invalid, in AWS's words, for a target whose input could never be made."""
    name = target["Id"]
    given = [key for key in ("Input", "InputPath", "InputTransformer") if key in target]
    if len(given) > 1:
        raise Invalid(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}."
        )
    if "Input" in target and not _is_json(target["Input"]):
        raise Invalid(f"JSON syntax error in input for target {name}.")
    if "InputPath" in target and not _PATH.fullmatch(target["InputPath"]):
        raise Invalid(f"Invalid InputPath for target {name}.")
    if "InputTransformer" in target:
        _check_transformer(name, target["InputTransformer"])


def write(target: Mapping[str, Any], event: Mapping[str, Any], rule: Rule, *, came_at: str) -> str:
    """Return what a target is told. came_at: when the platform heard of the event, as AWS writes times."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        found = _find(event, target["InputPath"])
        return _json(None if found is _MISSING else found)
    if "InputTransformer" in target:
        return _fill_in(target["InputTransformer"], event, rule, came_at)
    return _json(event)


def _fill_in(
    transformer: Mapping[str, Any], event: Mapping[str, Any], rule: Rule, came_at: str
) -> str:
    paths = cast("dict[str, str]", transformer.get("InputPathsMap") or {})
    values = {name: _find(event, path) for name, path in paths.items()}
    # AWS's copy leaves the detail out and spells one key otherwise; `event.json` is the whole event.
    head = {"detailType" if k == "detail-type" else k: v for k, v in event.items() if k != "detail"}
    values |= dict(zip(RESERVED, (rule.arn, rule.name, came_at, head, dict(event)), strict=True))
    text = _substitute(transformer["InputTemplate"], values)
    return _json(json.loads(text)) if _is_json(text) else text


def _substitute(template: str, values: Mapping[str, Any]) -> str:
    """Put values in the place of their names, knowing at each whether it stands within quotes."""
    pieces: list[str] = []
    at, is_quoted = 0, False
    while at < len(template):
        mark = template[at]
        variable = _VARIABLE.match(template, at)
        if variable is not None and variable[1] in values:
            value = values[variable[1]]
            pieces.append(_within_quotes(value) if is_quoted else _bare(value))
            at = variable.end()
            continue
        if mark == "\\" and is_quoted:
            pieces.append(template[at : at + 2])
            at += 2
            continue
        if mark == '"':
            is_quoted = not is_quoted
        pieces.append(mark)
        at += 1
    return "".join(pieces)


def _bare(value: Any) -> str:
    return '""' if value is _MISSING else _json(value)


def _within_quotes(value: Any) -> str:
    if value is _MISSING:
        return ""
    # AWS leaves out the quotes of an object that it writes into a text.
    text = value if isinstance(value, str) else _json(value).replace('"', "")
    return _json(text)[1:-1]


def _find(event: Any, path: str) -> Any:
    """Return what a path leads to, or _MISSING."""
    found: list[Any] = [event]
    is_many = False
    for step in _STEP.finditer(path, 1):
        key = step[1] or step[3]
        is_many = is_many or "*" in (step[1], step[2])
        if "*" in (step[1], step[2]):
            found = [child for one in found for child in _children(one)]
        elif key is not None:
            found = [child for one in found for child in _member(one, key)]
        else:
            found = [child for one in found for child in _element(one, int(step[2]))]
    if is_many:
        return found
    return found[0] if found else _MISSING


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def _member(value: Any, key: str) -> list[Any]:
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return [members[key]] if key in members else []


def _element(value: Any, index: int) -> list[Any]:
    return cast("list[Any]", value)[index : index + 1] if isinstance(value, list) else []


def _check_transformer(name: str, transformer: Mapping[str, Any]) -> None:
    paths = cast("dict[str, str]", transformer.get("InputPathsMap") or {})
    template = str(transformer["InputTemplate"])
    if len(paths) > MAX_VARIABLES:
        raise Invalid(f"InputPathsMap for target {name} has more than {MAX_VARIABLES} entries.")
    for variable, path in paths.items():
        if variable.lower().startswith("aws."):
            raise Invalid(f"InputPathsMap for target {name} contains invalid key {variable}.")
        if not _PATH.fullmatch(path):
            raise Invalid(f"Invalid InputPath for target {name}.")
    for variable in _VARIABLE.findall(template):
        if variable not in paths and variable not in RESERVED:
            raise Invalid(
                f"InputTemplate for target {name} contains invalid placeholder {variable}."
            )
    known: dict[str, Any] = dict.fromkeys((*paths, *RESERVED), "x")
    text = _substitute(template, known)
    if not _is_json(text) and not all(_is_text(line) for line in text.strip().splitlines()):
        raise Invalid(
            f"Invalid InputTemplate for target {name}: it is neither JSON nor lines of quoted text."
        )


def _is_text(line: str) -> bool:
    return _is_json(line) and isinstance(json.loads(line), str)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
