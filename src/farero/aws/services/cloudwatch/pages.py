"""Tokens that lead from one page of an answer to the next."""

from __future__ import annotations

import base64

from farero.aws.wire.messages import AwsError


def token(offset: int) -> str:
    """Return the token of the page that begins after so many results."""
    return base64.urlsafe_b64encode(f"after:{offset}".encode()).decode()


def offset(given: str) -> int:
    """Return where the page of a token begins; 0 without one. Raises AwsError for one that is none of ours."""
    if not given:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(given).decode().partition(":")
    except ValueError:
        kind, number = "", ""
    if kind != "after" or not number.isdecimal():
        raise AwsError("InvalidNextToken", "Invalid nextToken.", 400)
    return int(number)
