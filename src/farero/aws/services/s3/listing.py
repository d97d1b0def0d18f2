"""Listing objects, versions and uploads, page by page."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from farero.aws.services.s3 import members
from farero.aws.services.s3.errors import invalid_argument
from farero.objects.listing import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.listing import Page
    from farero.objects.local import LocalObjects
    from farero.records.objects import StoredObject, Upload

    Req = dict[str, Value]


class Listings:
    """Operations that list what a bucket holds."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    def list_objects(self, ctx: Context, req: Req) -> Req:
        """List objects, continued by Marker (the first version of this call)."""
        encode = members.url_encoder(req.get("EncodingType"))
        wish = _wish(req, after=req.get("Marker") or "", limit="MaxKeys")
        page = self._objects.listing.objects(req["Bucket"], wish)
        result = _frame(req, wish, page, encode) | {
            "Name": req["Bucket"],
            "Marker": encode(wish.after),
            "MaxKeys": wish.limit,
            "Contents": [
                _object(item, encode) | {"Owner": members.owner(ctx)} for item in page.items
            ],
        }
        if page.is_truncated and wish.delimiter:
            result["NextMarker"] = encode(page.last)  # S3 sends it only with a delimiter
        return result

    def list_objects_v2(self, ctx: Context, req: Req) -> Req:
        """List objects, continued by a token."""
        encode = members.url_encoder(req.get("EncodingType"))
        token = req.get("ContinuationToken")
        after = _from_token(token) if token is not None else req.get("StartAfter") or ""
        wish = _wish(req, after=after, limit="MaxKeys")
        page = self._objects.listing.objects(req["Bucket"], wish)
        owner = {"Owner": members.owner(ctx)} if req.get("FetchOwner") else {}
        result = _frame(req, wish, page, encode) | {
            "Name": req["Bucket"],
            "MaxKeys": wish.limit,
            "KeyCount": len(page.items) + len(page.prefixes),
            "Contents": [_object(item, encode) | owner for item in page.items],
        }
        if req.get("StartAfter"):
            result["StartAfter"] = encode(req["StartAfter"])
        if token is not None:
            result["ContinuationToken"] = token
        if page.is_truncated:
            result["NextContinuationToken"] = _token(page.last)
        return result

    def list_object_versions(self, ctx: Context, req: Req) -> Req:
        """List every version and delete marker, newest first within a key."""
        encode = members.url_encoder(req.get("EncodingType"))
        key_marker, version_marker = req.get("KeyMarker") or "", req.get("VersionIdMarker") or ""
        if version_marker and not key_marker:
            raise invalid_argument(
                "A version-id marker cannot be specified without a key marker.",
                "version-id-marker",
                version_marker,
            )
        wish = _wish(req, after=key_marker, limit="MaxKeys")
        page = self._objects.listing.versions(req["Bucket"], wish, version_marker=version_marker)
        owner = members.owner(ctx)
        result = _frame(req, wish, page, encode) | {
            "Name": req["Bucket"],
            "KeyMarker": encode(key_marker),
            "VersionIdMarker": version_marker,
            "MaxKeys": wish.limit,
            "Versions": [
                _object(item, encode) | _version(item, owner)
                for item in page.items
                if not item.is_delete_marker
            ],
            "DeleteMarkers": [
                {"Key": encode(item.key), "LastModified": item.last_modified}
                | _version(item, owner)
                for item in page.items
                if item.is_delete_marker
            ],
        }
        if page.is_truncated:
            result["NextKeyMarker"] = encode(page.last)
            if page.items and page.items[-1].key == page.last:
                result["NextVersionIdMarker"] = page.items[-1].version_id
        return result

    def list_multipart_uploads(self, ctx: Context, req: Req) -> Req:
        """List uploads in progress, oldest first within a key."""
        encode = members.url_encoder(req.get("EncodingType"))
        key_marker, id_marker = req.get("KeyMarker") or "", req.get("UploadIdMarker") or ""
        wish = _wish(req, after=key_marker, limit="MaxUploads")
        page = self._objects.listing.uploads(
            req["Bucket"], wish, upload_marker=id_marker if key_marker else ""
        )
        result = _frame(req, wish, page, encode) | {
            "Bucket": req["Bucket"],
            "KeyMarker": encode(key_marker),
            "UploadIdMarker": id_marker,
            "MaxUploads": wish.limit,
            "Uploads": [_upload(item, encode, ctx) for item in page.items],
        }
        if page.is_truncated:
            result["NextKeyMarker"] = encode(page.last)
            if page.items and page.items[-1].key == page.last:
                result["NextUploadIdMarker"] = page.items[-1].upload_id
        return result


def _wish(req: Req, *, after: str, limit: str) -> Wish:
    wanted = req.get(limit)
    wanted = 1000 if wanted is None else int(wanted)
    if not 0 <= wanted <= 2**31 - 1:
        name = "max-keys" if limit == "MaxKeys" else "max-uploads"
        raise invalid_argument(
            f"Argument {name} must be an integer between 0 and 2147483647", name, wanted
        )
    return Wish(
        prefix=req.get("Prefix") or "",
        delimiter=req.get("Delimiter") or "",
        after=after,
        limit=min(wanted, 1000),
    )


def _frame(
    req: Req,
    wish: Wish,
    page: Page[StoredObject] | Page[Upload],
    encode: Callable[[str], str],
) -> Req:
    result: Req = {
        "Prefix": encode(wish.prefix),
        "IsTruncated": page.is_truncated,
        "CommonPrefixes": [{"Prefix": encode(prefix)} for prefix in page.prefixes],
    }
    if wish.delimiter:
        result["Delimiter"] = encode(wish.delimiter)
    if req.get("EncodingType"):
        result["EncodingType"] = req["EncodingType"]
    return result


def _object(item: StoredObject, encode: Callable[[str], str]) -> Req:
    return {
        "Key": encode(item.key),
        "LastModified": item.last_modified,
        "ETag": f'"{item.etag}"',
        "ChecksumAlgorithm": list(item.details.checksums),
        "ChecksumType": item.details.checksum_type,
        "Size": item.size_bytes,
        "StorageClass": item.details.headers.get("StorageClass", "STANDARD"),
    }


def _version(item: StoredObject, owner: Req) -> Req:
    return {"VersionId": item.version_id, "IsLatest": item.is_latest, "Owner": owner}


def _upload(item: Upload, encode: Callable[[str], str], ctx: Context) -> Req:
    result: Req = {
        "UploadId": item.upload_id,
        "Key": encode(item.key),
        "Initiated": item.initiated,
        "StorageClass": item.draft.headers.get("StorageClass", "STANDARD"),
        "Owner": members.owner(ctx),
        "Initiator": {"ID": ctx.principal.arn},
    }
    if item.checksum_algorithm:
        result["ChecksumAlgorithm"] = item.checksum_algorithm
        result["ChecksumType"] = item.checksum_type
    return result


def _token(position: str) -> str:
    return base64.urlsafe_b64encode(f"1{position}".encode()).decode()


def _from_token(token: str) -> str:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    if not text.startswith("1"):
        raise invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        )
    return text[1:]
