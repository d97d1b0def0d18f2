"""Conditional requests: RFC 9110 section 13 in the order S3 evaluates it, on etags and last-modified times."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.objects.errors import NotModified, PreconditionFailed, no_object

if TYPE_CHECKING:
    from farero.records.objects import StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a request demands of the object that is there; empty or None demands nothing."""

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: dt.datetime | None = None
    if_unmodified_since: dt.datetime | None = None


ANY = Conditions()


def check_read(conditions: Conditions, stored: StoredObject) -> None:
    """Raise PreconditionFailed or NotModified unless the caller wants this object.

    If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since (S3 API: GetObject).
    """
    if conditions.if_match:
        if not _matches(conditions.if_match, stored.etag):
            raise PreconditionFailed("If-Match")
    elif _is_after(stored.last_modified, conditions.if_unmodified_since):
        raise PreconditionFailed("If-Unmodified-Since")
    if conditions.if_none_match:
        if _matches(conditions.if_none_match, stored.etag):
            raise NotModified(stored.etag)
    elif conditions.if_modified_since is not None and not _is_after(
        stored.last_modified, conditions.if_modified_since
    ):
        raise NotModified(stored.etag)


def check_copy_source(conditions: Conditions, stored: StoredObject) -> None:
    """Raise PreconditionFailed, also where a read would answer NotModified (S3 API: CopyObject)."""
    try:
        check_read(conditions, stored)
    except NotModified as error:
        name = "If-None-Match" if conditions.if_none_match else "If-Modified-Since"
        raise PreconditionFailed(f"x-amz-copy-source-{name}") from error


def check_write(
    conditions: Conditions, current: StoredObject | None, *, bucket: str, key: str
) -> None:
    """Raise unless the object that is there allows the write (S3 user guide: "Conditional writes").

    current: the latest version, which may be a delete marker: then the key counts as free.
    Raises NotFound for If-Match on a free key, PreconditionFailed otherwise.
    """
    is_free = current is None or current.is_delete_marker
    if conditions.if_none_match and not is_free:
        raise PreconditionFailed("If-None-Match")
    if conditions.if_match:
        if current is None or current.is_delete_marker:
            raise no_object(bucket, key)
        if not _matches(conditions.if_match, current.etag):
            raise PreconditionFailed("If-Match")


def _matches(wanted: str, etag: str) -> bool:
    tags = [text.strip().removeprefix("W/").strip('"') for text in wanted.split(",")]
    return "*" in tags or etag in tags


def _is_after(moment: dt.datetime, limit: dt.datetime | None) -> bool:
    if limit is None:
        return False
    if limit.tzinfo is None:
        limit = limit.replace(tzinfo=dt.UTC)
    return moment.replace(microsecond=0) > limit
