"""Buckets and their configuration documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from farero.base.errors import Conflict, NotFound
from farero.objects import names
from farero.objects.errors import BucketNotEmpty, no_bucket
from farero.records.objects import Bucket
from farero.store import objects as rows
from farero.store import uploads as upload_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.objects.files import Files
    from farero.store.engine import Store


#: What a new bucket is given (S3 user guide: "Default settings for new S3 buckets", since April 2023).
DEFAULT_CONFIGS: dict[str, dict[str, Any]] = {
    "encryption": {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                "BucketKeyEnabled": False,
            }
        ]
    },
    "public-access-block": {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    },
    "ownership-controls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
}


class Buckets:
    """Every bucket of the account; a configuration is kept as the plain document it came as."""

    def __init__(self, store: Store, files: Files, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    def create(self, name: str, region: str) -> Bucket:
        """Add a bucket. Raises InvalidBucketName, Conflict("bucket", …)."""
        names.check_bucket_name(name)
        with self._store.begin() as db:
            if rows.find_bucket(db, name) is not None:
                raise Conflict("bucket", name)
            now = self._clock.now().replace(microsecond=0)
            bucket = Bucket(name=name, region=region, created_at=now)
            rows.insert_bucket(db, bucket)
            for kind, document in DEFAULT_CONFIGS.items():
                rows.put_config(db, name, kind, msgspec.json.encode(document).decode())
        return bucket

    def get(self, name: str) -> Bucket:
        """Return one bucket. Raises NotFound."""
        with self._store.read() as db:
            return get_bucket(db, name)

    def find(self, name: str) -> Bucket | None:
        """Return one bucket, or None."""
        with self._store.read() as db:
            return rows.find_bucket(db, name)

    def list(self, *, prefix: str = "", after: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return buckets in order of name, from the one after `after`."""
        with self._store.read() as db:
            return rows.list_buckets(db, prefix=prefix, after=after, limit=limit)

    def delete(self, name: str) -> None:
        """Remove an empty bucket, and the uploads nobody completed. Raises NotFound, BucketNotEmpty."""
        with self._store.begin() as db:
            get_bucket(db, name, lock=True)
            if not rows.bucket_is_empty(db, name):
                raise BucketNotEmpty(name)
            doomed: list[str] = []
            for upload in upload_rows.list_of_bucket(db, name):
                for part in upload_rows.list_parts(db, upload.upload_id):
                    doomed += [segment.file_id for segment in part.segments]
                upload_rows.delete_upload(db, upload.upload_id)
            rows.delete_bucket(db, name)
        self._files.remove(doomed)

    def set_versioning(self, name: str, versioning: str) -> None:
        """Turn versioning `Enabled` or `Suspended`; it is never off again. Raises NotFound."""
        with self._store.begin() as db:
            get_bucket(db, name, lock=True)
            rows.set_versioning(db, name, versioning)

    def put_config(self, name: str, kind: str, document: dict[str, Any]) -> None:
        """Store a configuration, e.g. kind `lifecycle`, replacing the one before. Raises NotFound("bucket", …)."""
        with self._store.begin() as db:
            get_bucket(db, name, lock=True)
            rows.put_config(db, name, kind, msgspec.json.encode(document).decode())

    def get_config(self, name: str, kind: str) -> dict[str, Any]:
        """Return a configuration. Raises NotFound("bucket", …) or NotFound("configuration", kind)."""
        document = self.find_config(name, kind)
        if document is None:
            raise NotFound("configuration", kind)
        return document

    def find_config(self, name: str, kind: str) -> dict[str, Any] | None:
        """Return a configuration, or None. Raises NotFound("bucket", …)."""
        with self._store.read() as db:
            get_bucket(db, name)
            text = rows.find_config(db, name, kind)
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    def delete_config(self, name: str, kind: str) -> None:
        """Remove a configuration if it is there. Raises NotFound("bucket", …)."""
        with self._store.begin() as db:
            get_bucket(db, name, lock=True)
            rows.delete_config(db, name, kind)


def get_bucket(db: Connection, name: str, *, lock: bool = False) -> Bucket:
    """Return a bucket within a transaction. Raises NotFound."""
    bucket = rows.find_bucket(db, name, lock=lock)
    if bucket is None:
        raise no_bucket(name)
    return bucket
