"""The rows of buckets and object versions. Writers lock their bucket's row first, so that they queue per bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farero.base.errors import Conflict
from farero.records.objects import Bucket, Details, StoredObject
from farero.store.tables.objects import bucket_configs, buckets, objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sqlalchemy import Connection, Row

_tags = msgspec.json.Decoder(dict[str, str])
_details = msgspec.json.Decoder(Details)


def insert_bucket(db: Connection, bucket: Bucket) -> None:
    """Add a bucket. Raises Conflict if another transaction was quicker; this one is lost then."""
    try:
        db.execute(
            sa.insert(buckets).values(
                name=bucket.name,
                region=bucket.region,
                created_at=bucket.created_at,
                versioning=bucket.versioning,
            )
        )
    except IntegrityError as error:
        raise Conflict("bucket", bucket.name) from error


def find_bucket(db: Connection, name: str, *, lock: bool = False) -> Bucket | None:
    """Return a bucket; `lock` makes other writers of this bucket wait for the transaction's end."""
    query = sa.select(buckets).where(buckets.c.name == name)
    row = db.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _bucket(row)


def list_buckets(db: Connection, *, prefix: str, after: str, limit: int) -> list[Bucket]:
    """Return buckets in order of name."""
    query = sa.select(buckets).where(buckets.c.name > after).order_by(buckets.c.name).limit(limit)
    if prefix:
        query = query.where(buckets.c.name.startswith(prefix, autoescape=True))
    return [_bucket(row) for row in db.execute(query)]


def set_versioning(db: Connection, name: str, versioning: str) -> None:
    """Change whether a bucket keeps versions."""
    db.execute(sa.update(buckets).where(buckets.c.name == name).values(versioning=versioning))


def delete_bucket(db: Connection, name: str) -> None:
    """Remove a bucket and its configuration."""
    db.execute(sa.delete(bucket_configs).where(bucket_configs.c.bucket == name))
    db.execute(sa.delete(buckets).where(buckets.c.name == name))


def bucket_is_empty(db: Connection, name: str) -> bool:
    """Say whether no version of any object is left."""
    query = sa.select(objects.c.id).where(objects.c.bucket == name).limit(1)
    return db.execute(query).first() is None


def put_config(db: Connection, bucket: str, kind: str, document: str) -> None:
    """Store one configuration document, replacing the one before."""
    delete_config(db, bucket, kind)
    db.execute(sa.insert(bucket_configs).values(bucket=bucket, kind=kind, document=document))


def find_config(db: Connection, bucket: str, kind: str) -> str | None:
    """Return one configuration document."""
    table = bucket_configs.c
    query = sa.select(table.document).where(table.bucket == bucket, table.kind == kind)
    return db.execute(query).scalar()


def delete_config(db: Connection, bucket: str, kind: str) -> None:
    """Remove one configuration document."""
    table = bucket_configs.c
    db.execute(sa.delete(bucket_configs).where(table.bucket == bucket, table.kind == kind))


def find_latest(db: Connection, bucket: str, key: str) -> StoredObject | None:
    """Return the current version, which may be a delete marker."""
    table = objects.c
    query = sa.select(objects).where(table.bucket == bucket, table.key == key, table.is_latest)
    row = db.execute(query).one_or_none()
    return None if row is None else _object(row)


def find_version(db: Connection, bucket: str, key: str, version_id: str) -> StoredObject | None:
    """Return one version by id."""
    table = objects.c
    row = db.execute(
        sa.select(objects).where(
            table.bucket == bucket, table.key == key, table.version_id == version_id
        )
    ).one_or_none()
    return None if row is None else _object(row)


def insert_object(db: Connection, stored: StoredObject) -> None:
    """Add a version; the caller has made room for it (unique: one latest a key, one row a version id)."""
    db.execute(
        sa.insert(objects).values(
            bucket=stored.bucket,
            key=stored.key,
            version_id=stored.version_id,
            is_latest=stored.is_latest,
            is_delete_marker=stored.is_delete_marker,
            size_bytes=stored.size_bytes,
            etag=stored.etag,
            last_modified=stored.last_modified,
            content_type=stored.content_type,
            details=msgspec.json.encode(stored.details).decode(),
            tags=msgspec.json.encode(stored.tags).decode(),
        )
    )


def clear_latest(db: Connection, bucket: str, key: str) -> None:
    """Make the current version an older one."""
    table = objects.c
    db.execute(
        sa.update(objects)
        .where(table.bucket == bucket, table.key == key, table.is_latest)
        .values(is_latest=False)
    )


def promote_newest(db: Connection, bucket: str, key: str) -> None:
    """Make the newest remaining version the current one."""
    table = objects.c
    newest = sa.select(sa.func.max(table.id)).where(table.bucket == bucket, table.key == key)
    db.execute(
        sa.update(objects).where(table.id == newest.scalar_subquery()).values(is_latest=True)
    )


def delete_version(db: Connection, sequence: int) -> None:
    """Remove one version's row."""
    db.execute(sa.delete(objects).where(objects.c.id == sequence))


def set_tags(db: Connection, sequence: int, tags: dict[str, str]) -> None:
    """Replace the tags of one version."""
    db.execute(
        sa.update(objects)
        .where(objects.c.id == sequence)
        .values(tags=msgspec.json.encode(tags).decode())
    )


def scan_latest(  # noqa: PLR0913 - by name
    db: Connection, bucket: str, *, start: str, inclusive: bool, end: str | None, limit: int
) -> list[StoredObject]:
    """Return current objects (no delete markers) in key order, from `start` up to but without `end`."""
    table = objects.c
    query = (
        sa.select(objects)
        .where(
            table.bucket == bucket,
            table.is_latest,
            table.key >= start if inclusive else table.key > start,
            sa.not_(table.is_delete_marker),
        )
        .order_by(table.key)
        .limit(limit)
    )
    if end is not None:
        query = query.where(table.key < end)
    return [_object(row) for row in db.execute(query)]


def scan_versions(  # noqa: PLR0913 - by name
    db: Connection,
    bucket: str,
    *,
    start: str,
    inclusive: bool,
    below: int | None,
    end: str | None,
    limit: int,
) -> list[StoredObject]:
    """Return versions in key order, newest first within a key.

    below: of the key `start` itself, only versions older than this sequence, then the keys after it.
    """
    table = objects.c
    if below is not None:
        first = sa.or_(table.key > start, sa.and_(table.key == start, table.id < below))
        where = sa.and_(table.key >= start, first)
    else:
        where = table.key >= start if inclusive else table.key > start
    query = (
        sa.select(objects)
        .where(table.bucket == bucket, where)
        .order_by(table.key, table.id.desc())
        .limit(limit)
    )
    if end is not None:
        query = query.where(table.key < end)
    return [_object(row) for row in db.execute(query)]


def iterate_segment_ids(db: Connection) -> Iterator[str]:
    """Yield the id of every file that an object version names."""
    for text in db.execute(sa.select(objects.c.details)).scalars():
        for segment in _details.decode(text).segments:
            yield segment.file_id


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(
        name=row.name, region=row.region, created_at=row.created_at, versioning=row.versioning
    )


def _object(row: Row[Any]) -> StoredObject:
    return StoredObject(
        bucket=row.bucket,
        key=row.key,
        version_id=row.version_id,
        is_latest=row.is_latest,
        is_delete_marker=row.is_delete_marker,
        size_bytes=row.size_bytes,
        etag=row.etag,
        last_modified=row.last_modified,
        content_type=row.content_type,
        details=_details.decode(row.details),
        tags=_tags.decode(row.tags),
        sequence=row.id,
    )
