"""The reports of an endpoint, the newest last: of runs from here and of its schedules, wherever those write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from farero.cli.monitor import kinds
from farero.cli.monitor.places import download, files_of, read_json, split_uri
from farero.cli.monitor.schedules import schedules_of
from farero.cli.output import fail
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from farero.cli.monitor.kinds import Kind
    from farero.cli.monitor.places import Place

REPORT = "drift_report.json"
#: Windows before a run that its page draws: as many as those of a schedule know.
REMEMBERED = 30
#: Windows that `show` looks back.
BACK = 12
BARS = "▁▂▃▄▅▆▇█"
#: Effects that every column of its kind has, both between 0 and 1: the largest difference of two distributions.
DISTANCES = ("gap", "share")


@dataclass(frozen=True, slots=True)
class Report:
    """Where the files of one run lie."""

    at: dt.datetime
    bucket: str
    #: With a slash at its end.
    prefix: str

    def verdict(self) -> dict[str, Any]:
        """Read it."""
        return read_json(self.bucket, f"{self.prefix}{REPORT}")


def reports(
    where: Place, schedules: Sequence[dict[str, Any]], *, kind: Kind = kinds.DATA
) -> list[Report]:
    """Return an endpoint's reports of a kind; the oldest first."""
    roots = {(where.bucket, f"{where.prefix}{kind.reports}/")}
    for described in schedules:
        if uri := _output(described, kind):
            bucket, prefix = split_uri(uri)
            name = described["MonitoringScheduleName"]
            root = f"{prefix.rstrip('/')}/{where.endpoint}/{name}/"
            if not any(bucket == b and root.startswith(p) for b, p in roots):
                roots.add((bucket, root))
    found = [
        Report(one["LastModified"], bucket, one["Key"].rpartition("/")[0] + "/")
        for bucket, root in sorted(roots)
        for one in files_of(bucket, root)
        if one["Key"].endswith(f"/{REPORT}")
    ]
    return sorted(found, key=lambda report: (report.at, report.prefix))


def last_report(where: Place, kind: Kind = kinds.DATA) -> Report:
    """Return the last report of a kind; ends the command if there is none."""
    found = reports(where, schedules_of(where.endpoint), kind=kind)
    if found:
        return found[-1]
    if kind is kinds.DATA:
        not_judged(where)
    by = (
        f"farero monitor quality {where.endpoint}" if kind is kinds.QUALITY
        else f"farero monitor add {where.endpoint} {kind.flag}   # and wait for its first run"
    )  # fmt: skip
    what = "measured by labels" if kind is kinds.QUALITY else f"judged for {kind.family}"
    fail("E-NO-REPORT", f"{where.endpoint} was not {what} yet",
         where=where.uri(f"{where.prefix}{kind.reports}/"), fix=by)  # fmt: skip


def fetch(where: Place, folder: Path, *, kind: Kind = kinds.DATA) -> Path | None:
    """Fetch the reports of the windows before into a folder, which pages are drawn from; None if there are none."""
    found = reports(where, schedules_of(where.endpoint), kind=kind)
    past = found[-REMEMBERED:]
    for number, one in enumerate(past):
        download(one.bucket, f"{one.prefix}{REPORT}", folder / f"{number:03}" / REPORT)
    return folder if past else None


def not_judged(where: Place) -> NoReturn:
    """End the command because there is no report."""
    fail("E-NO-REPORT", f"{where.endpoint} was not judged yet",
         where=where.uri(f"{where.prefix}reports/"),
         fix=f"farero monitor run {where.endpoint}")  # fmt: skip


def distance(column: dict[str, Any]) -> float | None:
    """Return how far a column's distribution is from the baseline's, 0 to 1; None if nothing was said of it."""
    if column["state"] == "not enough data":
        return None
    return next((abs(column["effects"][n]) for n in DISTANCES if n in column["effects"]), None)


def sparkline(values: Sequence[float | None], top: float) -> str:
    """Draw values between 0 and `top` as bars, a blank where there is none."""
    last = len(BARS) - 1
    return "".join(
        " " if value is None else BARS[min(last, round(value / top * last))] for value in values
    )


def _output(described: dict[str, Any], kind: Kind) -> str:
    """Return where a schedule of some kind writes; empty if it is of another kind, or that is not to be found."""
    config: dict[str, Any] = described.get("MonitoringScheduleConfig") or {}
    if config.get("MonitoringType", kinds.DATA.family) != kind.family:
        return ""
    inside: dict[str, Any] | None = config.get("MonitoringJobDefinition")
    if inside:
        return str(inside["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]["S3Uri"])
    name = config.get("MonitoringJobDefinitionName")
    if not name:
        return ""
    describe = getattr(client("sagemaker"), f"describe_{kind.operations}_job_definition")
    given = guarded(lambda: describe(JobDefinitionName=name))
    outputs = given[f"{kind.family}JobOutputConfig"]["MonitoringOutputs"]
    return str(outputs[0]["S3Output"]["S3Uri"])
