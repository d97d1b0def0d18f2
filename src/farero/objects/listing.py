"""Listing in pages: range scans of an index that jump over what a delimiter rolls up.

The cost of a page is proportional to what it shows, not to what lies below its common prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from farero.objects.buckets import get_bucket
from farero.objects.names import successor
from farero.records.objects import StoredObject, Upload
from farero.store import objects as rows
from farero.store import uploads as upload_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farero.store.engine import Store

_FIRST_BATCH = 32
_LARGEST_BATCH = 1000


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=_Keyed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What part of a bucket a caller wants listed."""

    prefix: str = ""
    delimiter: str = ""
    #: Only keys after this one; a common prefix stands for everything below it.
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some entries in key order, and whether more follow."""

    items: list[T] = field(default_factory=list[T])
    #: Common prefixes; they count as entries.
    prefixes: list[str] = field(default_factory=list[str])
    is_truncated: bool = False
    #: The last entry: a key or a common prefix; listing goes on after it. Empty for an empty page.
    last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    key: str
    inclusive: bool = False
    #: Rows of the very same key that were shown already end here.
    tie: StoredObject | Upload | None = None


class Listing:
    """Pages of objects, versions and uploads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def objects(self, bucket: str, wish: Wish) -> Page[StoredObject]:
        """List current objects. Raises NotFound("bucket", …)."""
        end = successor(wish.prefix)
        with self._store.read() as db:
            get_bucket(db, bucket)

            def fetch(position: _Position, limit: int) -> list[StoredObject]:
                return rows.scan_latest(
                    db,
                    bucket,
                    start=position.key,
                    inclusive=position.inclusive,
                    end=end,
                    limit=limit,
                )

            return _walk(fetch, wish, _start(wish))

    def versions(self, bucket: str, wish: Wish, *, version_marker: str = "") -> Page[StoredObject]:
        """List all versions and delete markers, newest first within a key.

        version_marker: of the key `wish.after`, versions older than this one still follow.
        """
        end = successor(wish.prefix)
        with self._store.read() as db:
            get_bucket(db, bucket)
            start = _start(wish)
            if version_marker:
                tie = rows.find_version(db, bucket, wish.after, version_marker)
                start = _Position(key=wish.after, tie=tie)

            def fetch(position: _Position, limit: int) -> list[StoredObject]:
                tie = position.tie
                return rows.scan_versions(
                    db,
                    bucket,
                    start=position.key,
                    inclusive=position.inclusive,
                    below=tie.sequence if isinstance(tie, StoredObject) else None,
                    end=end,
                    limit=limit,
                )

            return _walk(fetch, wish, start)

    def uploads(self, bucket: str, wish: Wish, *, upload_marker: str = "") -> Page[Upload]:
        """List uploads in progress, oldest first within a key.

        upload_marker: of the key `wish.after`, uploads with a greater id still follow.
        """
        end = successor(wish.prefix)
        with self._store.read() as db:
            get_bucket(db, bucket)
            first = True

            def fetch(position: _Position, limit: int) -> list[Upload]:
                nonlocal first
                after_id = position.tie.upload_id if isinstance(position.tie, Upload) else None
                if first and upload_marker:
                    after_id = upload_marker
                first = False
                return upload_rows.scan_uploads(
                    db,
                    bucket,
                    start=position.key,
                    inclusive=position.inclusive,
                    after_id=after_id,
                    end=end,
                    limit=limit,
                )

            return _walk(fetch, wish, _start(wish))

    def iterate(self, bucket: str, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """Yield every current object below `prefix`, from behind `after` on; each page is consistent in itself."""
        page = self.objects(bucket, Wish(prefix=prefix, after=after))
        return self._iterate(bucket, prefix, page)

    def _iterate(
        self, bucket: str, prefix: str, page: Page[StoredObject]
    ) -> Iterator[StoredObject]:
        yield from page.items
        while page.is_truncated:
            page = self.objects(bucket, Wish(prefix=prefix, after=page.last))
            yield from page.items


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """Return what `key` is rolled up to: everything up to the first delimiter after `prefix`; empty for itself."""
    if not delimiter:
        return ""
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""


def _start(wish: Wish) -> _Position:
    if wish.after < wish.prefix:
        return _Position(key=wish.prefix, inclusive=True)
    if wish.after and common_prefix(wish.after, wish.prefix, wish.delimiter) == wish.after:
        # The entry after which the caller wants to go on was itself a common prefix.
        following = successor(wish.after)
        if following is not None:
            return _Position(key=following, inclusive=True)
    return _Position(key=wish.after, inclusive=not wish.after)


def _walk(fetch: Callable[[_Position, int], list[T]], wish: Wish, position: _Position) -> Page[T]:
    items: list[T] = []
    prefixes: list[str] = []
    last = ""
    batch = _FIRST_BATCH if wish.delimiter else min(wish.limit + 1, _LARGEST_BATCH + 1)
    while wish.limit > 0:
        found = fetch(position, batch)
        jump = False
        for index, row in enumerate(found):
            if len(items) + len(prefixes) == wish.limit:
                return Page(items=items, prefixes=prefixes, is_truncated=True, last=last)
            rolled_up = common_prefix(row.key, wish.prefix, wish.delimiter)
            if not rolled_up:
                items.append(row)
                last = row.key
                position = _after(row)
                continue
            prefixes.append(rolled_up)
            last = rolled_up
            following = successor(rolled_up)
            if following is None:
                return Page(items=items, prefixes=prefixes, last=last)
            position = _Position(key=following, inclusive=True)
            if index + 1 == len(found) or found[index + 1].key.startswith(rolled_up):
                jump = True
                break
        if not jump and len(found) < batch:
            break
        batch = _FIRST_BATCH if jump else min(batch * 2, _LARGEST_BATCH)
    return Page(items=items, prefixes=prefixes, last=last)


def _after(row: _Keyed) -> _Position:
    tie = row if isinstance(row, StoredObject | Upload) else None
    return _Position(key=row.key, tie=tie)
