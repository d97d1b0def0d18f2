"""Multipart uploads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from farero.aws.services.s3 import members
from farero.aws.services.s3.copies import check_part_number
from farero.aws.services.s3.errors import invalid_argument, malformed_xml
from farero.aws.services.s3.writes import check_acl, receive_checked, write_conditions
from farero.aws.wire.messages import AwsError
from farero.objects import checksums
from farero.objects.uploads import NamedPart

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects

    Req = dict[str, Value]

_NOTHING: Req = {}


class Multipart:
    """Operations on uploads in parts; listing them is in `listing.py`, UploadPartCopy in `copies.py`."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    def create_multipart_upload(self, ctx: Context, req: Req) -> Req:
        """Begin an upload."""
        _ = ctx
        check_acl(self._objects, req)
        upload = self._objects.uploads.create(
            req["Bucket"],
            req["Key"],
            members.draft_of(req),
            checksum_algorithm=str(req.get("ChecksumAlgorithm") or "").upper(),
            checksum_type=str(req.get("ChecksumType") or "").upper(),
        )
        result: Req = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.upload_id,
            **members.encryption_members(upload.draft.headers),
        }
        if upload.checksum_algorithm:
            result["ChecksumAlgorithm"] = upload.checksum_algorithm
            result["ChecksumType"] = upload.checksum_type
        return result

    async def upload_part(self, ctx: Context, req: Req) -> Req:
        """Store one part as it arrives."""
        _ = ctx
        check_part_number(req["PartNumber"])
        uploads = self._objects.uploads
        upload = await asyncio.to_thread(uploads.get, req["Bucket"], req["Key"], req["UploadId"])
        wanted = upload.checksum_algorithm
        writer, chosen = await receive_checked(self._objects, req, algorithm=wanted)
        if wanted and chosen and chosen != wanted:
            writer.abort()
            raise AwsError(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, "
                f"actual checksum Type: {chosen.lower()}",
            )
        part = await asyncio.to_thread(uploads.commit_part, writer, upload, req["PartNumber"])
        algorithm = chosen or wanted or checksums.DEFAULT
        return {
            "ETag": f'"{part.etag}"',
            **members.checksum_members({algorithm: part.checksums[algorithm]}),
            **members.encryption_members(upload.draft.headers),
        }

    def complete_multipart_upload(self, ctx: Context, req: Req) -> Req:
        """Make the parts one object."""
        given: list[Req] = (req.get("MultipartUpload") or _NOTHING).get("Parts") or []
        named = [_named_part(part) for part in given]
        if not named:
            raise malformed_xml()
        announced = members_of_whole(req)
        stored = self._objects.uploads.complete(
            req["Bucket"],
            req["Key"],
            req["UploadId"],
            named,
            checksums_announced=announced,
            checksum_type=str(req.get("ChecksumType") or "").upper(),
            size_bytes=req.get("MpuObjectSize"),
            conditions=write_conditions(req),
        )
        return {
            "Location": f"{ctx.base_url}/{stored.bucket}/{stored.key}",
            "Bucket": stored.bucket,
            "Key": stored.key,
            "ETag": f'"{stored.etag}"',
            **members.checksum_members(stored.details.checksums, stored.details.checksum_type),
            **members.encryption_members(stored.details.headers),
            **members.version_member(stored),
        }

    def abort_multipart_upload(self, ctx: Context, req: Req) -> Req:
        """End an upload and throw its parts away."""
        _ = ctx
        self._objects.uploads.abort(req["Bucket"], req["Key"], req["UploadId"])
        return {}

    def list_parts(self, ctx: Context, req: Req) -> Req:
        """List the parts of an upload by number."""
        after = _whole_number(req, "PartNumberMarker", "part-number-marker", default=0)
        limit = min(_whole_number(req, "MaxParts", "max-parts", default=1000), 1000)
        upload, parts = self._objects.uploads.list_parts(
            req["Bucket"], req["Key"], req["UploadId"], after=after, limit=limit + 1
        )
        page = parts[:limit]
        owner = members.owner(ctx)
        result: Req = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.upload_id,
            "PartNumberMarker": after,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(parts) > limit > 0,
            "Initiator": {"ID": ctx.principal.arn},
            "Owner": owner,
            "StorageClass": upload.draft.headers.get("StorageClass", "STANDARD"),
        }
        if upload.checksum_algorithm:
            result["ChecksumAlgorithm"] = upload.checksum_algorithm
            result["ChecksumType"] = upload.checksum_type
        result["Parts"] = [
            {
                "PartNumber": part.number,
                "LastModified": part.last_modified,
                "ETag": f'"{part.etag}"',
                "Size": part.size_bytes,
                **members.checksum_members(
                    {
                        name: value
                        for name, value in part.checksums.items()
                        if name == upload.checksum_algorithm
                    }
                ),
            }
            for part in page
        ]
        return result


def members_of_whole(req: Req) -> dict[str, str]:
    """Return the checksums announced for the whole object; a composite one ends in `-N`."""
    found: dict[str, str] = {}
    for name in checksums.SIZES:
        value = str(req.get(f"Checksum{name}") or "")
        if value:
            members.check_checksum(name, value.partition("-")[0])
            found[name] = value
    return found


def _named_part(part: Req) -> NamedPart:
    if part.get("PartNumber") is None or not part.get("ETag"):
        raise malformed_xml()
    found = {
        name: str(part[f"Checksum{name}"])
        for name in checksums.SIZES
        if part.get(f"Checksum{name}")
    }
    return NamedPart(number=part["PartNumber"], etag=part["ETag"], checksums=found)


def _whole_number(req: Req, member: str, name: str, *, default: int) -> int:
    value = req.get(member)
    if value is None:
        return default
    number = int(value)
    if not 0 <= number <= 2**31 - 1:
        raise invalid_argument(
            f"Argument {name} must be an integer between 0 and 2147483647", name, value
        )
    return number
