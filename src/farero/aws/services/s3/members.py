"""Request members → what the domain stores, and back."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus

from farero.aws.services.s3.errors import invalid_argument
from farero.aws.wire.messages import AwsError
from farero.aws.wire.scalars import write_timestamp
from farero.objects import checksums
from farero.records.objects import DEFAULT_CONTENT_TYPE, NULL_VERSION, Draft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.records.objects import StoredObject

#: Longest user metadata, names and values together (S3 user guide: "Working with object metadata").
LONGEST_METADATA = 2048
#: System metadata that is kept as it came and sent back with the object.
SYSTEM_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentLanguage",
    "WebsiteRedirectLocation",
    "SSEKMSKeyId",
)
#: `response-…` parameters by the member they override (S3 API: GetObject).
OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
)
#: Types a browser would run scripts in; sandboxed, since objects come from the platform's own origin.
_ACTIVE_TYPES = ("text/html", "image/svg", "application/xhtml", "text/xml", "application/xml")


def owner(ctx: Context) -> dict[str, Value]:
    """Return the account as S3 names owners: a canonical id of 64 hex digits."""
    return {"ID": hashlib.sha256(f"canonical-user:{ctx.account}".encode()).hexdigest()}


def draft_of(req: Mapping[str, Value]) -> Draft:
    """Return what a write says about its object. Raises AwsError for values S3 refuses."""
    headers = {name: str(req[name]) for name in SYSTEM_HEADERS if req.get(name)}
    headers["ServerSideEncryption"] = req.get("ServerSideEncryption") or "AES256"
    if headers["ServerSideEncryption"] not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise invalid_argument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            headers["ServerSideEncryption"],
        )
    if req.get("BucketKeyEnabled"):
        headers["BucketKeyEnabled"] = "true"
    encoding = _without_chunking(str(req.get("ContentEncoding") or ""))
    if encoding:
        headers["ContentEncoding"] = encoding
    if req.get("Expires") is not None:
        headers["Expires"] = str(write_timestamp(req["Expires"], "rfc822"))
    storage_class = str(req.get("StorageClass") or "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise AwsError("InvalidStorageClass", "The storage class you specified is not valid")
    headers["StorageClass"] = storage_class
    return Draft(
        content_type=req.get("ContentType") or DEFAULT_CONTENT_TYPE,
        headers=headers,
        metadata=_metadata(req.get("Metadata") or {}),
        tags=parse_tagging(str(req.get("Tagging") or "")),
    )


def parse_tagging(text: str) -> dict[str, str]:
    """Return the tags of an `x-amz-tagging` header, `a=1&b=2`."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return check_tags([{"Key": key, "Value": value} for key, value in pairs], most=10)


def check_tags(tag_set: Sequence[Mapping[str, Value]], *, most: int) -> dict[str, str]:
    """Return tags as a dict. Raises AwsError for too many, too long, or twice the same key."""
    tags: dict[str, str] = {}
    for tag in tag_set:
        key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
        if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > 256:
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid")
        if key in tags:
            raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key")
        tags[key] = value
    if len(tags) > most:
        kind = "Object" if most == 10 else "Bucket"
        code = "BadRequest" if most == 10 else "InvalidTag"
        raise AwsError(code, f"{kind} tags cannot be greater than {most}")
    return tags


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as a TagSet."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def announced_checksums(req: Mapping[str, Value]) -> dict[str, str]:
    """Return the checksums a request's headers announce, by algorithm or `Content-MD5`.

    Raises AwsError for a value of the wrong length, or more than one `x-amz-checksum-` header.
    """
    found = {
        name: str(req[f"Checksum{name}"]) for name in checksums.SIZES if req.get(f"Checksum{name}")
    }
    if len(found) > 1:
        raise AwsError(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    for name, value in found.items():
        check_checksum(name, value)
    if req.get("ContentMD5"):
        if checksums.decode(str(req["ContentMD5"]), 16) is None:
            raise AwsError("InvalidDigest", "The Content-MD5 you specified was invalid.")
        found["Content-MD5"] = str(req["ContentMD5"])
    return found


def check_checksum(algorithm: str, value: str) -> None:
    """Raise AwsError unless `value` is base64 of the right length."""
    if checksums.decode(value, checksums.SIZES[algorithm]) is None:
        raise AwsError(
            "InvalidRequest",
            f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.",
        )


def checksum_members(values: Mapping[str, str], checksum_type: str = "") -> dict[str, Value]:
    """Return `ChecksumCRC32` and so on, with ChecksumType if it is given."""
    found: dict[str, Value] = {f"Checksum{name}": value for name, value in values.items()}
    if found and checksum_type:
        found["ChecksumType"] = checksum_type
    return found


def describe(stored: StoredObject, *, with_tag_count: bool = True) -> dict[str, Value]:
    """Return the members of HeadObject and GetObject that do not depend on the range."""
    headers = dict(stored.details.headers)
    if headers.get("StorageClass") == "STANDARD":
        del headers["StorageClass"]  # S3 leaves it out
    result: dict[str, Value] = {
        **headers,
        "AcceptRanges": "bytes",
        "LastModified": stored.last_modified,
        "ETag": f'"{stored.etag}"',
        "ContentType": stored.content_type,
        "Metadata": stored.details.metadata,
        **version_member(stored),
    }
    if "BucketKeyEnabled" in headers:
        result["BucketKeyEnabled"] = True
    if stored.tags and with_tag_count:
        result["TagCount"] = len(stored.tags)
    return result


def override(result: dict[str, Value], req: Mapping[str, Value]) -> None:
    """Apply `response-content-type` and its kin, and what keeps a browser from running an object."""
    for parameter, member in OVERRIDES.items():
        if req.get(parameter) is not None:
            result[member] = req[parameter]
    extra = {"X-Content-Type-Options": "nosniff"}
    if str(result.get("ContentType", "")).lower().startswith(_ACTIVE_TYPES):
        extra["Content-Security-Policy"] = "sandbox"
    result["ResponseMetadata"] = {"HTTPHeaders": extra}


def version_member(stored: StoredObject) -> dict[str, Value]:
    """Return VersionId unless the object was written before versioning was turned on."""
    return {} if stored.version_id == NULL_VERSION else {"VersionId": stored.version_id}


def encryption_members(headers: Mapping[str, str]) -> dict[str, Value]:
    """Return how an object is encrypted, as writes answer."""
    found: dict[str, Value] = {
        name: headers[name] for name in ("ServerSideEncryption", "SSEKMSKeyId") if name in headers
    }
    if "BucketKeyEnabled" in headers:
        found["BucketKeyEnabled"] = True
    return found


def url_encoder(encoding_type: Value) -> _Encoder:
    """Return the function that EncodingType asks for."""
    if encoding_type not in (None, "", "url"):
        raise invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", encoding_type
        )
    return _Encoder(is_url=encoding_type == "url")


class _Encoder:
    """Writes keys as they are, or percent-encoded with `+` for a space and `/` kept."""

    def __init__(self, *, is_url: bool) -> None:
        self._is_url = is_url

    def __call__(self, text: str) -> str:
        return quote_plus(text, safe="/*") if self._is_url else text


def date_or_none(value: Value) -> dt.datetime | None:
    """Return a condition's time."""
    return value if isinstance(value, dt.datetime) else None


def _metadata(given: Mapping[str, Value]) -> dict[str, str]:
    metadata = {str(name).lower(): str(value) for name, value in given.items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > LONGEST_METADATA:
        raise AwsError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            members={"Size": size, "MaxSizeAllowed": LONGEST_METADATA},
        )
    return metadata


def _without_chunking(encoding: str) -> str:
    parts = [part.strip() for part in encoding.split(",")]
    return ",".join(part for part in parts if part and part.lower() != "aws-chunked")
