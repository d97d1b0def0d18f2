"""Reading objects: GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from farero.aws.services.s3 import bodies, members, ranges
from farero.aws.services.s3.errors import invalid_argument
from farero.aws.wire.messages import AwsError
from farero.objects import conditions
from farero.objects.conditions import Conditions
from farero.objects.reading import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects
    from farero.records.objects import StoredObject

    Req = dict[str, Value]


class Reads:
    """Operations that read one object."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    async def get_object(self, ctx: Context, req: Req) -> Req:
        """Send an object, or a range or a part of it; a small one at once, a large one in pieces."""
        _ = ctx
        stored, pieces, first = await asyncio.to_thread(self._begin, req)
        start, stop = _choose(stored, req)
        result = _describe(stored, req, start, stop)
        is_small = stop - start <= PIECE_BYTES
        result["Body"] = first if is_small else bodies.send(pieces)
        return result

    def head_object(self, ctx: Context, req: Req) -> Req:
        """Describe an object as GetObject would send it."""
        _ = ctx
        stored = self._objects.get(req["Bucket"], req["Key"], req.get("VersionId") or "")
        start, stop = _choose(stored, req)
        return _describe(stored, req, start, stop)

    def get_object_attributes(self, ctx: Context, req: Req) -> Req:
        """Return the attributes asked for, without the bytes."""
        _ = ctx
        stored = self._objects.get(req["Bucket"], req["Key"], req.get("VersionId") or "")
        wanted = [name.strip() for text in req["ObjectAttributes"] for name in text.split(",")]
        result: Req = {"LastModified": stored.last_modified, **members.version_member(stored)}
        if "ETag" in wanted:
            result["ETag"] = stored.etag  # without quotes here (S3 API: GetObjectAttributes)
        if "Checksum" in wanted:
            result["Checksum"] = members.checksum_members(
                stored.details.checksums, stored.details.checksum_type
            )
        if "ObjectParts" in wanted and stored.details.parts:
            result["ObjectParts"] = _parts(stored, req)
        if "StorageClass" in wanted:
            result["StorageClass"] = stored.details.headers.get("StorageClass", "STANDARD")
        if "ObjectSize" in wanted:
            result["ObjectSize"] = stored.size_bytes
        return result

    def _begin(self, req: Req) -> tuple[StoredObject, Iterator[bytes], bytes]:
        chosen = 0

        def choose(stored: StoredObject) -> tuple[int, int]:
            nonlocal chosen
            start, stop = _choose(stored, req)
            chosen = stop - start
            return start, stop

        stored, pieces = self._objects.read(
            req["Bucket"], req["Key"], req.get("VersionId") or "", choose=choose
        )
        first = b"".join(pieces) if chosen <= PIECE_BYTES else b""
        return stored, pieces, first


def _choose(stored: StoredObject, req: Req) -> tuple[int, int]:
    """Return the bytes (start, stop) to send, after the conditions."""
    conditions.check_read(
        Conditions(
            if_match=req.get("IfMatch") or "",
            if_none_match=req.get("IfNoneMatch") or "",
            if_modified_since=members.date_or_none(req.get("IfModifiedSince")),
            if_unmodified_since=members.date_or_none(req.get("IfUnmodifiedSince")),
        ),
        stored,
    )
    if req.get("Range") and req.get("PartNumber"):
        raise AwsError(
            "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"
        )
    if req.get("PartNumber") is not None:
        return ranges.part_range(stored, req["PartNumber"])
    found = ranges.parse_range(req["Range"], stored.size_bytes) if req.get("Range") else None
    return found or (0, stored.size_bytes)


def _describe(stored: StoredObject, req: Req, start: int, stop: int) -> Req:
    result = members.describe(stored)
    result["ContentLength"] = stop - start
    is_whole = (start, stop) == (0, stored.size_bytes)
    asked_range = bool(req.get("Range")) and (
        ranges.parse_range(req["Range"], stored.size_bytes) is not None
    )
    if stored.size_bytes and (asked_range or req.get("PartNumber") is not None):
        result["ContentRange"] = f"bytes {start}-{stop - 1}/{stored.size_bytes}"
    if req.get("PartNumber") is not None and stored.details.parts:
        result["PartsCount"] = len(stored.details.parts)
    if req.get("ChecksumMode") == "ENABLED":
        result |= _checksums(stored, req, is_whole=is_whole)
    members.override(result, req)
    return result


def _checksums(stored: StoredObject, req: Req, *, is_whole: bool) -> Req:
    number: int | None = req.get("PartNumber")
    if number is not None and stored.details.parts:
        part = stored.details.parts[number - 1]
        return members.checksum_members(part.checksums, stored.details.checksum_type)
    if is_whole:
        return members.checksum_members(stored.details.checksums, stored.details.checksum_type)
    return {}


def _parts(stored: StoredObject, req: Req) -> Req:
    after = int(req.get("PartNumberMarker") or 0)
    limit = req.get("MaxParts")
    limit = 1000 if limit is None else min(int(limit), 1000)
    if limit < 0:
        raise invalid_argument(
            "Argument max-parts must be an integer between 0 and 2147483647", "max-parts", limit
        )
    parts = stored.details.parts
    left = [part for part in parts if part.number > after]
    page = left[:limit]
    result: Req = {
        "TotalPartsCount": len(parts),
        "PartNumberMarker": after,
        "MaxParts": limit,
        "IsTruncated": len(left) > len(page),
        "NextPartNumberMarker": page[-1].number if page else 0,
    }
    if stored.details.checksum_type == "COMPOSITE":
        # For full-object checksums S3 keeps none of the parts'.
        result["Parts"] = [
            {
                "PartNumber": part.number,
                "Size": part.size_bytes,
                **members.checksum_members(part.checksums),
            }
            for part in page
        ]
    return result
