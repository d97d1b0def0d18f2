"""What is published: checks in SNS's words, attributes, and the text that each protocol gets. Pure."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 262_144
MAX_SUBJECT = 100
_TYPES = re.compile(r"(String|Number|Binary)(\.[A-Za-z0-9_.-]+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_NAME = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9_.-]{0,254}[A-Za-z0-9_-])?")


def check(message: str, subject: str | None, attributes: Mapping[str, Mapping[str, str]]) -> None:
    """Raise Invalid unless this can be published."""
    if not message:
        raise Invalid("Invalid parameter: Empty message")
    size = len(message.encode()) + sum(
        len(name.encode()) + sum(len(part.encode()) for part in given.values())
        for name, given in attributes.items()
    )
    if size > MAX_BYTES:
        raise Invalid("Invalid parameter: Message too long")
    if subject is not None and not _is_subject(subject):
        raise Invalid("Invalid parameter: Subject")


def read_attributes(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return MessageAttributes in the words of SNS's envelope: `{name: {"Type": …, "Value": …}}`.

    Raises Invalid if one of them is none.
    """
    return {name: _attribute(name, value) for name, value in given.items()}


def read_structure(message: str) -> dict[str, str]:
    """Return the texts of MessageStructure `json` by protocol; raise Invalid unless there is a default."""
    try:
        texts: Any = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "Invalid parameter: Message Structure - JSON message body failed to parse"
        ) from error
    found = cast("dict[str, Any]", texts) if isinstance(texts, dict) else {}
    if not isinstance(found.get("default"), str):
        raise Invalid(
            "Invalid parameter: Message Structure - No default entry in JSON message body"
        )
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _is_subject(text: str) -> bool:
    return 0 < len(text) <= MAX_SUBJECT and text.isprintable() and not text[0].isspace()


def _attribute(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    if not _NAME.fullmatch(name) or ".." in name or name.lower().startswith(("aws.", "amazon.")):
        raise Invalid(f"Invalid parameter: The message attribute name '{name}' is not valid")
    kind = str(given.get("DataType", ""))
    if not kind:
        raise Invalid(
            f"The message attribute '{name}' must contain non-empty message attribute type."
        )
    if not _TYPES.fullmatch(kind):
        raise Invalid(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String."
        )
    is_binary = kind.startswith("Binary")
    value: Any = given.get("BinaryValue" if is_binary else "StringValue")
    if not value:
        raise Invalid(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute "
            f"type '{kind}'."
        )
    if is_binary:
        raw = value if isinstance(value, bytes) else bytes(value)
        return {"Type": kind, "Value": b64encode(raw).decode()}
    if kind.startswith("Number"):
        _check_number(name, str(value))
    return {"Type": kind, "Value": str(value)}


def _check_number(name: str, text: str) -> None:
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"Could not cast message attribute '{name}' value to number.")
