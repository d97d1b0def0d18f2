"""Finds in S3 what a window holds: folders of hours with captures or labels, and when the last record came before.

Keys are `<prefix>/<endpoint>/<variant>/yyyy/mm/dd/HH/<MM-SS-mmm>-<id>.jsonl` for captures and
`<prefix>/yyyy/mm/dd/HH/…` for labels and batch transform; the manifests that transform jobs leave of their outputs lie
in `<prefix>/output/yyyy/mm/dd/HH/`, the hour in which a job began. Folders are asked for one by one: an endpoint's
captures of years are never listed.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from farero.base.arns import parse_s3_uri
from farero.base.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero.objects.base import ObjectInfo, ObjectStore

_HOUR = dt.timedelta(hours=1)
#: So far back the last record is looked for, in months.
_MONTHS_BACK = 60
#: What a file's end must hold to tell the time of its last record.
_TAIL_BYTES = 256 * 1024
_OPENED = re.compile(r"(\d{4})/(\d\d)/(\d\d)/(\d\d)/(\d\d)-(\d\d)-\d{3}-[^/]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Folder:
    """An hour's folder: where it is in S3, and where it belongs below a container's path."""

    uri: str
    path: str
    #: Whether it is a manifest, which says where the hour's objects are.
    manifest: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where folders of hours lie: of an endpoint (below its variants), or at once below a prefix."""

    bucket: str
    #: Ends with a slash, or is empty.
    root: str
    #: Empty where there are no variants.
    endpoint: str = ""

    @property
    def uri(self) -> str:
        """Return it as people write it."""
        return f"s3://{self.bucket}/{self.root}".rstrip("/")


def place(uri: str, endpoint: str = "") -> Place:
    """Return the place below an S3 URI, of an endpoint if one is given."""
    bucket, prefix = parse_s3_uri(uri)
    root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return Place(bucket, root + (f"{endpoint}/" if endpoint else ""), endpoint)


def folders(
    objects: ObjectStore, where: Place, start: dt.datetime, end: dt.datetime
) -> list[Folder]:
    """Return the folders of the hours of [start, end) that hold anything of that time. Raises NotFound: no bucket."""
    found: list[Folder] = []
    for branch in _branches(objects, where):
        hour = start.replace(minute=0, second=0, microsecond=0)
        while hour < end:
            name = f"{branch}{hour:%Y/%m/%d/%H}"
            listed = objects.list(where.bucket, f"{where.root}{name}/")
            whole = start <= hour and hour + _HOUR <= end
            if any(whole or _may_hold(item, start, end) for item in listed):
                below = f"{where.endpoint}/{name}" if where.endpoint else name
                found.append(Folder(f"s3://{where.bucket}/{where.root}{name}/", below))
            hour += _HOUR
    return found


def manifests(
    objects: ObjectStore, where: Place, start: dt.datetime, end: dt.datetime
) -> list[Folder]:
    """Return the manifests of the hours of [start, end), each for a folder of its own. Raises NotFound: no bucket."""
    found: list[Folder] = []
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        name = f"{hour:%Y/%m/%d/%H}"
        for item in objects.list(where.bucket, f"{where.root}{name}/"):
            stem = item.key.rpartition("/")[2].partition(".")[0]
            if stem and item.size_bytes:
                uri = f"s3://{where.bucket}/{item.key}"
                found.append(Folder(uri, f"{name}/{stem}", manifest=True))
        hour += _HOUR
    return found


def find_last(objects: ObjectStore, where: Place, before: dt.datetime) -> dt.datetime | None:
    """Return when the last record before a moment came; None if there is none within five years."""
    found: dt.datetime | None = None
    for branch in _branches(objects, where):
        newest = _newest(objects, where.bucket, f"{where.root}{branch}", before)
        if newest is not None:
            at = _time_of_last(objects, newest, before)
            found = at if found is None else max(found, at)
    return found


def newest_lines(objects: ObjectStore, where: Place, before: dt.datetime) -> list[bytes]:
    """Return the last whole lines of the newest file, oldest first; empty if there is none."""
    for branch in _branches(objects, where):
        newest = _newest(objects, where.bucket, f"{where.root}{branch}", before)
        if newest is not None:
            return _tail(objects, newest)
    return []


def _branches(objects: ObjectStore, where: Place) -> Iterator[str]:
    """Yield `<variant>/` of each variant there is, or nothing but the place itself."""
    if not where.endpoint:
        yield ""
        return
    after = ""
    while True:
        item = next(iter(objects.list(where.bucket, where.root, after=after)), None)
        if item is None:
            return
        variant, slash, _ = item.key.removeprefix(where.root).partition("/")
        if slash:
            yield f"{variant}/"
        # "0" is the character behind the slash: the first key that is not below this variant.
        after = f"{where.root}{variant}0" if slash else item.key


def _newest(
    objects: ObjectStore, bucket: str, branch: str, before: dt.datetime
) -> ObjectInfo | None:
    """Return the newest object below a branch whose file was begun before a moment."""
    month = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(_MONTHS_BACK):
        if _any(objects, bucket, f"{branch}{month:%Y/%m}/"):
            following = (month + dt.timedelta(days=32)).replace(day=1)
            hour = min(before, following - _HOUR)
            hour = hour.replace(minute=0, second=0, microsecond=0)
            while hour >= month:
                if hour.hour == 23 and not _any(objects, bucket, f"{branch}{hour:%Y/%m/%d}/"):
                    hour -= dt.timedelta(days=1)
                    continue
                listed = objects.list(bucket, f"{branch}{hour:%Y/%m/%d/%H}/")
                last = None
                for item in listed:
                    opened = _opened(item)
                    if opened is None or opened < before:
                        last = item
                if last is not None:
                    return last
                hour -= _HOUR
        month = (month - dt.timedelta(days=1)).replace(day=1)
    return None


def _any(objects: ObjectStore, bucket: str, prefix: str) -> bool:
    return next(iter(objects.list(bucket, prefix)), None) is not None


def _may_hold(item: ObjectInfo, start: dt.datetime, end: dt.datetime) -> bool:
    """Say whether a file can hold records of a window: it was begun before its end, and written to since its start."""
    opened = _opened(item)
    return opened is None or (opened < end and item.last_modified >= start)


def _opened(item: ObjectInfo) -> dt.datetime | None:
    """Return when a capture file was begun, as its key says; None for other keys."""
    found = _OPENED.search(item.key)
    if found is None:
        return None
    try:
        return dt.datetime(*(int(part) for part in found.groups()), tzinfo=dt.UTC)
    except ValueError:
        return None


def _time_of_last(objects: ObjectStore, item: ObjectInfo, before: dt.datetime) -> dt.datetime:
    """Return the latest time before a moment that the lines at a file's end tell, or when it was begun or written."""
    times: list[dt.datetime] = []
    for line in _tail(objects, item):
        try:
            text = msgspec.json.decode(line)["eventMetadata"]["inferenceTime"]
            at = dt.datetime.fromisoformat(text)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            continue
        at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
        if at < before:
            times.append(at)
    return max(times, default=_opened(item) or min(item.last_modified, before))


def _tail(objects: ObjectStore, item: ObjectInfo) -> list[bytes]:
    try:
        with objects.open(item.bucket, item.key) as body:
            start = max(0, item.size_bytes - _TAIL_BYTES)
            body.seek(start)
            lines = body.read().splitlines()
    except NotFound:
        return []
    return lines[1:] if start else lines
