"""IAM's records as AWS's dicts, and its pages."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farero.records.identity import Entity

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

PAGE = 100


def paged(
    req: Value, member: str, found: Sequence[Any], write: Callable[[Any], Any] = lambda item: item
) -> Value:
    """Return one page of `found` under `member`, with the marker of the next."""
    start = _read_marker(req["Marker"]) if "Marker" in req else 0
    size: int = req.get("MaxItems", PAGE)
    end = start + size
    answer: Value = {
        member: [write(item) for item in found[start:end]],
        "IsTruncated": end < len(found),
    }
    if end < len(found):
        answer["Marker"] = base64.urlsafe_b64encode(f"iam/{end}".encode()).decode()
    return answer


def user(entity: Entity) -> Value:
    """Write a user."""
    return _common(entity, "User") | _boundary(entity) | tags(entity)


def group(entity: Entity) -> Value:
    """Write a group."""
    return _common(entity, "Group")


def role(entity: Entity) -> Value:
    """Write a role."""
    document = entity.document
    answer = _common(entity, "Role") | {
        "AssumeRolePolicyDocument": quoted(document["AssumeRolePolicyDocument"]),
        "MaxSessionDuration": document.get("MaxSessionDuration", 3600),
    }
    if document.get("Description"):
        answer["Description"] = document["Description"]
    return answer | _boundary(entity) | tags(entity)


def policy(entity: Entity, attachments: int) -> Value:
    """Write a managed policy with the number of those that it is attached to."""
    document = entity.document
    updated = document.get("UpdateDate", entity.created_at.timestamp())
    answer: Value = {
        "PolicyName": document["PolicyName"],
        "PolicyId": entity.id,
        "Arn": entity.arn,
        "Path": entity.path,
        "DefaultVersionId": document["DefaultVersionId"],
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": entity.created_at,
        "UpdateDate": moment(updated),
    }
    if document.get("Description"):
        answer["Description"] = document["Description"]
    return answer


def profile(entity: Entity, roles: Sequence[Entity]) -> Value:
    """Write an instance profile with its roles."""
    answer = _common(entity, "InstanceProfile") | {"Roles": [role(r) for r in roles]}
    return answer | tags(entity)


def tags(entity: Entity) -> Value:
    """Write tags, or nothing when there are none."""
    held: Mapping[str, str] = entity.document.get("Tags", {})
    return {"Tags": tag_list(entity)} if held else {}


def tag_list(entity: Entity) -> list[Value]:
    """Write tags as IAM lists them."""
    held: Mapping[str, str] = entity.document.get("Tags", {})
    return [{"Key": key, "Value": value} for key, value in sorted(held.items())]


def tag_dict(req: Value) -> dict[str, str]:
    """Read the tags of a request."""
    return {tag["Key"]: tag["Value"] for tag in req.get("Tags", [])}


def quoted(text: str) -> str:
    """Write a policy document as IAM does: percent-encoded (RFC 3986)."""
    return quote(text, safe="")


def moment(seconds: float) -> dt.datetime:
    """Write seconds since 1970 as a time."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _common(entity: Entity, word: str) -> Value:
    return {
        "Path": entity.path,
        f"{word}Name": entity.name,
        f"{word}Id": entity.id,
        "Arn": entity.arn,
        "CreateDate": entity.created_at,
    }


def _boundary(entity: Entity) -> Value:
    arn = entity.document.get("PermissionsBoundary")
    if not arn:
        return {}
    kind = "PermissionsBoundaryPolicy"
    return {"PermissionsBoundary": {"PermissionsBoundaryType": kind, "PermissionsBoundaryArn": arn}}


def _read_marker(text: str) -> int:
    try:
        number = base64.urlsafe_b64decode(text).decode().removeprefix("iam/")
        return max(int(number), 0)
    except (ValueError, binascii.Error) as error:
        raise Invalid(f"Invalid Marker: {text}") from error
