"""Channels: objects become files below `<base>/input/data/<channel>/`, and the configuration names them.

File and FastFile mode give the same folder; FastFile's laziness cannot be told apart by a reader. What a channel may
not contain on SageMaker (a folder and a file of one name) is refused with a reason.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from farero.base.arns import parse_s3_uri
from farero.base.errors import Invalid, NotFound

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from farero.objects.base import ObjectStore
    from farero.records.job import Channel

#: A manifest larger than this is none.
MANIFEST_LIMIT_BYTES = 64 * 1024 * 1024
MISSING_KEY = "NoSuchKey (404): The specified key does not exist."
MISSING_BUCKET = "NoSuchBucket (404): The specified bucket does not exist."


class InputError(Exception):
    """Data cannot be brought to the job; the text is what follows `Data download failed:` on AWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One object and where it goes, relative to its channel's folder."""

    bucket: str
    key: str
    path: str
    #: When the object was stored; its file gets this time.
    modified_at: dt.datetime


def download_channel(objects: ObjectStore, channel: Channel, folder: Path) -> int:
    """Copy the channel's objects below `folder`; return how many there were.

    Raises InputError if there are none, one is missing, or two would take the same place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for source in list_sources(objects, channel):
        _fetch(objects, source, folder, unpack=channel.compression == "Gzip")
        count += 1
    if not count:
        raise InputError(f"{MISSING_KEY}, S3Uri {channel.s3_uri} of channel '{channel.name}'")
    return count


def list_sources(objects: ObjectStore, channel: Channel) -> Iterator[Source]:
    """Yield the channel's objects with their places. Raises InputError if the listing cannot be made."""
    try:
        bucket, key = parse_s3_uri(channel.s3_uri)
        if channel.data_type == "ManifestFile":
            yield from _manifest_sources(objects, bucket, key)
        else:
            yield from _prefix_sources(objects, bucket, key)
    except NotFound as error:
        missing = MISSING_BUCKET if error.kind == "bucket" else MISSING_KEY
        raise InputError(
            f"{missing}, S3Uri {channel.s3_uri} of channel '{channel.name}'"
        ) from error
    except Invalid as error:
        raise InputError(error.detail) from error


def download_tree(objects: ObjectStore, uri: str, folder: Path) -> int:
    """Copy every object below `uri`, taken as a folder, if there are any; return how many."""
    bucket, key = parse_s3_uri(uri)
    prefix = key.rstrip("/") + "/" if key else ""
    count = 0
    for item in objects.list(bucket, prefix):
        if not item.key.endswith("/"):
            source = Source(
                bucket=bucket, key=item.key, path=item.key.removeprefix(prefix), modified_at=item.last_modified
            )  # fmt: skip
            _fetch(objects, source, folder, unpack=False)
            count += 1
    return count


def relative_path(prefix: str, key: str) -> str:
    """Return where `key`, listed by `prefix`, lies below the channel's folder.

    `data/train` lists `data/train/a.csv` as `a.csv`, itself as `train`, and `data/train-2.csv` as `train-2.csv`.
    """
    whole = prefix if prefix.endswith("/") or not prefix else prefix + "/"
    if key.startswith(whole):
        return key.removeprefix(whole)
    return key.removeprefix(prefix.rpartition("/")[0]).removeprefix("/")


def input_data_config(channels: tuple[Channel, ...]) -> dict[str, dict[str, str]]:
    """Return the contents of inputdataconfig.json; ContentType is left out when the caller gave none."""
    config: dict[str, dict[str, str]] = {}
    for channel in channels:
        config[channel.name] = {
            "TrainingInputMode": channel.input_mode,
            "S3DistributionType": channel.distribution,
            "RecordWrapperType": channel.record_wrapper,
        }
        if channel.content_type is not None:
            config[channel.name]["ContentType"] = channel.content_type
    return config


def _prefix_sources(objects: ObjectStore, bucket: str, prefix: str) -> Iterator[Source]:
    for item in objects.list(bucket, prefix):
        if item.key == prefix and not prefix.endswith("/"):
            # An S3Prefix that names an object is that object alone.
            name = prefix.rpartition("/")[2]
            yield Source(bucket=bucket, key=item.key, path=name, modified_at=item.last_modified)
            return
        if not item.key.endswith("/"):
            path = relative_path(prefix, item.key)
            yield Source(bucket=bucket, key=item.key, path=path, modified_at=item.last_modified)


def _manifest_sources(objects: ObjectStore, bucket: str, key: str) -> Iterator[Source]:
    with objects.open(bucket, key) as body:
        raw = body.read(MANIFEST_LIMIT_BYTES)
    entries = _manifest_entries(raw, f"s3://{bucket}/{key}")
    root, prefix = parse_s3_uri(entries[0]["prefix"])
    for name in entries[1:]:
        found = objects.head(root, prefix + name)
        path = name.lstrip("/")
        yield Source(bucket=root, key=prefix + name, path=path, modified_at=found.last_modified)


def _manifest_entries(raw: bytes, uri: str) -> list[Any]:
    expected = 'expected a JSON list such as [{"prefix": "s3://bucket/folder/"}, "a.csv", "b.csv"]'
    try:
        entries: Any = json.loads(raw)
        has_shape = isinstance(entries[0]["prefix"], str) and all(
            isinstance(name, str) for name in entries[1:]
        )
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"manifest {uri} cannot be read; {expected}") from error
    if not has_shape:
        raise InputError(f"manifest {uri} cannot be read; {expected}")
    return entries


def _fetch(objects: ObjectStore, source: Source, folder: Path, *, unpack: bool) -> None:
    uri = f"s3://{source.bucket}/{source.key}"
    parts = PurePosixPath(source.path).parts
    if not parts or ".." in parts or source.path.startswith("/") or "\0" in source.path:
        raise InputError(f"Failed to download data. {uri} has no place inside its channel's folder")
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        objects.download(source.bucket, source.key, path)
    except NotFound as error:
        raise InputError(f"{MISSING_KEY}, {uri}") from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"Failed to download data. Cannot download {uri}, a previously downloaded file/folder clashes with it. "
            "Please check your s3 objects and ensure that there is no object that is both a folder as well as a file."
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"No space left on device, {uri}. Free some space and run the job again"
        ) from error
    if unpack:
        path = _unpack(path, uri)
    stamp = source.modified_at.timestamp()
    os.utime(path, (stamp, stamp))


def _unpack(path: Path, uri: str) -> Path:
    target = path.with_suffix("") if path.suffix == ".gz" else path
    part = path.with_name(path.name + ".unpacking")
    try:
        with gzip.open(path) as source, part.open("wb") as plain:
            shutil.copyfileobj(source, plain, 1024 * 1024)
    except (OSError, EOFError) as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{uri} is not in gzip format, but its channel has CompressionType Gzip"
        ) from error
    path.unlink()
    return part.rename(target)
