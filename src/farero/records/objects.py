"""Buckets, object versions, uploads and their parts, as the objects domain keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

#: The version id of what was written while versioning was not enabled.
NULL_VERSION = "null"
DEFAULT_CONTENT_TYPE = "binary/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket."""

    name: str
    region: str
    created_at: dt.datetime
    #: Empty until versioning was first set, then `Enabled` or `Suspended`.
    versioning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of an object's bytes: one whole file."""

    file_id: str
    size_bytes: int
    #: CRC64NVME of the file, base64; checked whenever the whole file is read.
    crc64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a completed multipart object, as GetObjectAttributes and `partNumber` see it."""

    number: int
    size_bytes: int
    #: By algorithm, base64.
    checksums: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is kept of an object version but never searched."""

    #: Where the bytes lie, in order.
    segments: tuple[Segment, ...] = ()
    #: Parts of a multipart object; empty for one that was put whole.
    parts: tuple[Part, ...] = ()
    #: System metadata by AWS member name: CacheControl, ContentDisposition, StorageClass, ServerSideEncryption, …
    headers: dict[str, str] = field(default_factory=dict[str, str])
    #: User metadata, names without `x-amz-meta-`.
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    #: By algorithm (`CRC32`, `SHA256`, …), base64; a composite value ends in `-N`.
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    #: `FULL_OBJECT` or `COMPOSITE`.
    checksum_type: str = "FULL_OBJECT"
    #: The multipart upload that made it, so that completing twice is no error.
    upload_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One version of one object."""

    bucket: str
    key: str
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    size_bytes: int
    #: Without the surrounding quotes.
    etag: str
    last_modified: dt.datetime
    content_type: str
    details: Details
    tags: dict[str, str]
    #: Position in the history of writes; 0 before it was stored.
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a writer says about an object besides its bytes."""

    content_type: str = DEFAULT_CONTENT_TYPE
    headers: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted."""

    upload_id: str
    bucket: str
    key: str
    initiated: dt.datetime
    draft: Draft
    #: Empty when the client named none.
    checksum_algorithm: str = ""
    checksum_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """One part of an upload."""

    upload_id: str
    number: int
    size_bytes: int
    etag: str
    last_modified: dt.datetime
    segments: tuple[Segment, ...]
    checksums: dict[str, str] = field(default_factory=dict[str, str])
