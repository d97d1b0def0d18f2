"""Copying on the server: CopyObject and UploadPartCopy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import unquote

from farero.aws.services.s3 import members, ranges
from farero.aws.services.s3.errors import invalid_argument
from farero.aws.services.s3.writes import check_acl, write_conditions
from farero.aws.wire.messages import AwsError
from farero.objects import checksums, conditions
from farero.objects.conditions import Conditions

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects
    from farero.records.objects import Draft, StoredObject

    Req = dict[str, Value]

#: CopyObject and UploadPartCopy take 5 GiB at most.
LARGEST_COPY = 5 * 1024**3
#: What may differ in a copy of an object onto itself.
_CHANGES = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "ChecksumAlgorithm")


class Copies:
    """Operations whose bytes come from another object."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    def copy_object(self, ctx: Context, req: Req) -> Req:
        """Copy an object of up to 5 GiB, with its metadata and tags or with new ones."""
        source = self._source(ctx, req)
        if source.size_bytes > LARGEST_COPY:
            raise AwsError(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy source: "
                f"{LARGEST_COPY}",
            )
        _check_self_copy(source, req)
        check_acl(self._objects, req)
        algorithm = str(req.get("ChecksumAlgorithm") or "").upper()
        stored = self._objects.copy(
            source,
            req["Bucket"],
            req["Key"],
            draft=_draft(source, req),
            checksum=algorithm,
            conditions=write_conditions(req),
        )
        return {
            "CopyObjectResult": {
                "ETag": f'"{stored.etag}"',
                "LastModified": stored.last_modified,
                **members.checksum_members(stored.details.checksums, stored.details.checksum_type),
            },
            **_source_version(source),
            **members.version_member(stored),
            **members.encryption_members(stored.details.headers),
        }

    def upload_part_copy(self, ctx: Context, req: Req) -> Req:
        """Copy an object, or a range of one, into a part of an upload."""
        check_part_number(req["PartNumber"])
        upload = self._objects.uploads.get(req["Bucket"], req["Key"], req["UploadId"])
        source = self._source(ctx, req)
        start, stop = 0, source.size_bytes
        if req.get("CopySourceRange"):
            start, stop = ranges.parse_copy_range(req["CopySourceRange"], source.size_bytes)
        if stop - start > LARGEST_COPY:
            raise AwsError(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy source: "
                f"{LARGEST_COPY}",
            )
        writer = self._objects.begin_write({upload.checksum_algorithm} - {""})
        with writer.aborting():
            _, pieces = self._objects.read(
                source.bucket, source.key, source.version_id, choose=lambda _: (start, stop)
            )
            for piece in pieces:
                writer.write(piece)
        part = self._objects.uploads.commit_part(writer, upload, req["PartNumber"])
        algorithm = upload.checksum_algorithm or checksums.DEFAULT
        return {
            "CopyPartResult": {
                "ETag": f'"{part.etag}"',
                "LastModified": part.last_modified,
                **members.checksum_members({algorithm: part.checksums[algorithm]}),
            },
            **_source_version(source),
            **members.encryption_members(upload.draft.headers),
        }

    def _source(self, ctx: Context, req: Req) -> StoredObject:
        bucket, key, version_id = parse_copy_source(req["CopySource"])
        expected = req.get("ExpectedSourceBucketOwner")
        if expected and expected != ctx.account:
            self._objects.buckets.get(bucket)
            raise AwsError("AccessDenied", "Access Denied", 403)
        stored = self._objects.get(bucket, key, version_id)
        wanted = Conditions(
            if_match=req.get("CopySourceIfMatch") or "",
            if_none_match=req.get("CopySourceIfNoneMatch") or "",
            if_modified_since=members.date_or_none(req.get("CopySourceIfModifiedSince")),
            if_unmodified_since=members.date_or_none(req.get("CopySourceIfUnmodifiedSince")),
        )
        conditions.check_copy_source(wanted, stored)
        return stored


def parse_copy_source(text: str) -> tuple[str, str, str]:
    """Return bucket, key and version id of `x-amz-copy-source`, which is percent-encoded."""
    path, _, query = text.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument(
            "Invalid copy source object key" if bucket else "Invalid copy source bucket name",
            "x-amz-copy-source",
            text,
        )
    return bucket, key, unquote(query)


def check_part_number(number: int) -> None:
    """Raise InvalidArgument unless 1 ≤ number ≤ 10,000."""
    if not 1 <= number <= 10_000:
        raise invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive", "partNumber", number
        )


def _draft(source: StoredObject, req: Req) -> Draft:
    for name in ("MetadataDirective", "TaggingDirective"):
        if req.get(name) not in (None, "COPY", "REPLACE"):
            header = f"x-amz-{name.removesuffix('Directive').lower()}-directive"
            raise invalid_argument("Unknown metadata directive.", header, req[name])
    draft = members.draft_of(req)
    if req.get("MetadataDirective") != "REPLACE":
        kept = {
            name: value
            for name, value in source.details.headers.items()
            if name not in ("StorageClass", "ServerSideEncryption", "WebsiteRedirectLocation")
        }
        own = {
            name: value
            for name, value in draft.headers.items()
            if name in ("StorageClass", "ServerSideEncryption", "WebsiteRedirectLocation")
        }
        draft = dataclasses.replace(
            draft,
            content_type=source.content_type,
            headers=kept | own,
            metadata=source.details.metadata,
        )
    if req.get("TaggingDirective") != "REPLACE":
        draft = dataclasses.replace(draft, tags=source.tags)
    return draft


def _check_self_copy(source: StoredObject, req: Req) -> None:
    is_same = (source.bucket, source.key) == (req["Bucket"], req["Key"]) and source.is_latest
    if is_same and req.get("MetadataDirective") != "REPLACE" and not any(map(req.get, _CHANGES)):
        raise AwsError(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            "the object's metadata, storage class, website redirect location or encryption attributes.",
        )


def _source_version(source: StoredObject) -> Req:
    found = members.version_member(source)
    return {"CopySourceVersionId": found["VersionId"]} if found else {}
