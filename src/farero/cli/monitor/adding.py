"""`farero monitor add`: a schedule of SageMaker's in a line, of data, model quality, bias or attributions."""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.deploying import role_arn
from farero.cli.monitor import columns, kinds
from farero.cli.monitor.analyzer import missing_packages
from farero.cli.monitor.answers import read_answers
from farero.cli.monitor.captured import sample
from farero.cli.monitor.labels import label_uri
from farero.cli.monitor.places import baseline_files, download, files_of, place
from farero.cli.monitor.schedules import kind_of, schedules_of
from farero.cli.monitor.timing import span_of
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded, settings

if TYPE_CHECKING:
    from farero.cli.monitor.kinds import Kind
    from farero.cli.monitor.places import Place

_SPAN = re.compile(r"([1-9]\d{0,3})([mhd])")
#: The command that takes the baseline of a kind.
_TAKES = {
    kinds.QUALITY: "farero monitor quality {} --problem regression|binary|multiclass --as-baseline",
    kinds.BIAS: "farero monitor bias {} train.csv --facet COLUMN=VALUE",
    kinds.EXPLAIN: "farero monitor explain {} train.csv",
}


def add(
    endpoint: str,
    *,
    every: Annotated[str, typer.Option(help="5m, 1h, 6h, 1d, or an expression: cron(…).")] = "1h",
    baseline: Annotated[str, typer.Option(help="The name of a baseline of the data.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Though the columns are not those of the baseline.")
    ] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Judge the model's quality, by labels.")
    ] = False,
    bias: Annotated[bool, typer.Option("--bias", help="Judge its bias, by labels.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Judge what its answers come from.")
    ] = False,
    labels: Annotated[
        str, typer.Option(help="s3://…; by default where farero monitor label puts them.")
    ] = "",
    late: Annotated[
        str, typer.Option(help="How late labels come: 7d judges requests as old as that.")
    ] = "",
) -> None:
    """Judge an endpoint again and again: farero monitor add price --every 1h; --quality by labels."""
    kind = kind_of(quality=quality, bias=bias, explain=explain) or kinds.DATA
    asked, waits = expression(every), _late(late)
    _fitting(kind, baseline=baseline, labels=labels, late=late)
    where = place(endpoint)
    name = kinds.schedule_name(kind, endpoint)
    flag = f" {kind.flag}" if kind.flag else ""
    if any(one["MonitoringScheduleName"] == name for one in schedules_of(endpoint)):
        fail("E-EXISTS", f"{endpoint} has a schedule{_of(kind)} already", where=f"schedule {name}",
             fix=f"farero monitor rm {endpoint}{flag}   # then add it again; or: monitor show {endpoint}")  # fmt: skip
    base = where.baseline(baseline) if kind is kinds.DATA else f"{where.prefix}{kind.baseline}/"
    told = {} if kind is kinds.DATA else _answers(where, kind, base)
    if kind is kinds.DATA:
        files = baseline_files(where, baseline)
        if not anyway:
            _check_columns(where, files, baseline)
    warn_of_aws(
        "an account that has it already takes this schedule; the analysis there is AWS's own."
    )
    every_run = span_of(_described(asked), SystemClock().now())
    _create(kind, name, asked, kinds.definition(kind, where, name, kinds.Asked(
        role=role_arn(), region=settings().region, baseline=base, answers=told, late=waits, span=every_run,
        labels=labels or (label_uri(where) if kind in kinds.WITH_LABELS else ""),
    )))  # fmt: skip
    said = f"{name} judges {endpoint}{_of(kind)} by {asked}"
    result({"schedule": name, "expression": asked, "type": kind.family}, escape(said))
    if kind in kinds.WITH_LABELS and not labels:
        say(escape(f"labels come by: farero monitor label {endpoint} labels.csv"))
    say(escape(f"next: farero monitor show {endpoint}   # after its first run"))


def expression(every: str) -> str:
    """Return AWS's expression of a span: whole hours as AWS has them, minutes as a rate."""
    if every.startswith(("cron(", "rate(")):
        return every
    found = _SPAN.fullmatch(every)
    number, unit = (int(found.group(1)), found.group(2)) if found else (0, "")
    if unit == "m":
        return f"rate({number} minute{'s' if number > 1 else ''})"
    if unit == "h" and number <= 24:
        return "cron(0 * ? * * *)" if number == 1 else f"cron(0 0/{number} ? * * *)"
    if unit == "d":
        return "cron(0 0 ? * * *)" if number == 1 else f"rate({number} days)"
    fail("E-EVERY", f"{every!r} is no span and no expression", where="--every",
         fix="5m, 1h, 6h, 1d, or 'cron(0 9 ? * MON *)'", status=WRONG_USAGE)  # fmt: skip


def _late(text: str) -> dt.timedelta:
    if not text:
        return dt.timedelta(0)
    found = _SPAN.fullmatch(text)
    if found is None:
        fail("E-LATE", f"{text!r} is no span", where="--late", fix="30m, 12h or 7d", status=WRONG_USAGE)  # fmt: skip
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found.group(2)]
    return dt.timedelta(**{unit: int(found.group(1))})


def _fitting(kind: Kind, *, baseline: str, labels: str, late: str) -> None:
    """End the command at an option that a kind has no use for."""
    wrong = ""
    if kind not in kinds.WITH_LABELS and (labels or late):
        wrong, fix = "--labels" if labels else "--late", "with --quality or --bias"
    elif kind is not kinds.DATA and baseline:
        wrong, fix = "--baseline", f"without {kind.flag}"
    elif labels and not labels.startswith("s3://"):
        fail("E-TO", f"{labels!r} is no place in S3", where="--labels", fix="s3://bucket/prefix",
             status=WRONG_USAGE)  # fmt: skip
    else:
        return
    fail("E-KIND", f"{wrong} says nothing about a schedule{_of(kind)}", where=wrong, fix=fix,
         status=WRONG_USAGE)  # fmt: skip


def _of(kind: Kind) -> str:
    return "" if kind is kinds.DATA else f" of {kind.family}"


def _described(asked: str) -> dict[str, Any]:
    return {"MonitoringScheduleConfig": {"ScheduleConfig": {"ScheduleExpression": asked}}}


def _answers(where: Place, kind: Kind, base: str) -> dict[str, str]:
    """Return what a baseline has left of how answers are read; ends the command if there is no baseline."""
    there = {one["Key"].rpartition("/")[2] for one in files_of(where.bucket, base)}
    needed = "constraints.json" if kind is kinds.QUALITY else "analysis.json"
    if needed not in there:
        fail("E-NO-BASELINE", f"{where.endpoint} has no baseline{_of(kind)}", where=where.uri(base),
             fix=_TAKES[kind].format(where.endpoint))  # fmt: skip
    return read_answers(where, base, kind)


def _check_columns(where: Place, files: dict[str, Any], name: str) -> None:
    """End the command if the newest records do not look like the baseline."""
    if "statistics.json" not in files:
        return
    if missing := missing_packages():
        say(f"columns were not compared: the analyzer needs {', '.join(missing)}")
        return
    records = sample(where, columns.ENOUGH)
    if not records:
        say("nothing was captured yet, so the columns could not be compared with the baseline's")
        return
    again = f"farero monitor baseline {where.endpoint} train.csv" + (
        f" --name {name}" if name else ""
    )
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        base = Path(folder) / "baseline"
        for file, found in files.items():
            download(where.bucket, found["Key"], base / file)
        mistake = columns.check(records, base, Path(folder), again)
    if mistake is not None:
        fail("E-COLUMNS", mistake.what, where=where.uri(where.baseline(name)),
             fix=f"{mistake.fix}; or add --anyway")  # fmt: skip


def _create(kind: Kind, name: str, asked: str, given: dict[str, Any]) -> None:
    """Make job definition and schedule; what was made goes again if the second one fails."""
    sagemaker = client("sagemaker")
    create = getattr(sagemaker, f"create_{kind.operations}_job_definition")
    guarded(lambda: create(**given))
    config = {
        "ScheduleConfig": {"ScheduleExpression": asked},
        "MonitoringJobDefinitionName": name,
        "MonitoringType": kind.family,
    }
    made = False
    try:
        guarded(
            lambda: sagemaker.create_monitoring_schedule(
                MonitoringScheduleName=name, MonitoringScheduleConfig=config
            )
        )
        made = True
    finally:
        if not made:
            delete = getattr(sagemaker, f"delete_{kind.operations}_job_definition")
            delete(JobDefinitionName=name)
