"""What IAM demands of a policy document before it stores it; nothing is evaluated here.

Source: "IAM JSON policy element reference" (IAM user guide); the texts are those that IAM answers with.
"""

from __future__ import annotations

import json
from typing import Any, cast

from farero.base.errors import Invalid, LimitExceeded

VERSIONS = ("2012-10-17", "2008-10-17")
#: Largest sizes in characters without white space ("IAM and AWS STS quotas").
LARGEST_MANAGED = 6144
LARGEST_TRUST = 2048


class MalformedPolicy(Invalid):
    """The document is no policy."""


def check_policy(text: str) -> None:
    """Raise MalformedPolicy unless `text` is a policy that can stand for what an identity may do."""
    if _size(text) > LARGEST_MANAGED:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {LARGEST_MANAGED}")
    for statement in _statements(text):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise MalformedPolicy("Policy document should not specify a principal.")
        if "Action" not in statement and "NotAction" not in statement:
            raise MalformedPolicy("Policy statement must contain actions.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise MalformedPolicy("Policy statement must contain resources.")


def check_trust(text: str) -> None:
    """Raise MalformedPolicy unless `text` is a policy that says who may assume a role."""
    if _size(text) > LARGEST_TRUST:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {LARGEST_TRUST}")
    for statement in _statements(text):
        if "Resource" in statement or "NotResource" in statement:
            raise MalformedPolicy("Has prohibited field Resource")
        if "Principal" not in statement:
            raise MalformedPolicy("Missing required field Principal")
        actions = statement.get("Action", [])
        names = cast("list[object]", actions if isinstance(actions, list) else [actions])
        if not names:
            raise MalformedPolicy("Missing required field Action")
        if not all(str(name).startswith("sts:") for name in names):
            raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        policy = json.loads(text)
    except ValueError as error:
        raise MalformedPolicy("This policy contains invalid Json") from error
    if not isinstance(policy, dict):
        raise MalformedPolicy("Syntax errors in policy.")
    document = cast("dict[str, Any]", policy)
    if document.get("Version", VERSIONS[0]) not in VERSIONS:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")
    found = document.get("Statement")
    statements = cast("list[Any]", found if isinstance(found, list) else [found])
    if not statements or not all(isinstance(s, dict) for s in statements):
        raise MalformedPolicy("Syntax errors in policy.")
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise MalformedPolicy("Syntax errors in policy.")
    return statements


def _size(text: str) -> int:
    return sum(not c.isspace() for c in text)
