"""Where a monitor's files lie: in the bucket of the captures, under `farero-monitor/<endpoint>/`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.cli.output import WRONG_USAGE, fail
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from pathlib import Path

#: What a baseline consists of: rows for what concerns several columns; what was learned of labels, where it has any.
FILES = ("statistics.json", "constraints.json", "baseline.sample", "baseline.estimate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Bucket and prefixes of one endpoint."""

    endpoint: str
    bucket: str
    #: Below it lie `<variant>/<yyyy>/<mm>/<dd>/<HH>/<file>.jsonl`.
    captures: str

    @property
    def prefix(self) -> str:
        """What baselines, reports and labels lie under."""
        return f"farero-monitor/{self.endpoint}/"

    def baseline(self, name: str = "") -> str:
        """Return the prefix of a baseline; without a name of the one that is taken by itself."""
        if not name:
            return f"{self.prefix}baseline/"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            fail("E-NAME", f"{name!r} is no name of a baseline", where="--name, --baseline",
                 fix="letters, digits, dots, hyphens and underscores, as summer-2026", status=WRONG_USAGE)  # fmt: skip
        return f"{self.prefix}baselines/{name}/"

    def uri(self, key: str) -> str:
        """Return a key of the bucket as a URI."""
        return f"s3://{self.bucket}/{key}"


def place(endpoint: str) -> Place:
    """Return where an endpoint's files lie; ends the command if it captures nothing."""
    described = guarded(lambda: client("sagemaker").describe_endpoint(EndpointName=endpoint))
    found = place_of(described)
    if found is None:
        fail("E-NO-CAPTURE", f"{endpoint} does not capture its traffic", where="its endpoint config",
             fix=f"farero deploy … --name {endpoint} --capture 100 --update")  # fmt: skip
    return found


def place_of(described: dict[str, Any]) -> Place | None:
    """Return where the files of a described endpoint lie; None if it captures nothing."""
    capture = described.get("DataCaptureConfig")
    if not capture:
        return None
    name = described["EndpointName"]
    bucket, _, prefix = capture["DestinationS3Uri"].removeprefix("s3://").partition("/")
    root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return Place(endpoint=name, bucket=bucket, captures=f"{root}{name}/")


def baseline_files(where: Place, name: str = "") -> dict[str, dict[str, Any]]:
    """Return the files of a baseline by name; ends the command if there is none."""
    prefix = where.baseline(name)
    there = {
        found["Key"].rpartition("/")[2]: found
        for found in files_of(where.bucket, prefix)
        if found["Key"].count("/") == prefix.count("/")
    }
    if FILES[1] in there:
        return there
    others = baseline_names(where)
    what = f"{where.endpoint} has no baseline" + (f" {name!r}" if name else "")
    if others:
        what += f"; it has {', '.join(repr(other) for other in others)}"
    flag = f" --name {name}" if name else ""
    fail("E-NO-BASELINE", what, where=where.uri(prefix),
         fix=f"farero monitor baseline {where.endpoint} train.csv{flag}")  # fmt: skip


def baseline_names(where: Place) -> list[str]:
    """Return the names of an endpoint's named baselines."""
    prefix = f"{where.prefix}baselines/"
    found = files_of(where.bucket, prefix)
    return sorted({one["Key"].removeprefix(prefix).partition("/")[0] for one in found})


def files_of(bucket: str, prefix: str) -> list[dict[str, Any]]:
    """Return the objects below a prefix, as S3 lists them."""
    pages = client("s3").get_paginator("list_objects_v2")
    return guarded(
        lambda: [
            found
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for found in page.get("Contents", [])
        ]
    )


def read_json(bucket: str, key: str) -> dict[str, Any]:
    """Return a JSON object that lies in S3."""
    s3 = client("s3")
    found = guarded(lambda: s3.get_object(Bucket=bucket, Key=key))
    return json.loads(guarded(found["Body"].read))


def download(bucket: str, key: str, path: Path) -> None:
    """Fetch an object into a file; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    guarded(lambda: client("s3").download_file(bucket, key, str(path)))


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
