"""Tables of the objects family: buckets, their configuration, object versions, uploads and their parts.

Keys are compared as UTF-8 bytes, as S3 lists them: SQLite's BINARY and PostgreSQL's "C" collation.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from farero.store.tables.base import UtcTime, metadata

KeyText = Text().with_variant(Text(collation="C"), "postgresql")
Sequence = BigInteger().with_variant(Integer, "sqlite")

buckets = Table(
    "buckets",
    metadata,
    Column("name", KeyText, primary_key=True),
    Column("region", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    #: Empty until versioning was first set, then `Enabled` or `Suspended`.
    Column("versioning", String(16), nullable=False, default=""),
)

#: A bucket's configuration documents (policy, lifecycle, …), each as the JSON of its wire members.
bucket_configs = Table(
    "bucket_configs",
    metadata,
    Column("bucket", KeyText, primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

#: One row a version; a delete marker is a version without segments.
objects = Table(
    "objects",
    metadata,
    #: Rises with every write: newest version first is descending order.
    Column("id", Sequence, primary_key=True, autoincrement=True),
    Column("bucket", KeyText, nullable=False),
    Column("key", KeyText, nullable=False),
    #: `null` while versioning is off.
    Column("version_id", String(64), nullable=False),
    #: One version a key; writers hold the bucket's row, so that they agree which.
    Column("is_latest", Boolean, nullable=False),
    Column("is_delete_marker", Boolean, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("last_modified", UtcTime, nullable=False),
    Column("content_type", Text, nullable=False),
    #: JSON of records.objects.Details.
    Column("details", Text, nullable=False),
    #: JSON object of tags.
    Column("tags", Text, nullable=False),
)
# Listing reads this one alone, in key order, whatever lies below in older versions.
Index("objects_latest", objects.c.bucket, objects.c.is_latest, objects.c.key)
Index("objects_versions", objects.c.bucket, objects.c.key, objects.c.id.desc())
Index("objects_version_id", objects.c.bucket, objects.c.key, objects.c.version_id, unique=True)

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(64), primary_key=True),
    Column("bucket", KeyText, nullable=False),
    Column("key", KeyText, nullable=False),
    Column("initiated", UtcTime, nullable=False),
    #: JSON of records.objects.Draft.
    Column("draft", Text, nullable=False),
    #: Algorithm and type of the object's checksum; empty when the client asked for none.
    Column("checksum_algorithm", String(16), nullable=False),
    Column("checksum_type", String(16), nullable=False),
)
Index("uploads_by_key", uploads.c.bucket, uploads.c.key, uploads.c.initiated, uploads.c.upload_id)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("last_modified", UtcTime, nullable=False),
    #: JSON of a list of records.objects.Segment.
    Column("segments", Text, nullable=False),
    #: JSON object of checksums by algorithm.
    Column("checksums", Text, nullable=False),
)
