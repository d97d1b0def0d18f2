"""PostObject: an upload by an HTML form (S3 API reference: "POST Object", "Creating a POST policy").

A form carries its signature in its fields, so `check_form` looks at it as soon as they are read; then the policy is
checked against them, and only then the file is read.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit

from farero.aws.services.s3 import members
from farero.aws.services.s3.forms import FormReader
from farero.aws.services.s3.writes import receive_checked
from farero.aws.wire.messages import AwsError
from farero.aws.wire.xml_body import DECLARATION, element
from farero.records.objects import NULL_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects
    from farero.records.objects import StoredObject

    Req = dict[str, Value]
    #: Raises AwsError unless the form's fields (names in lower case) hold a good signature of their policy.
    CheckForm = Callable[[Mapping[str, str]], None]

#: Form fields that a policy need not name ("Creating a POST policy": "Condition matching").
_FREE_FIELDS = {"x-amz-signature", "signature", "awsaccesskeyid", "file", "policy"}
#: Form fields by the member of PutObject they stand for.
_FIELD_MEMBERS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "content-md5": "ContentMD5",
    "x-amz-storage-class": "StorageClass",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "x-amz-checksum-algorithm": "ChecksumAlgorithm",
    "x-amz-checksum-crc32": "ChecksumCRC32",
    "x-amz-checksum-crc32c": "ChecksumCRC32C",
    "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    "x-amz-checksum-sha1": "ChecksumSHA1",
    "x-amz-checksum-sha256": "ChecksumSHA256",
}


class PostObject:
    """The one operation botocore does not model."""

    def __init__(self, objects: LocalObjects, check_form: CheckForm) -> None:
        self._objects = objects
        self._check_form = check_form

    async def post_object(self, ctx: Context, req: Req) -> Req:
        """Store the file of a form under its field `key`.

        req: Bucket, ContentType (with the boundary) and Body, as bytes or pieces.
        """
        form = FormReader(str(req["ContentType"]), req["Body"])
        fields = await form.read_fields()
        self._check_form(fields)
        limits = check_policy(fields, bucket=str(req["Bucket"]), now=ctx.now)
        key = fields.get("key", "").replace("${filename}", form.filename)
        if not key:
            raise AwsError(
                "InvalidArgument",
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of "
                "the fields.",
                members={"ArgumentName": "key", "ArgumentValue": ""},
            )
        put = _as_put(fields) | {"Bucket": req["Bucket"], "Key": key}
        draft = members.draft_of(put)
        writer, checksum = await receive_checked(
            self._objects, put | {"Body": form.file_pieces(most=limits[1])}
        )
        with writer.aborting():
            if writer.size_bytes < limits[0]:
                raise AwsError(
                    "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size",
                    members={"ProposedSize": writer.size_bytes, "MinSizeAllowed": limits[0]},
                )
        stored = await asyncio.to_thread(
            self._objects.commit, writer, str(req["Bucket"]), key, draft=draft, checksum=checksum
        )
        return _answer(ctx, fields, stored)


def refuse_form(fields: Mapping[str, str]) -> None:
    """Let no form in: what stands where nobody can check its signature."""
    _ = fields
    raise AwsError("AccessDenied", "Access Denied", 403)


def check_policy(
    fields: Mapping[str, str], *, bucket: str, now: dt.datetime
) -> tuple[int, int | None]:
    """Check every field against the form's policy; return the least and the largest size of the file.

    Raises AccessDenied as S3 words it: an expired policy, a condition that fails, a field no condition names.
    """
    if "policy" not in fields:
        raise AwsError("AccessDenied", "Access Denied", 403)
    policy = _parse(fields["policy"])
    if _moment(policy.get("expiration")) <= now:
        raise _denied("Policy expired.")
    given = dict(fields) | {"bucket": bucket}
    named: set[str] = set()
    smallest, largest = 0, None
    for condition in policy["conditions"]:
        kind, field, value = _normal(condition)
        if kind == "content-length-range":
            smallest, largest = int(field), int(value)
            continue
        named.add(field)
        actual = given.get(field, "")
        holds = actual == value if kind == "eq" else _starts(field, actual, value)
        if not holds:
            raise _denied(f"Policy Condition failed: {json.dumps([kind, '$' + field, value])}")
    extra = [
        name
        for name in fields
        if name not in named and name not in _FREE_FIELDS and not name.startswith("x-ignore-")
    ]
    if extra:
        raise _denied(f"Extra input fields: {extra[0]}")
    return smallest, largest


def _parse(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
        if not isinstance(policy["conditions"], list):
            raise TypeError  # noqa: TRY301 - the same refusal as for any other bad policy
    except (ValueError, binascii.Error, KeyError, TypeError) as error:
        raise AwsError("InvalidPolicyDocument", "Invalid Policy: Invalid JSON.") from error
    return policy


def _moment(text: object) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError as error:
        raise AwsError(
            "InvalidPolicyDocument", f"Invalid Policy: Invalid 'expiration' value: '{text}'"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _normal(condition: object) -> tuple[str, str, str]:
    """Return (operator, field in lower case, value) of either form of a condition."""
    if isinstance(condition, dict) and len(cast("dict[str, object]", condition)) == 1:
        ((field, value),) = cast("dict[str, object]", condition).items()
        return "eq", field.lower(), str(value)
    parts = cast("list[object]", condition) if isinstance(condition, list) else []
    operator = str(parts[0]).lower() if len(parts) == 3 else ""
    if operator in ("eq", "starts-with"):
        return operator, str(parts[1]).removeprefix("$").lower(), str(parts[2])
    if operator == "content-length-range" and all(str(size).isdigit() for size in parts[1:]):
        return operator, str(parts[1]), str(parts[2])
    raise AwsError("InvalidPolicyDocument", "Invalid Policy: Invalid condition.")


def _starts(field: str, actual: str, prefix: str) -> bool:
    if field == "content-type":
        return all(part.strip().startswith(prefix) for part in actual.split(","))
    return actual.startswith(prefix)


def _denied(detail: str) -> AwsError:
    return AwsError("AccessDenied", f"Invalid according to Policy: {detail}", 403)


def _as_put(fields: Mapping[str, str]) -> Req:
    put: Req = {member: fields[name] for name, member in _FIELD_MEMBERS.items() if name in fields}
    prefix = "x-amz-meta-"
    put["Metadata"] = {n.removeprefix(prefix): v for n, v in fields.items() if n.startswith(prefix)}
    if "tagging" in fields:
        found = re.findall(
            r"<Tag>\s*<Key>(.*?)</Key>\s*<Value>(.*?)</Value>\s*</Tag>", fields["tagging"]
        )
        put["Tagging"] = urlencode(found)
    return put


def _answer(ctx: Context, fields: Mapping[str, str], stored: StoredObject) -> Req:
    location = f"{ctx.base_url}/{stored.bucket}/{quote(stored.key)}"
    headers = {"ETag": f'"{stored.etag}"', "Location": location}
    if stored.version_id != NULL_VERSION:
        headers["x-amz-version-id"] = stored.version_id
    target = fields.get("success_action_redirect") or fields.get("redirect") or ""
    if urlsplit(target).scheme in ("http", "https"):
        query = urlencode({"bucket": stored.bucket, "key": stored.key, "etag": headers["ETag"]})
        headers["Location"] = f"{target}{'&' if urlsplit(target).query else '?'}{query}"
        return {"ResponseMetadata": {"HTTPStatusCode": 303, "HTTPHeaders": headers}}
    status = fields.get("success_action_status", "204")
    if status != "201":
        code = 200 if status == "200" else 204
        return {"ResponseMetadata": {"HTTPStatusCode": code, "HTTPHeaders": headers}}
    parts = {
        "Location": location,
        "Bucket": stored.bucket,
        "Key": stored.key,
        "ETag": headers["ETag"],
    }
    inner = "".join(element(name, value) for name, value in parts.items())
    headers["Content-Type"] = "application/xml"
    return {
        "Body": f"{DECLARATION}<PostResponse>{inner}</PostResponse>".encode(),
        "ResponseMetadata": {"HTTPStatusCode": 201, "HTTPHeaders": headers},
    }
