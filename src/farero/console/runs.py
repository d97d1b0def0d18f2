"""What monitoring schedules have done: executions, with the reports they left in S3; what was read is kept."""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from farero.console import reports
from farero.console.data import UnavailableError
from farero.console.reports import Report, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.data import Cloud
    from farero.console.reports import Finding, Statistics

Json = dict[str, Any]
#: Executions whose reports are looked at.
MOST = 40
_KEPT = 400
_KEPT_STATISTICS = 6
#: A schedule that ran once because somebody asked for it on the page is named after the one it was asked for on.
ONCE = "-now-"
#: Of a schedule's name 63 characters are allowed; fourteen digits are added.
_LONGEST_OWN = 63 - len(ONCE) - 14
_LOOK_AGAIN_S = 30.0
ENDED = ("Completed", "CompletedWithViolations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution; what it left is there when it has ended well."""

    schedule: str
    at: datetime
    status: str
    reason: str = ""
    job: str = ""
    #: Where its files lie; and the statistics of what it was compared with.
    place: str = ""
    baseline: str = ""
    window: tuple[str, str] = ("", "")
    report: Report | None = None
    #: What kept its files from being read.
    trouble: str = ""

    @property
    def at_ms(self) -> float:
        """When it ran, in milliseconds since 1970."""
        return self.at.timestamp() * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What an execution left, as it is kept."""

    place: str = ""
    baseline: str = ""
    window: tuple[str, str] = ("", "")
    report: Report | None = None
    trouble: str = ""
    #: When what was in the way may be gone.
    again_at: float = math.inf


@dataclass(slots=True)
class Runs:
    """Reads executions; a report that was read is not read again."""

    cloud: Cloud
    _left: OrderedDict[str, _Left] = field(default_factory=OrderedDict[str, _Left])
    _profiles: OrderedDict[str, Statistics] = field(default_factory=OrderedDict[str, "Statistics"])
    _broken: OrderedDict[str, list[Finding]] = field(
        default_factory=OrderedDict[str, "list[Finding]"]
    )
    _few: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(6))

    async def of(self, schedule: str, endpoint: str = "", most: int = MOST) -> list[Run]:
        """Return the executions of a schedule and those asked for beside it, newest first. Raises UnavailableError."""
        which = {"EndpointName": endpoint} if endpoint else {}
        own, others = await asyncio.gather(
            self.cloud.ask("sagemaker", "list_monitoring_executions", MonitoringScheduleName=schedule,
                           SortBy="ScheduledTime", MaxResults=most),
            self.cloud.ask("sagemaker", "list_monitoring_executions", MaxResults=100, **which),
        )  # fmt: skip
        once = [
            one for one in others["MonitoringExecutionSummaries"]
            if one["MonitoringScheduleName"].startswith(beside(schedule))
        ]  # fmt: skip
        found = [_run(one) for one in (*own["MonitoringExecutionSummaries"], *once)]
        newest = sorted(found, key=lambda one: one.at, reverse=True)[:most]
        return list(await asyncio.gather(*(self.filled(one) for one in newest)))

    async def filled(self, run: Run) -> Run:
        """Return an execution with what it left."""
        if run.status not in ENDED or not run.job:
            return run
        kept = self._left.get(run.job)
        if kept is None or time.monotonic() > kept.again_at:
            async with self._few:
                kept = await self._look(run.job)
            self._left[run.job] = kept
            while len(self._left) > _KEPT:
                self._left.popitem(last=False)
        return replace(
            run, place=kept.place, baseline=kept.baseline, window=kept.window, report=kept.report,
            trouble=kept.trouble,
        )  # fmt: skip

    async def statistics(self, run: Run, uri: str) -> Statistics:
        """Return a profile that an execution made or used. Raises UnavailableError, UnreadableError."""
        key = f"{run.job} {uri}"  # a baseline may be taken again, under the same name
        found = self._profiles.get(key)
        if found is None:
            body = await self.cloud.read(uri, reports.MOST_BYTES)
            found = await asyncio.to_thread(reports.statistics, body)
            self._profiles[key] = found
            while len(self._profiles) > _KEPT_STATISTICS:
                self._profiles.popitem(last=False)
        return found

    async def violations(self, run: Run) -> list[Finding] | None:
        """Return what SageMaker's rules found in an execution; None where its file is not there or cannot be read."""
        if not run.place:
            return None
        key = f"{run.job} {run.place}"
        found = self._broken.get(key)
        if found is None:
            try:
                body = await self.cloud.read(
                    f"{run.place}/{reports.VIOLATIONS}", reports.MOST_BYTES
                )
                found = await asyncio.to_thread(reports.violations, body)
            except (UnavailableError, UnreadableError):
                return None
            self._broken[key] = found
            while len(self._broken) > _KEPT_STATISTICS:
                self._broken.popitem(last=False)
        return found

    async def _look(self, job: str) -> _Left:
        try:
            told = await self.cloud.ask(
                "sagemaker", "describe_processing_job", ProcessingJobName=job
            )
        except UnavailableError as error:
            return _Left(trouble=str(error), again_at=time.monotonic() + _LOOK_AGAIN_S)
        left = _Left(
            place=_place(told), baseline=_baseline(told),
            window=tuple(told.get("Environment", {}).get(one, "") for one in ("start_time", "end_time")),
        )  # fmt: skip
        try:
            return replace(left, report=await self._report(left.place))
        except UnreadableError as error:
            return replace(left, trouble=str(error))
        except UnavailableError as error:
            trouble = "" if "NoSuchKey" in str(error) else str(error)
            return replace(left, trouble=trouble, again_at=time.monotonic() + _LOOK_AGAIN_S)

    async def _report(self, place: str) -> Report:
        try:
            body = await self.cloud.read(f"{place}/{reports.REPORT}", reports.MOST_BYTES)
        except UnavailableError as error:
            if "NoSuchKey" not in str(error):
                raise
            body = await self.cloud.read(f"{place}/{reports.VIOLATIONS}", reports.MOST_BYTES)
            return Report(findings=reports.violations(body))
        return await asyncio.to_thread(reports.report, body)


async def newest_of(runs: Runs, schedules: Sequence[str]) -> dict[str, list[Run]]:
    """Return the newest execution of each schedule, runs asked for beside it among them. Raises UnavailableError."""
    answer = await runs.cloud.ask("sagemaker", "list_monitoring_executions", MaxResults=100)
    newest = [_run(one) for one in answer["MonitoringExecutionSummaries"]]

    async def last(schedule: str) -> list[Run]:
        own = (schedule, beside(schedule))
        found = [one for one in newest if one.schedule == own[0] or one.schedule.startswith(own[1])]
        if not found:
            return await runs.of(schedule, most=1)
        return [await runs.filled(max(found, key=lambda one: one.at))]

    found = await asyncio.gather(*map(last, schedules))
    return dict(zip(schedules, found, strict=True))


def beside(schedule: str) -> str:
    """Return how the names of runs begin that are asked for on a schedule's page."""
    if len(schedule) > _LONGEST_OWN:
        schedule = f"{schedule[: _LONGEST_OWN - 9]}-{zlib.crc32(schedule.encode()):08x}"
    return schedule + ONCE


def once(schedule: str, now: datetime) -> str:
    """Return the name of a schedule that runs once, now."""
    return f"{beside(schedule)}{now.astimezone(UTC):%Y%m%d%H%M%S}"


def asked_beside(schedule: str) -> str:
    """Return the schedule on whose page a run was asked for, as far as its name tells; else its own name."""
    stem = schedule.rpartition(ONCE)[0]
    return stem if 0 < len(stem) < _LONGEST_OWN else schedule


def _run(summary: Json) -> Run:
    arn = summary.get("ProcessingJobArn", "")
    return Run(
        schedule=summary["MonitoringScheduleName"], at=summary["ScheduledTime"],
        status=summary["MonitoringExecutionStatus"], reason=summary.get("FailureReason", ""),
        job=arn.rpartition("/")[2],
    )  # fmt: skip


def _place(job: Json) -> str:
    outputs = job.get("ProcessingOutputConfig", {}).get("Outputs", [])
    uris = [one.get("S3Output", {}).get("S3Uri", "") for one in outputs]
    return next((uri.rstrip("/") for uri in uris if uri), "")


def _baseline(job: Json) -> str:
    for one in job.get("ProcessingInputs", []):
        uri = one.get("S3Input", {}).get("S3Uri", "")
        if one.get("InputName", "").startswith("stat") or uri.endswith(f"/{reports.STATISTICS}"):
            return uri
    return ""
