"""The rows of multipart uploads and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from farero.records.objects import Draft, Segment, Upload, UploadPart
from farero.store.tables.objects import upload_parts, uploads

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from typing import Any

    from sqlalchemy import Connection, Row

_draft = msgspec.json.Decoder(Draft)
_segments = msgspec.json.Decoder(tuple[Segment, ...])
_checksums = msgspec.json.Decoder(dict[str, str])


def insert_upload(db: Connection, upload: Upload) -> None:
    """Add an upload."""
    db.execute(
        sa.insert(uploads).values(
            upload_id=upload.upload_id,
            bucket=upload.bucket,
            key=upload.key,
            initiated=upload.initiated,
            draft=msgspec.json.encode(upload.draft).decode(),
            checksum_algorithm=upload.checksum_algorithm,
            checksum_type=upload.checksum_type,
        )
    )


def find_upload(
    db: Connection, bucket: str, key: str, upload_id: str, *, lock: bool = False
) -> Upload | None:
    """Return the upload if it belongs to this key; `lock` holds it until the transaction ends."""
    table = uploads.c
    query = sa.select(uploads).where(
        table.upload_id == upload_id, table.bucket == bucket, table.key == key
    )
    row = db.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _upload(row)


def delete_upload(db: Connection, upload_id: str) -> None:
    """Remove an upload and its parts."""
    db.execute(sa.delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
    db.execute(sa.delete(uploads).where(uploads.c.upload_id == upload_id))


def put_part(db: Connection, part: UploadPart) -> None:
    """Store a part, replacing one of the same number."""
    table = upload_parts.c
    db.execute(
        sa.delete(upload_parts).where(
            table.upload_id == part.upload_id, table.number == part.number
        )
    )
    db.execute(
        sa.insert(upload_parts).values(
            upload_id=part.upload_id,
            number=part.number,
            size_bytes=part.size_bytes,
            etag=part.etag,
            last_modified=part.last_modified,
            segments=msgspec.json.encode(part.segments).decode(),
            checksums=msgspec.json.encode(part.checksums).decode(),
        )
    )


def find_part(db: Connection, upload_id: str, number: int) -> UploadPart | None:
    """Return one part."""
    found = list_parts(db, upload_id, after=number - 1, limit=1)
    return found[0] if found and found[0].number == number else None


def list_parts(
    db: Connection, upload_id: str, *, after: int = 0, limit: int | None = None
) -> list[UploadPart]:
    """Return parts in order of number."""
    table = upload_parts.c
    query = (
        sa.select(upload_parts)
        .where(table.upload_id == upload_id, table.number > after)
        .order_by(table.number)
    )
    return [_part(row) for row in db.execute(query if limit is None else query.limit(limit))]


def scan_uploads(  # noqa: PLR0913 - by name
    db: Connection,
    bucket: str,
    *,
    start: str,
    inclusive: bool,
    after_id: str | None,
    end: str | None,
    limit: int,
) -> list[Upload]:
    """Return uploads in order of key, then of upload id.

    after_id: of the key `start` itself, only uploads with a greater id, then the keys after it.
    """
    table = uploads.c
    if after_id is not None:
        where = sa.or_(table.key > start, sa.and_(table.key == start, table.upload_id > after_id))
    else:
        where = table.key >= start if inclusive else table.key > start
    query = (
        sa.select(uploads)
        .where(table.bucket == bucket, where)
        .order_by(table.key, table.upload_id)
        .limit(limit)
    )
    if end is not None:
        query = query.where(table.key < end)
    return [_upload(row) for row in db.execute(query)]


def list_old(db: Connection, *, before: dt.datetime) -> list[Upload]:
    """Return uploads begun before a moment."""
    return [
        _upload(row) for row in db.execute(sa.select(uploads).where(uploads.c.initiated < before))
    ]


def list_of_bucket(db: Connection, bucket: str) -> list[Upload]:
    """Return every upload of a bucket."""
    return [
        _upload(row) for row in db.execute(sa.select(uploads).where(uploads.c.bucket == bucket))
    ]


def iterate_segment_ids(db: Connection) -> Iterator[str]:
    """Yield the id of every file that a part names."""
    for text in db.execute(sa.select(upload_parts.c.segments)).scalars():
        for segment in _segments.decode(text):
            yield segment.file_id


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        upload_id=row.upload_id,
        bucket=row.bucket,
        key=row.key,
        initiated=row.initiated,
        draft=_draft.decode(row.draft),
        checksum_algorithm=row.checksum_algorithm,
        checksum_type=row.checksum_type,
    )


def _part(row: Row[Any]) -> UploadPart:
    return UploadPart(
        upload_id=row.upload_id,
        number=row.number,
        size_bytes=row.size_bytes,
        etag=row.etag,
        last_modified=row.last_modified,
        segments=_segments.decode(row.segments),
        checksums=_checksums.decode(row.checksums),
    )
