"""Handles `monitoring.turn`: makes an execution of every moment that has come, and takes the oldest one to its end.

Windows that were missed while nothing ran are made up for, oldest first, each once: an execution's key is its schedule
and moment, and its processing jobs are named after both, so a turn that is repeated finds what it did before. Where
labels are needed, an execution is two jobs, one after the other: labels are merged with what was captured, then judged.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from farero.base.context import Context, Principal
from farero.base.errors import Conflict, DomainError
from farero.monitoring import alerts, events, requests, sources, windows
from farero.monitoring.definitions import given_of, plan_of
from farero.monitoring.schedules import KIND
from farero.records.job import FINISHED, JobStatus
from farero.records.monitoring import Execution, ExecutionStatus, ScheduleStatus
from farero.store import jobs as job_rows
from farero.store import monitoring as rows
from farero.work import items

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.jobs.commands import ProcessingCommands
    from farero.monitoring.plans import Plan
    from farero.objects.base import ObjectStore
    from farero.records.job import Job, JobSpec
    from farero.records.monitoring import Schedule
    from farero.records.work import WorkItem
    from farero.store.engine import Store

#: Captures are in S3 within a second or two of their reply; the window is closed a little later.
SETTLE = dt.timedelta(seconds=5)
LOOK_AGAIN = dt.timedelta(seconds=1)
#: Windows of one schedule that are made up for after a long absence; older ones are left out.
MOST_MISSED = 200
_FAILED = ExecutionStatus.FAILED


class Runs:
    """Runs schedules."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        objects: ObjectStore,
        jobs: ProcessingCommands,
        settings: Settings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs
        self._settings = settings
        self._sources = sources.Sources(store, objects, settings.region)

    def turn(self, item: WorkItem) -> None:
        """Go on with the schedule `item.key`."""
        name, now = item.key, self._clock.now()
        with self._store.begin() as db:
            schedule = rows.find_schedule(db, name, lock=True)
            if schedule is not None and schedule.status is ScheduleStatus.SCHEDULED:
                schedule = self._make_due(db, schedule, now)
            execution = rows.oldest_open(db, name)
            if schedule is not None and schedule.next_at is not None:
                items.put(db, KIND, name, due=schedule.next_at + SETTLE)
        if execution is None:
            return
        self._step(execution)
        with self._store.begin() as db:
            if rows.oldest_open(db, name) is not None:
                items.put(db, KIND, name, due=self._clock.now() + LOOK_AGAIN)

    def resume(self) -> None:
        """Give every schedule a turn; for the start of the worker."""
        with self._store.begin() as db:
            for name in rows.active(db):
                items.put(db, KIND, name, due=self._clock.now())

    def _make_due(self, db: Any, schedule: Schedule, now: dt.datetime) -> Schedule:
        """Make the executions of all moments that have come, and note the next one."""
        moments: list[dt.datetime] = []
        upcoming = schedule.next_at
        while upcoming is not None and upcoming + self._settled(schedule) <= now:
            moments.append(upcoming)
            upcoming = windows.following(schedule.expression, upcoming, schedule.began_at)
        if not moments:
            return schedule
        config: dict[str, Any] = schedule.config.get("ScheduleConfig") or {}
        given = given_of(db, schedule.kind, schedule.config)
        plan = plan_of(schedule.kind, given)
        for at in moments[-MOST_MISSED:]:
            plain = windows.window(
                schedule.expression, at, schedule.began_at,
                config.get("DataAnalysisStartTime"), config.get("DataAnalysisEndTime"),
            )  # fmt: skip
            start, end = windows.shifted(at, plain, plan.start_offset, plan.end_offset)
            made = Execution(
                schedule=schedule.name, scheduled_at=at, start=start, end=end, kind=schedule.kind,
                definition=schedule.definition, endpoint=schedule.endpoint, given=given,
                created_at=now, modified_at=now,
            )  # fmt: skip
            rows.put_execution(db, made)
            events.tell_execution(db, schedule, made)
        schedule = dataclasses.replace(schedule, next_at=upcoming)
        rows.update_schedule(db, schedule)
        return schedule

    def _settled(self, schedule: Schedule) -> dt.timedelta:
        return dt.timedelta(0) if schedule.expression == windows.NOW else SETTLE

    def _step(self, execution: Execution) -> None:
        """Start what an execution needs next, or take over what became of it."""
        try:
            if execution.status is ExecutionStatus.PENDING:
                execution = self._begin(execution, self._plan(execution))
            if execution.status is ExecutionStatus.IN_PROGRESS and not execution.job:
                execution = self._look_at_merge(execution)
            if execution.job and execution.status is ExecutionStatus.IN_PROGRESS:
                self._look_at_analysis(execution)
        except DomainError as error:
            self._end(execution, _FAILED, str(error))

    def _plan(self, execution: Execution) -> Plan:
        if execution.given:
            return plan_of(execution.kind, execution.given)
        with self._store.read() as db:  # one that a release without families left
            return plan_of(
                execution.kind, rows.get_definition(db, execution.kind, execution.definition).given
            )

    def _begin(self, execution: Execution, plan: Plan) -> Execution:
        """Start the first job of an execution, or say why there is none."""
        captured = self._sources.captured(execution, plan)
        if not captured:
            return self._end(execution, _FAILED, self._sources.no_data(execution, plan))
        if not plan.ground_truth_uri:
            return self._analyze(execution, plan)
        labels = self._sources.labels(execution, plan)
        if not labels:
            return self._end(execution, _FAILED, self._sources.no_labels(execution, plan))
        spec = requests.merging(plan, captured, labels, region=self._settings.region)
        job = self._start(requests.merge_name(execution), spec, plan)
        return self._save(
            execution, status=ExecutionStatus.IN_PROGRESS, merge_job=job.name, job_arn=job.arn
        )

    def _look_at_merge(self, execution: Execution) -> Execution:
        """Go on with the analysis once labels are merged."""
        job = self._ended(execution, execution.merge_job)
        if job is None:
            return execution
        if job.status is JobStatus.FAILED:
            reason = f"Labels could not be merged with what was captured: {job.failure_reason}"
            return self._end(execution, _FAILED, reason)
        plan = self._plan(execution)
        if not self._sources.merged(execution, plan):
            reason = self._sources.no_match(execution, plan, job.exit_message or "")
            return self._end(execution, _FAILED, reason)
        return self._analyze(execution, plan)

    def _analyze(self, execution: Execution, plan: Plan) -> Execution:
        data = (
            self._sources.merged(execution, plan)
            if plan.ground_truth_uri
            else self._sources.captured(execution, plan)
        )
        extras = [*self._sources.extras(plan), *self._sources.history(execution, plan)]
        spec = requests.analyzing(execution, plan, data, extras)
        job = self._start(requests.job_name(execution), spec, plan)
        return self._save(
            execution, status=ExecutionStatus.IN_PROGRESS, job=job.name, job_arn=job.arn
        )

    def _look_at_analysis(self, execution: Execution) -> None:
        """Take over what became of the analysis."""
        job = self._ended(execution, execution.job)
        if job is None:
            return
        if job.status is JobStatus.FAILED:
            reason = self._sources.explained(execution, self._plan(execution), job.failure_reason)
            self._end(execution, _FAILED, reason)
            return
        word = (job.exit_message or "").partition(":")[0]
        with_violations = word == ExecutionStatus.WITH_VIOLATIONS.value
        status = ExecutionStatus.WITH_VIOLATIONS if with_violations else ExecutionStatus.COMPLETED
        self._end(execution, status, job.exit_message if with_violations else None)

    def _ended(self, execution: Execution, name: str) -> Job | None:
        """Return a job that ended by itself; one that is gone or was stopped ends the execution."""
        with self._store.read() as db:
            job = job_rows.processing.find(db, name)
        if job is None:
            self._end(execution, _FAILED, f"The processing job {name} is gone.")
            return None
        if job.status is JobStatus.STOPPED:
            self._end(execution, ExecutionStatus.STOPPED, None)
            return None
        return job if job.status in FINISHED else None

    def _end(self, execution: Execution, status: ExecutionStatus, reason: str | None) -> Execution:
        """Let an execution be over, and its schedule's alert know."""
        now = self._clock.now()
        made = dataclasses.replace(
            execution, status=status, failure_reason=reason[:1024] if reason else None,
            given={}, modified_at=now,
        )  # fmt: skip
        with self._store.begin() as db:
            schedule = rows.find_schedule(db, execution.schedule, lock=True)
            rows.put_execution(db, made)
            if schedule is not None:
                events.tell_execution(db, schedule, made)
                alerts.look(db, schedule, now)
        return made

    def _save(self, execution: Execution, **changes: Any) -> Execution:
        made = dataclasses.replace(execution, modified_at=self._clock.now(), **changes)
        with self._store.begin() as db:
            rows.put_execution(db, made)
            schedule = rows.find_schedule(db, made.schedule)
            if schedule is not None and made.status is not execution.status:
                events.tell_execution(db, schedule, made)
        return made

    def _start(self, name: str, spec: JobSpec, plan: Plan) -> Job:
        settings = self._settings
        principal = Principal(access_key_id="", arn=plan.role_arn, user_id="monitoring")
        ctx = Context(
            principal=principal, region=settings.region, account=settings.account, request_id="",
            now=self._clock.now(),
        )  # fmt: skip
        try:
            return self._jobs.create(ctx, name, spec, given=requests.shown(spec, plan))
        except Conflict:
            with self._store.read() as db:
                return job_rows.processing.get(db, name)
