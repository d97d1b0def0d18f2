"""What a write or a delete does to the versions of a key (S3 user guide: "How S3 Versioning works").

Every function works within the caller's transaction, which holds the bucket's row, and returns the files that no row
names any more; the caller unlinks them after the commit.
"""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING

from farero.records.objects import NULL_VERSION, Details, StoredObject
from farero.store import objects as rows

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.records.objects import Bucket

ENABLED = "Enabled"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a delete did."""

    #: Id of the delete marker that was added or removed, or of the version that was removed; empty for neither.
    version_id: str = ""
    is_delete_marker: bool = False


def add(db: Connection, bucket: Bucket, stored: StoredObject) -> tuple[StoredObject, list[str]]:
    """Make `stored` the current version; without versioning it takes the place of the null version."""
    is_enabled = bucket.versioning == ENABLED
    version_id = new_version_id() if is_enabled else NULL_VERSION
    doomed: list[str] = []
    if not is_enabled:
        doomed = _drop(db, rows.find_version(db, stored.bucket, stored.key, NULL_VERSION))
    rows.clear_latest(db, stored.bucket, stored.key)
    stored = dataclasses.replace(stored, version_id=version_id, is_latest=True)
    rows.insert_object(db, stored)
    return stored, doomed


def delete(
    db: Connection, bucket: Bucket, key: str, version_id: str, *, now: dt.datetime
) -> tuple[Deleted, list[str]]:
    """Remove the version named for good, or the object; with versioning lay a delete marker over it."""
    if version_id:
        stored = rows.find_version(db, bucket.name, key, version_id)
        if stored is None:
            return Deleted(version_id=version_id), []
        return _delete_version(db, stored)
    if not bucket.versioning:
        return Deleted(), _drop(db, rows.find_version(db, bucket.name, key, NULL_VERSION))
    marker = StoredObject(
        bucket=bucket.name,
        key=key,
        version_id="",
        is_latest=True,
        is_delete_marker=True,
        size_bytes=0,
        etag="",
        last_modified=now,
        content_type="",
        details=Details(),
        tags={},
    )
    marker, doomed = add(db, bucket, marker)
    return Deleted(version_id=marker.version_id, is_delete_marker=True), doomed


def new_version_id() -> str:
    """Return an id of 32 characters that no other version has."""
    return secrets.token_urlsafe(24)


def _delete_version(db: Connection, stored: StoredObject) -> tuple[Deleted, list[str]]:
    doomed = _drop(db, stored)
    if stored.is_latest:
        rows.promote_newest(db, stored.bucket, stored.key)
    deleted = Deleted(version_id=stored.version_id, is_delete_marker=stored.is_delete_marker)
    return deleted, doomed


def _drop(db: Connection, stored: StoredObject | None) -> list[str]:
    if stored is None:
        return []
    rows.delete_version(db, stored.sequence)
    return [segment.file_id for segment in stored.details.segments]
