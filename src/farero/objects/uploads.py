"""Multipart uploads: parts are files of their own, and completing one only writes a row that lists them.

S3 user guide: "Uploading and copying objects using multipart upload", "Checking object integrity".
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.objects import checksums, names, versions
from farero.objects import conditions as conditions_
from farero.objects.buckets import get_bucket
from farero.objects.errors import (
    BadDigest,
    InvalidPart,
    InvalidPartOrder,
    NoSuchUpload,
    PartTooSmall,
)
from farero.records.objects import Details, Draft, Part, StoredObject, Upload, UploadPart
from farero.store import objects as rows
from farero.store import uploads as upload_rows
from farero.store.tables.base import to_micros

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.objects.conditions import Conditions
    from farero.objects.files import Files
    from farero.objects.writing import ObjectWriter
    from farero.store.engine import Store

SMALLEST_PART = 5 * 1024 * 1024
MOST_PARTS = 10_000
COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPart:
    """A part as the caller names it at completion."""

    number: int
    etag: str
    #: By algorithm, base64; may be empty.
    checksums: dict[str, str] = field(default_factory=dict[str, str])


class Uploads:
    """Uploads in progress."""

    def __init__(self, store: Store, files: Files, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    def create(
        self,
        bucket: str,
        key: str,
        draft: Draft,
        *,
        checksum_algorithm: str = "",
        checksum_type: str = "",
    ) -> Upload:
        """Begin an upload. Raises NotFound("bucket", …), KeyTooLong, Invalid."""
        names.check_key(key)
        checksum_type = checksum_type or default_type(checksum_algorithm)
        check_type(checksum_algorithm, checksum_type)
        now = self._clock.now()
        # Ids rise with time: uploads of one key are listed oldest first, and continued by id.
        upload_id = f"{to_micros(now):016x}{secrets.token_hex(16)}"
        upload = Upload(
            upload_id=upload_id,
            bucket=bucket,
            key=key,
            initiated=now,
            draft=draft,
            checksum_algorithm=checksum_algorithm,
            checksum_type=checksum_type,
        )
        with self._store.begin() as db:
            get_bucket(db, bucket, lock=True)
            upload_rows.insert_upload(db, upload)
        return upload

    def get(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an upload in progress. Raises NotFound("bucket", …), NoSuchUpload."""
        with self._store.read() as db:
            return _get(db, bucket, key, upload_id)

    def commit_part(self, writer: ObjectWriter, upload: Upload, number: int) -> UploadPart:
        """Store the written bytes as one part, replacing one of the same number.

        Raises NoSuchUpload if the upload ended meanwhile.
        """
        with writer.committing():
            blob = writer.seal()
            part = UploadPart(
                upload_id=upload.upload_id,
                number=number,
                size_bytes=blob.segment.size_bytes,
                etag=blob.etag,
                last_modified=self._now(),
                segments=(blob.segment,),
                checksums=blob.checksums,
            )
            with self._store.begin() as db:
                _get(db, upload.bucket, upload.key, upload.upload_id, lock=True)
                before = upload_rows.find_part(db, upload.upload_id, number)
                upload_rows.put_part(db, part)
        if before is not None:
            self._files.remove(segment.file_id for segment in before.segments)
        return part

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after: int, limit: int
    ) -> tuple[Upload, list[UploadPart]]:
        """Return the upload and its parts with numbers above `after`. Raises NoSuchUpload."""
        with self._store.read() as db:
            upload = _get(db, bucket, key, upload_id)
            return upload, upload_rows.list_parts(db, upload_id, after=after, limit=limit)

    def complete(  # noqa: PLR0913 - by name
        self,
        bucket: str,
        key: str,
        upload_id: str,
        named: Sequence[NamedPart],
        *,
        checksums_announced: dict[str, str] | None = None,
        checksum_type: str = "",
        size_bytes: int | None = None,
        conditions: Conditions = conditions_.ANY,
    ) -> StoredObject:
        """Make the named parts, in order, the current version of the key; parts not named are dropped.

        Completing once more what was completed is no error while that object is the current one.

        Raises NoSuchUpload, InvalidPart, InvalidPartOrder, PartTooSmall, BadDigest, PreconditionFailed, Invalid.
        """
        with self._store.begin() as db:
            owner = get_bucket(db, bucket, lock=True)
            current = rows.find_latest(db, bucket, key)
            upload = upload_rows.find_upload(db, bucket, key, upload_id, lock=True)
            if upload is None:
                if current is not None and current.details.upload_id == upload_id:
                    return current
                raise NoSuchUpload(upload_id)
            if checksum_type and upload.checksum_type and checksum_type != upload.checksum_type:
                raise Invalid(
                    f"The upload was created using the {upload.checksum_type} checksum mode. "
                    f"The complete request must use the same checksum mode."
                )
            have = {part.number: part for part in upload_rows.list_parts(db, upload_id)}
            parts = choose_parts(upload, named, have)
            stored = assemble(upload, parts, now=self._now())
            _check_whole(stored, checksums_announced or {}, size_bytes)
            conditions_.check_write(conditions, current, bucket=bucket, key=key)
            stored, doomed = versions.add(db, owner, stored)
            upload_rows.delete_upload(db, upload_id)
        used = {segment.file_id for segment in stored.details.segments}
        for part in have.values():
            doomed += [s.file_id for s in part.segments if s.file_id not in used]
        self._files.remove(doomed)
        return stored

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """End an upload and throw its parts away. Raises NoSuchUpload."""
        with self._store.begin() as db:
            _get(db, bucket, key, upload_id, lock=True)
            parts = upload_rows.list_parts(db, upload_id)
            upload_rows.delete_upload(db, upload_id)
        self._files.remove(s.file_id for part in parts for s in part.segments)

    def abort_old(self, begun_before: dt.datetime) -> int:
        """Abort what was begun before a moment and never ended; return how many."""
        with self._store.read() as db:
            old = upload_rows.list_old(db, before=begun_before)
        for upload in old:
            self.abort(upload.bucket, upload.key, upload.upload_id)
        return len(old)

    def _now(self) -> dt.datetime:
        return self._clock.now().replace(microsecond=0)


def default_type(algorithm: str) -> str:
    """Return the checksum type S3 takes when the client names only the algorithm."""
    return FULL_OBJECT if algorithm in ("", "CRC64NVME") else COMPOSITE


def check_type(algorithm: str, checksum_type: str) -> None:
    """Raise Invalid for a pair S3 does not know: only CRCs can be full-object, CRC64NVME can be nothing else."""
    if algorithm and algorithm not in checksums.CRCS and checksum_type == FULL_OBJECT:
        raise Invalid(
            f"The FULL_OBJECT checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    if algorithm in ("", "CRC64NVME") and checksum_type == COMPOSITE:
        raise Invalid(
            f"The COMPOSITE checksum type cannot be used with the {(algorithm or 'CRC64NVME').lower()} "
            "checksum algorithm."
        )


def choose_parts(
    upload: Upload, named: Sequence[NamedPart], have: dict[int, UploadPart]
) -> list[UploadPart]:
    """Return the parts that the caller names, after checking order, presence, etags, checksums and sizes."""
    numbers = [part.number for part in named]
    if any(a >= b for a, b in itertools.pairwise(numbers)):
        raise InvalidPartOrder
    chosen: list[UploadPart] = []
    for want in named:
        part = have.get(want.number)
        if part is None or want.etag.strip('"') != part.etag:
            raise InvalidPart(want.number)
        if any(part.checksums.get(name) != value for name, value in want.checksums.items()):
            raise InvalidPart(want.number)
        algorithm = upload.checksum_algorithm
        if upload.checksum_type == COMPOSITE and algorithm not in want.checksums:
            raise Invalid(
                f"The upload was created using a {algorithm.lower()} checksum. "
                "The complete request must include the checksum for each part. "
                f"It was missing for part {want.number} in the request."
            )
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size_bytes < SMALLEST_PART:
            raise PartTooSmall(number=part.number, size_bytes=part.size_bytes, etag=part.etag)
    return chosen


def assemble(upload: Upload, parts: Sequence[UploadPart], *, now: dt.datetime) -> StoredObject:
    """Return the object that the parts make."""
    algorithm = upload.checksum_algorithm or checksums.DEFAULT
    values = [(part.checksums[algorithm], part.size_bytes) for part in parts]
    if upload.checksum_type == COMPOSITE:
        checksum = checksums.composite(algorithm, [value for value, _ in values])
    else:
        checksum = checksums.full_object(algorithm, values)
    details = Details(
        segments=tuple(
            segment for part in parts for segment in part.segments if segment.size_bytes
        ),
        parts=tuple(
            Part(
                number=part.number,
                size_bytes=part.size_bytes,
                checksums={algorithm: part.checksums[algorithm]},
            )
            for part in parts
        ),
        headers=upload.draft.headers,
        metadata=upload.draft.metadata,
        checksums={algorithm: checksum},
        checksum_type=upload.checksum_type or FULL_OBJECT,
        upload_id=upload.upload_id,
    )
    return StoredObject(
        bucket=upload.bucket,
        key=upload.key,
        version_id="",
        is_latest=True,
        is_delete_marker=False,
        size_bytes=sum(part.size_bytes for part in parts),
        etag=checksums.multipart_etag([part.etag for part in parts]),
        last_modified=now,
        content_type=upload.draft.content_type,
        details=details,
        tags=upload.draft.tags,
    )


def _check_whole(stored: StoredObject, announced: dict[str, str], size_bytes: int | None) -> None:
    for algorithm, value in announced.items():
        computed = stored.details.checksums.get(algorithm)
        # A client may leave out the number of parts behind a composite value.
        if computed is not None and value not in (computed, computed.rpartition("-")[0]):
            raise BadDigest(algorithm, announced=value, computed=computed)
    if size_bytes is not None and size_bytes != stored.size_bytes:
        raise Invalid(
            f"The provided 'x-amz-mp-object-size' header value {size_bytes} does not match what was "
            f"computed: {stored.size_bytes}"
        )


def _get(db: Connection, bucket: str, key: str, upload_id: str, *, lock: bool = False) -> Upload:
    get_bucket(db, bucket, lock=lock)
    upload = upload_rows.find_upload(db, bucket, key, upload_id, lock=lock)
    if upload is None:
        raise NoSuchUpload(upload_id)
    return upload
