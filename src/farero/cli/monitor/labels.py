"""`farero monitor label`: bring what really happened to where a schedule of model quality, or of bias, reads it.

Labels go to S3 in SageMaker's own form, below the hour at which they were collected: `…/yyyy/mm/dd/HH/<file>.jsonl`.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.monitor import label_files
from farero.cli.monitor.captured import capture_files, window_of
from farero.cli.monitor.kinds import WITH_LABELS
from farero.cli.monitor.places import place, split_uri
from farero.cli.monitor.schedules import family_of, schedules_of
from farero.cli.monitor.timing import next_window
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from farero.cli.monitor.captured import Window
    from farero.cli.monitor.places import Place

MARK = b'"eventMetadata":'


def label(
    endpoint: str,
    labels: Annotated[Path, typer.Argument(help="CSV with a header, or JSON lines.")],
    *,
    id_column: Annotated[str, typer.Option(help="With the inference ids; by default id.")] = "",
    label_column: Annotated[
        str, typer.Option(help="With the labels; by default label, or the only other one.")
    ] = "",
    since: Annotated[
        str, typer.Option(help="How far back their requests are looked for: 24h, 30d.")
    ] = "30d",
    to: Annotated[str, typer.Option(help="s3://…; by default where the schedule reads.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Though none of the requests is found.")
    ] = False,
) -> None:
    """Bring labels: farero monitor label price sold.csv --id-column id --label-column price."""
    found = _read(labels, id_column, label_column)
    warn_of_aws("the labels are put where a schedule there reads them.")
    where, now = place(endpoint), SystemClock().now()
    schedules = _labelled_schedules(endpoint)
    target = to or next((uri for uri, _ in schedules), where.uri(f"{where.prefix}labels"))
    if not target.startswith("s3://"):
        fail("E-TO", f"{target!r} is no place in S3", where="--to", fix="s3://bucket/prefix",
             status=WRONG_USAGE)  # fmt: skip
    counts = _match(where, window_of(since, "", now), found, [first for _, first in schedules])
    if not counts["matched"] and not anyway:
        _no_match(where, found, counts, since)
    bucket, prefix = split_uri(target)
    key = f"{prefix.rstrip('/')}/{now:%Y/%m/%d/%H}/{now:%M-%S}-{uuid.uuid4()}.jsonl".lstrip("/")
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        path = Path(folder) / "labels.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in label_files.lines_of(found))
        guarded(lambda: client("s3").upload_file(str(path), bucket, key))
    _tell(where, found, counts, f"s3://{bucket}/{key}", scheduled=bool(schedules))


def label_uri(where: Place) -> str:
    """Return where an endpoint's labels lie: where its schedule of model quality, or else of bias, reads them."""
    schedules = _labelled_schedules(where.endpoint)
    return next((uri for uri, _ in schedules), where.uri(f"{where.prefix}labels"))


def _read(path: Path, id_column: str, label_column: str) -> label_files.Labels:
    try:
        return label_files.read(path, id_column, label_column)
    except label_files.LabelsError as error:
        where = f"{path}, line {error.line}" if error.line else str(path)
        fail("E-LABELS", str(error), where=where, fix=error.fix, status=WRONG_USAGE)
    except OSError as error:
        fail("E-LABELS", f"{path}: {error.strerror}", where=str(Path.cwd()),
             fix="farero monitor label --help", status=WRONG_USAGE)  # fmt: skip


def _labelled_schedules(endpoint: str) -> list[tuple[str, dt.datetime | None]]:
    """Return of each schedule with labels, model quality first, where it reads them and its next window's start."""
    sagemaker = client("sagemaker")
    made: list[tuple[str, dt.datetime | None]] = []
    order = [kind.family for kind in WITH_LABELS]
    found = [one for one in schedules_of(endpoint) if family_of(one) in order]
    for one in sorted(found, key=lambda one: order.index(family_of(one))):
        config: dict[str, Any] = one.get("MonitoringScheduleConfig") or {}
        name = config.get("MonitoringJobDefinitionName")
        kind = next((k for k in WITH_LABELS if k.family == config.get("MonitoringType")), None)
        if not name or kind is None:
            continue
        describe = getattr(sagemaker, f"describe_{kind.operations}_job_definition")
        given = guarded(lambda describe=describe, name=name: describe(JobDefinitionName=name))
        given = given[f"{kind.family}JobInput"]
        window = next_window(one, given.get("EndpointInput") or {})
        made.append((given["GroundTruthS3Input"]["S3Uri"], window[0] if window else None))
    return made


def _match(
    where: Place, window: Window, found: label_files.Labels, starts: list[dt.datetime | None]
) -> Counter[str]:
    """Count records, and labels that belong to one; late are those whose record no coming run looks at."""
    counts: Counter[str] = Counter()
    known = [start for start in starts if start is not None]
    oldest = f"{min(known):%Y-%m-%dT%H:%M:%SZ}" if known else ""
    seen: set[str] = set()
    for one, moment in _events(where, window):
        counts["records"] += 1
        if one in found.by_id and one not in seen:
            seen.add(one)
            counts["late"] += moment < oldest
    counts["matched"] = len(seen)
    return counts


def _events(where: Place, window: Window) -> Iterator[tuple[str, str]]:
    """Yield id and time of each captured record, as merge jobs know them."""
    s3 = client("s3")
    for one in capture_files(where, window):
        body = guarded(lambda one=one: s3.get_object(Bucket=where.bucket, Key=one["Key"])["Body"])
        for line in guarded(body.read).splitlines():
            # the payload before it may be long and is not looked at
            place = line.rfind(MARK)
            try:
                meta = json.loads(b"{" + line[place:])["eventMetadata"]
                yield meta.get("inferenceId") or meta["eventId"], meta["inferenceTime"]
            except (ValueError, KeyError, TypeError):
                continue  # runs count and locate what cannot be read


def _no_match(where: Place, found: label_files.Labels, counts: Counter[str], since: str) -> None:
    first = next(iter(found.by_id))
    if not counts["records"]:
        fail("E-NO-RECORDS", f"nothing was captured in the last {since}, so no label has a request",
             where=where.uri(where.captures), fix="a longer --since, or --anyway")  # fmt: skip
    fail("E-NO-MATCH", f"none of {len(found.by_id):,} ids is among {counts['records']:,} captured requests of the last "
         f"{since}; the first one is {first!r}", where=where.uri(where.captures),
         fix="send requests with InferenceId, which the labels name (farero capture tail shows them); or a longer "
         "--since, or --anyway")  # fmt: skip


def _tell(
    where: Place, found: label_files.Labels, counts: Counter[str], uri: str, *, scheduled: bool
) -> None:
    total, matched = len(found.by_id), counts["matched"]
    told = {
        "labels": uri, "uploaded": total, "matched": matched, "unmatched": total - matched,
        "late": counts["late"] if scheduled else None, "without_label": found.unknown,
        "repeated": found.repeated, "records": counts["records"],
    }  # fmt: skip
    text = f"{total:,} labels are in {uri}\n{matched:,} belong to captured requests"
    if total - matched:
        text += f"; {total - matched:,} belong to none (yet)"
    if scheduled and counts["late"]:
        text += f"\n{counts['late']:,} came late: the next scheduled run does not look that far back (StartTimeOffset)"
    if found.unknown:
        text += f"\n{found.unknown:,} lines have no label yet"
    result(told, escape(text))
    say(escape(f"next: farero monitor quality {where.endpoint}"))
