"""The captured records of an endpoint as files here: the newest ones, or those of a window.

What was downloaded stays in the user's cache folder, with its profiles, so that the same window again is merged and not
read.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero.base.clock import SystemClock
from farero.cli.monitor.places import download, files_of
from farero.cli.output import WRONG_USAGE, fail
from farero.cli.session import admin, client, guarded, is_aws, settings

if TYPE_CHECKING:
    from farero.cli.monitor.places import Place

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
WRITTEN = "30m, 24h or 7d back, or a time in UTC as 2026-11-21T09:30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """start <= inferenceTime < end."""

    start: dt.datetime
    end: dt.datetime
    #: Whether it consists of whole hours, which are whole files.
    whole: bool


def window_of(since: str, until: str, now: dt.datetime) -> Window:
    """Read --since and --until. Spans of hours and days begin with their full hour; without `until` it is now."""
    start = _moment(since, "--since", now)
    if since[-1:] in {"h", "d"}:
        start = start.replace(minute=0, second=0, microsecond=0)
    end = _moment(until, "--until", now) if until else now
    if start >= end:
        fail("E-SPAN", f"the window would end ({end:%Y-%m-%d %H:%M}) before it begins ({start:%Y-%m-%d %H:%M})",
             where=f"--since {since} --until {until}", fix="a --since further back", status=WRONG_USAGE)  # fmt: skip
    return Window(start=start, end=end, whole=_full(start) and (not until or _full(end)))


def _moment(text: str, flag: str, now: dt.datetime) -> dt.datetime:
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return now - dt.timedelta(**{UNITS[found.group(2)]: int(found.group(1))})
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        fail("E-SPAN", f"{text!r} is no span and no time", where=flag, fix=WRITTEN, status=WRONG_USAGE)  # fmt: skip
    return read.astimezone(dt.UTC) if read.tzinfo else read.replace(tzinfo=dt.UTC)


def _full(moment: dt.datetime) -> bool:
    return (moment.minute, moment.second, moment.microsecond) == (0, 0, 0)


def captures(where: Place, window: Window, purpose: str = "drift") -> Path:
    """Return a folder with the capture files of a window's hours; one that is here already is not fetched again.

    purpose: what looks at windows of its own, so that one does not make the other fetch everything again.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "farero" / "monitor"
    whose = (
        "aws" if is_aws() else re.sub(r"\W+", "-", str(settings().data_dir.resolve())).strip("-")
    )
    folder = cache / whose / where.endpoint / purpose
    wanted = capture_files(where, window)
    if not wanted:
        at = f"{window.start:%Y-%m-%d %H:%M} and {window.end:%Y-%m-%d %H:%M} UTC"
        fail("E-NO-RECORDS", f"nothing was captured between {at}", where=where.uri(where.captures),
             fix=f"farero capture tail {where.endpoint} --no-follow   # or a longer --since")  # fmt: skip
    kept = {found["Key"].replace("/", "_") for found in wanted}
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.name.removesuffix(".profile") not in kept:
            path.unlink()
    for found in wanted:
        path = folder / found["Key"].replace("/", "_")
        if not path.exists() or path.stat().st_size != found["Size"]:
            download(where.bucket, found["Key"], path)
    return folder


def capture_files(where: Place, window: Window) -> list[dict[str, Any]]:
    """Return the capture objects of the hours that a window touches."""
    first = f"{window.start:%Y/%m/%d/%H}"
    last = f"{window.end - dt.timedelta(microseconds=1):%Y/%m/%d/%H}"
    return [
        found
        for found in files_of(where.bucket, where.captures)
        if first <= "/".join(found["Key"].split("/")[-5:-1]) <= last
    ]


def newest(where: Place, last: int) -> list[str]:
    """Return the newest records, also those that are not in S3 yet; none if nothing was captured."""
    if is_aws():
        fail("E-LAST", "AWS has no newest records, only files in S3", where="--last",
             fix=f"farero monitor run {where.endpoint} --since 1h --aws", status=WRONG_USAGE)  # fmt: skip
    page: dict[str, Any] = guarded(
        lambda: admin("GET", "capture", f"endpoint={where.endpoint}&last={last}")
    )
    return page["records"]


def write_newest(where: Place, last: int, path: Path) -> Path:
    """Write the newest records into a file; ends the command if there are none."""
    records = newest(where, last)
    if not records:
        fail("E-NO-RECORDS", f"{where.endpoint} has captured nothing yet", where=where.uri(where.captures),
             fix=f"farero show {where.endpoint}   # whether it captures, and which share")  # fmt: skip
    path.write_text("".join(line + "\n" for line in records), encoding="utf-8")
    return path


def sample(where: Place, most: int) -> list[str]:
    """Return some of the newest records: Farero's own newest, or the end of the last file of a day on AWS."""
    if not is_aws():
        return newest(where, most)
    now = SystemClock().now()
    files = capture_files(where, Window(start=now - dt.timedelta(days=1), end=now, whole=True))
    if not files:
        return []
    last = max(files, key=lambda found: found["LastModified"])
    body = guarded(lambda: client("s3").get_object(Bucket=where.bucket, Key=last["Key"])["Body"])
    return guarded(body.read).decode().splitlines()[-most:]
