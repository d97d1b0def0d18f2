"""The blob seam: what the domain needs of object storage. S3's full surface is in `objects/local.py`."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - a record's fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farero.records.objects import StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One stored object (or one version of it)."""

    bucket: str
    key: str
    size_bytes: int
    #: Without the surrounding quotes.
    etag: str
    last_modified: dt.datetime
    content_type: str = "binary/octet-stream"
    version_id: str | None = None
    #: User metadata, names without `x-amz-meta-`.
    metadata: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, stored: StoredObject) -> ObjectInfo:
        """Return what the rest of the domain sees of a version."""
        return cls(
            bucket=stored.bucket,
            key=stored.key,
            size_bytes=stored.size_bytes,
            etag=stored.etag,
            last_modified=stored.last_modified,
            content_type=stored.content_type,
            version_id=None if stored.version_id == "null" else stored.version_id,
            metadata=stored.details.metadata,
        )


class ObjectStore(Protocol):
    """Blobs by bucket and key; reads are strong. Passes `tests/contracts/test_objects.py`."""

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe one object. Raises NotFound("bucket", …) or NotFound("object", "s3://b/k")."""
        ...

    def open(self, bucket: str, key: str) -> BinaryIO:
        """Open one object for reading; seekable. Raises NotFound as `head`."""
        ...

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str = "binary/octet-stream",
    ) -> ObjectInfo:
        """Store the whole body durably, replacing what was there. Raises NotFound("bucket", …)."""
        ...

    def put_file(
        self, bucket: str, key: str, path: Path, *, content_type: str = "binary/octet-stream"
    ) -> ObjectInfo:
        """Store a copy of a file."""
        ...

    def adopt(
        self, bucket: str, key: str, path: Path, *, content_type: str = "binary/octet-stream"
    ) -> ObjectInfo:
        """Make an object of a file that nobody will change, as cheaply as the store can; the file may then go."""
        ...

    def download(self, bucket: str, key: str, path: Path) -> ObjectInfo:
        """Write one object to a new file, as cheaply as the store can."""
        ...

    def list(self, bucket: str, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield every current object below `prefix` in key order; with `after`, those whose keys come after it."""
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove one object; removing what is not there is no error."""
        ...

    def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket if it is missing."""
        ...
