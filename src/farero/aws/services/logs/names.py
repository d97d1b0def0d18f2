"""What the families of the room share: names of groups, and tokens."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from typing import Any

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")

SEQUENCE_TOKEN = "49590302526372820000000000000000000000000000000000000000"  # noqa: S105 - ignored since 2023


def group_name(req: Value) -> str:
    """Return the group of a request that may name it or give its ARN."""
    if "logGroupIdentifier" in req:
        if "logGroupName" in req:
            raise Invalid("logGroupName and logGroupIdentifier are mutually exclusive.")
        identifier: str = req["logGroupIdentifier"]
        return name_in_arn(identifier) if identifier.startswith("arn:") else identifier
    if "logGroupName" not in req:
        raise Invalid("Either logGroupName or logGroupIdentifier is required.")
    return req["logGroupName"]


def name_in_arn(arn: str) -> str:
    """Return the group that an ARN names. Raises Invalid."""
    head, found, name = arn.partition(":log-group:")
    if not found or not head.startswith("arn:"):
        raise Invalid(f"Invalid ARN: {arn}")
    return name.removesuffix(":*")


def checked(name: str) -> str:
    """Return the name of a group. Raises Invalid if no group could have it."""
    if not _NAME.fullmatch(name):
        raise Invalid(violation(name, "logGroupName", r"[\.\-_/#A-Za-z0-9]+"))
    return name


def violation(value: str, member: str, pattern: str) -> str:
    """Return AWS's words for a value that does not fit its pattern."""
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )


def read_offset(token: str) -> int:
    """Return the number in a token that `wrap` made. Raises Invalid."""
    text = unwrap(token)
    if not text.isdecimal():
        raise Invalid("The specified nextToken is invalid.")
    return int(text)


def wrap(text: str) -> str:
    """Return a text as a token that nobody is tempted to read."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def unwrap(token: str) -> str:
    """Return the text in a token. Raises Invalid."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid("The specified nextToken is invalid.") from error
