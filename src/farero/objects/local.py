"""Objects on this machine: bytes in files named by id, everything else in SQL.

The order of a write: bytes written and synced, file renamed into place, folder synced, then the row in one transaction;
so no row ever names a file that is not there, whatever is killed when. A delete removes the row, then the file. What a
crash leaves over is a file without a row, which `sweep` removes.
"""

from __future__ import annotations

import dataclasses
import io
import os
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from farero.base.errors import Conflict
from farero.objects import checksums, names, versions
from farero.objects import conditions as conditions_
from farero.objects.base import ObjectInfo
from farero.objects.buckets import Buckets, get_bucket
from farero.objects.errors import Damaged, DeleteMarkerFound, NoSuchVersion, no_bucket, no_object
from farero.objects.files import CannotShare, Files
from farero.objects.listing import Listing
from farero.objects.reading import PIECE_BYTES, SegmentReader, pieces
from farero.objects.uploads import Uploads
from farero.objects.writing import AdoptedFile, NewFile, ObjectWriter
from farero.records.objects import DEFAULT_CONTENT_TYPE, Details, Draft, StoredObject
from farero.store import objects as rows
from farero.store import uploads as upload_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.objects.conditions import Conditions
    from farero.objects.versions import Deleted
    from farero.store.engine import Store

_OPEN_TRIES = 8
T = TypeVar("T")


class LocalObjects:
    """An ObjectStore, and with `buckets`, `uploads` and `listing` all that the S3 room needs."""

    def __init__(
        self, store: Store, root: Path, clock: Clock, *, region: str = "us-east-1"
    ) -> None:
        self._store = store
        self._files = Files(root)
        self._clock = clock
        self._region = region
        self.buckets = Buckets(store, self._files, clock)
        self.uploads = Uploads(store, self._files, clock)
        self.listing = Listing(store)

    # -- the ObjectStore protocol ---------------------------------------------------------------------------------

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Describe the current version. Raises NotFound("bucket" or "object", …)."""
        return ObjectInfo.of(self.get(bucket, key))

    def open(self, bucket: str, key: str) -> BinaryIO:
        """Open the current version for reading; it stays readable when it is deleted meanwhile."""
        _, reader = self._open(lambda: self.get(bucket, key), self._reader)
        return cast("BinaryIO", reader)

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
    ) -> ObjectInfo:
        """Store the whole body durably, replacing what was there."""
        self._check_place(bucket, key)
        writer = self.begin_write()
        with writer.aborting():
            source = io.BytesIO(body) if isinstance(body, bytes) else body
            while piece := source.read(PIECE_BYTES):
                writer.write(piece)
        return ObjectInfo.of(
            self.commit(writer, bucket, key, draft=Draft(content_type=content_type))
        )

    def put_file(
        self, bucket: str, key: str, path: Path, *, content_type: str = DEFAULT_CONTENT_TYPE
    ) -> ObjectInfo:
        """Store a copy of a file."""
        with path.open("rb") as file:
            return self.put(bucket, key, file, content_type=content_type)

    def adopt(
        self, bucket: str, key: str, path: Path, *, content_type: str = DEFAULT_CONTENT_TYPE
    ) -> ObjectInfo:
        """Make an object of a file, which is not copied where it can have another name; its etag is no MD5."""
        self._check_place(bucket, key)
        try:
            file = AdoptedFile(self._files, path)
        except CannotShare:
            return self.put_file(bucket, key, path, content_type=content_type)
        return ObjectInfo.of(self.commit(file, bucket, key, draft=Draft(content_type=content_type)))

    def download(self, bucket: str, key: str, path: Path) -> ObjectInfo:
        """Write the current version to `path`; it appears there complete or not at all.

        Raises Damaged if the bytes are not those that were stored.
        """
        stored, body = self.read(bucket, key)
        partial = path.with_name(f".{path.name}.part-{os.getpid()}")
        try:
            with partial.open("wb") as file:
                for piece in body:
                    file.write(piece)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return ObjectInfo.of(stored)

    def list(self, bucket: str, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield every current object below `prefix` in key order, read page by page."""
        return (
            ObjectInfo.of(stored) for stored in self.listing.iterate(bucket, prefix, after=after)
        )

    def delete(self, bucket: str, key: str) -> None:
        """Remove the current version; removing what is not there is no error."""
        self.remove(bucket, key)

    def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket if it is missing."""
        if self.buckets.find(bucket) is None:
            try:
                self.buckets.create(bucket, self._region)
            except Conflict:
                return  # another process was quicker

    # -- what only the S3 room needs ------------------------------------------------------------------------------

    def begin_write(self, algorithms: Iterable[str] = ()) -> ObjectWriter:
        """Begin a new file for a body; end it with `commit`, `uploads.commit_part` or its own `abort`."""
        return ObjectWriter(self._files, algorithms)

    def commit(  # noqa: PLR0913 - by name
        self,
        writer: NewFile,
        bucket: str,
        key: str,
        *,
        draft: Draft,
        checksum: str = "",
        conditions: Conditions = conditions_.ANY,
    ) -> StoredObject:
        """Make the written bytes the current version of a key, durably; on an error throw them away.

        checksum: the algorithm to keep with the object; empty for S3's default, CRC64NVME.

        Raises NotFound, PreconditionFailed, KeyTooLong, Invalid.
        """
        with writer.committing():
            names.check_key(key)
            blob = writer.seal()
            algorithm = checksum or checksums.DEFAULT
            details = Details(
                segments=(blob.segment,),
                headers=draft.headers,
                metadata=draft.metadata,
                checksums={algorithm: blob.checksums[algorithm]},
            )
            return self.add(self._new(bucket, key, draft, details, etag=blob.etag), conditions)

    def add(self, stored: StoredObject, conditions: Conditions = conditions_.ANY) -> StoredObject:
        """Insert a version whose files are settled, if the conditions hold, and drop what it replaces."""
        with self._store.begin() as db:
            bucket = get_bucket(db, stored.bucket, lock=True)
            current = rows.find_latest(db, stored.bucket, stored.key)
            conditions_.check_write(conditions, current, bucket=stored.bucket, key=stored.key)
            stored, doomed = versions.add(db, bucket, stored)
        self._files.remove(doomed)
        return stored

    def copy(  # noqa: PLR0913 - by name
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        draft: Draft,
        checksum: str = "",
        conditions: Conditions = conditions_.ANY,
    ) -> StoredObject:
        """Store the bytes of `source` under another key, without copying them where that can be.

        checksum: as in `commit`; empty to keep the source's.
        """
        names.check_key(key)
        algorithm = checksum or next(iter(source.details.checksums), checksums.DEFAULT)
        for _ in range(_OPEN_TRIES):
            try:
                if is_shareable(source, algorithm):
                    return self._copy_shared(source, bucket, key, draft, conditions, algorithm)
                return self._copy_bytes(source, bucket, key, draft, conditions, algorithm)
            except FileNotFoundError:
                # The source was replaced or deleted since the caller looked.
                version_id = "" if source.is_latest else source.version_id
                source = self.get(source.bucket, source.key, version_id)
            except CannotShare:
                return self._copy_bytes(source, bucket, key, draft, conditions, algorithm)
        raise no_object(source.bucket, source.key)

    def get(self, bucket: str, key: str, version_id: str = "") -> StoredObject:
        """Return the current version, or the one named.

        Raises NotFound("bucket" or "object", …), NoSuchVersion, DeleteMarkerFound.
        """
        with self._store.read() as db:
            stored = (
                rows.find_version(db, bucket, key, version_id)
                if version_id
                else rows.find_latest(db, bucket, key)
            )
            if stored is None and rows.find_bucket(db, bucket) is None:
                raise no_bucket(bucket)
        if stored is None:
            raise NoSuchVersion(bucket, key, version_id) if version_id else no_object(bucket, key)
        if stored.is_delete_marker:
            raise DeleteMarkerFound(bucket, key, stored.version_id, is_named=bool(version_id))
        return stored

    def read(
        self,
        bucket: str,
        key: str,
        version_id: str = "",
        *,
        choose: Callable[[StoredObject], tuple[int, int]] | None = None,
    ) -> tuple[StoredObject, Iterator[bytes]]:
        """Return a version and its bytes in pieces of half a MiB, with its files already open.

        choose: given the version, returns which bytes (start, stop) are wanted, or raises; it may be asked twice.
        """

        def begin(stored: StoredObject) -> Iterator[bytes]:
            start, stop = (0, stored.size_bytes) if choose is None else choose(stored)
            return pieces(self._files, stored.details.segments, start, stop)

        return self._open(lambda: self.get(bucket, key, version_id), begin)

    def remove(
        self,
        bucket: str,
        key: str,
        version_id: str = "",
        *,
        conditions: Conditions = conditions_.ANY,
    ) -> Deleted:
        """Delete the current version (with versioning: lay a marker over it) or for good the one named."""
        with self._store.begin() as db:
            owner = get_bucket(db, bucket, lock=True)
            if conditions != conditions_.ANY:
                current = rows.find_latest(db, bucket, key)
                conditions_.check_write(conditions, current, bucket=bucket, key=key)
            deleted, doomed = versions.delete(db, owner, key, version_id, now=self._now())
        self._files.remove(doomed)
        return deleted

    def remove_many(self, bucket: str, wanted: Iterable[tuple[str, str]]) -> list[Deleted]:
        """Delete several (key, version id or "") in one transaction, each as `remove` does."""
        results: list[Deleted] = []
        doomed: list[str] = []
        with self._store.begin() as db:
            owner = get_bucket(db, bucket, lock=True)
            for key, version_id in wanted:
                deleted, files = versions.delete(db, owner, key, version_id, now=self._now())
                results.append(deleted)
                doomed += files
        self._files.remove(doomed)
        return results

    def set_tags(
        self, bucket: str, key: str, tags: dict[str, str], version_id: str = ""
    ) -> StoredObject:
        """Replace the tags of a version."""
        stored = self.get(bucket, key, version_id)
        with self._store.begin() as db:
            rows.set_tags(db, stored.sequence, tags)
        return stored

    def verify(self, bucket: str, key: str) -> None:
        """Read the current version to its end. Raises Damaged if its bytes are not those that were stored."""
        _, body = self.read(bucket, key)
        for _ in body:
            pass

    def sweep(self) -> int:
        """Remove files that no row names, left behind by a crash; safe while other processes write."""
        return self._files.sweep(self._wanted)

    def collect_uploads(self, *, begun_before: dt.datetime) -> int:
        """Abort uploads nobody completed since; return how many."""
        return self.uploads.abort_old(begun_before)

    def _open(
        self, find: Callable[[], StoredObject], begin: Callable[[StoredObject], T]
    ) -> tuple[StoredObject, T]:
        for attempt in range(_OPEN_TRIES):
            stored = find()
            try:
                return stored, begin(stored)
            except FileNotFoundError as error:
                # Between our look at the row and at the file the object was replaced; the next look finds the new one.
                if attempt == _OPEN_TRIES - 1:
                    raise Damaged(str(error.filename)) from error
        raise AssertionError

    def _copy_shared(  # noqa: PLR0913, PLR0917 - private half of `copy`
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        draft: Draft,
        conditions: Conditions,
        algorithm: str,
    ) -> StoredObject:
        (segment,) = source.details.segments
        with self._files.shared(segment.file_id) as file_id:
            details = dataclasses.replace(
                source.details,
                segments=(dataclasses.replace(segment, file_id=file_id),),
                headers=draft.headers,
                metadata=draft.metadata,
                checksums={algorithm: source.details.checksums[algorithm]},
            )
            new = self._new(bucket, key, draft, details, etag=source.etag)
            return self.add(new, conditions)

    def _copy_bytes(  # noqa: PLR0913, PLR0917 - private half of `copy`
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        draft: Draft,
        conditions: Conditions,
        algorithm: str,
    ) -> StoredObject:
        body = pieces(self._files, source.details.segments, 0, source.size_bytes)
        writer = self.begin_write([algorithm])
        with writer.aborting():
            for piece in body:
                writer.write(piece)
        return self.commit(
            writer, bucket, key, draft=draft, checksum=algorithm, conditions=conditions
        )

    def _reader(self, stored: StoredObject) -> io.BufferedReader:
        return io.BufferedReader(SegmentReader(self._files, stored.details.segments), 64 * 1024)

    def _new(
        self, bucket: str, key: str, draft: Draft, details: Details, *, etag: str
    ) -> StoredObject:
        return StoredObject(
            bucket=bucket,
            key=key,
            version_id="",
            is_latest=True,
            is_delete_marker=False,
            size_bytes=sum(segment.size_bytes for segment in details.segments),
            etag=etag,
            last_modified=self._now(),
            content_type=draft.content_type,
            details=details,
            tags=draft.tags,
        )

    def _check_place(self, bucket: str, key: str) -> None:
        names.check_key(key)
        self.buckets.get(bucket)

    def _now(self) -> dt.datetime:
        # S3 keeps whole seconds; HeadObject and ListObjectsV2 must agree.
        return self._clock.now().replace(microsecond=0)

    def _wanted(self) -> set[str]:
        with self._store.read() as db:
            return {*rows.iterate_segment_ids(db), *upload_rows.iterate_segment_ids(db)}


def is_shareable(source: StoredObject, algorithm: str) -> bool:
    """Say whether a copy's etag and checksum are those of its source: not so for what came in parts."""
    details = source.details
    return len(details.segments) == 1 and not details.parts and algorithm in details.checksums
