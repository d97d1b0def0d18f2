"""One state machine for every kind of job: prepare, run, publish, clean.

A turn goes as far as it can and asks for the next one when it has to wait; the exit of a process wakes it at once.
Every step can be repeated after a crash at any point: what it did is looked up before it is done again.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING

from farero.base.errors import DomainError
from farero.compute.failures import EnvironmentFailed
from farero.jobs import events, failures
from farero.jobs.inputs import InputError
from farero.jobs.transitions import enter, finish
from farero.records.job import JobStatus, Phase, Secondary
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.base.clock import Clock
    from farero.compute.base import Compute
    from farero.jobs.runner import Runner
    from farero.records.compute import ProcessSpec, ProcessStatus
    from farero.records.job import Job
    from farero.records.work import WorkItem
    from farero.store.engine import Store
    from farero.store.jobs import JobRows
    from farero.telemetry.ship import LogShipper

log = logging.getLogger(__name__)

#: Item kinds of the two kinds of job.
KIND = "job.reconcile"
PROCESSING = "processing.reconcile"
#: A process whose exit datagram was lost is looked at this often.
LOOK_AGAIN = dt.timedelta(seconds=2)
#: Seconds between SIGTERM and SIGKILL (StopTrainingJob API reference: 120 seconds to save the model).
STOP_GRACE_S = 120.0
#: How often a job's process is started; the second time if the platform took the first one with it.
MOST_ATTEMPTS = 2
#: A step that raised this often in a row (half a minute) is given up.
MOST_FAILURES = 6


class JobLifecycle:
    """Moves jobs of one kind from what was asked for to their end."""

    def __init__(  # noqa: PLR0913 - by name
        self,
        store: Store,
        clock: Clock,
        compute: Compute,
        *,
        rows: JobRows,
        runner: Runner,
        shipper: LogShipper,
        kind: str = KIND,
    ) -> None:
        """kind: of the work items; runner: what differs from one kind of job to the other."""
        self._store = store
        self._clock = clock
        self._compute = compute
        self._rows = rows
        self._runner = runner
        self._kind = kind
        self._shipper = shipper
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def reconcile(self, item: WorkItem) -> None:
        """Take the job as far as it goes without waiting; the handler of `job.reconcile`."""
        if not self._claim(item.key):
            # A long download outlives its lease; the other turn goes on, this one looks again later.
            self._put(item.key, self._clock.now() + LOOK_AGAIN)
            return
        try:
            if item.attempts >= MOST_FAILURES:
                self._give_up(item.key)
            while self._step(item.key):
                pass
        finally:
            with self._lock:
                self._busy.discard(item.key)

    def resume(self) -> int:
        """Give every unfinished job a turn; for the start of the worker."""
        with self._store.begin() as db:
            names = self._rows.unfinished(db)
            for name in names:
                items.put(db, self._kind, name, due=self._clock.now())
        return len(names)

    def _give_up(self, name: str) -> None:
        with self._store.read() as db:
            job = self._rows.find(db, name)
        if job is not None and not job.is_finished:
            self._compute.stop(job.process_name, grace_s=0)
            self._fail(job, failures.INTERNAL)

    def _claim(self, name: str) -> bool:
        with self._lock:
            if name in self._busy:
                return False
            self._busy.add(name)
            return True

    def _step(self, name: str) -> bool:
        """Do one step; True if the next can follow at once."""
        with self._store.read() as db:
            job = self._rows.find(db, name)
        if job is None:
            return False
        match job.phase:
            case Phase.PREPARE:
                return self._prepare(job)
            case Phase.RUN:
                return self._run(job)
            case Phase.PUBLISH:
                return self._publish(job)
            case Phase.CLEAN:
                return self._clean(job)
            case Phase.DONE:
                return False

    def _prepare(self, job: Job) -> bool:
        status = self._compute.status(job.process_name)
        if status.state == "unknown":
            if job.stop_requested_at is not None:
                return self._finish(job, JobStatus.STOPPED, Secondary.STOPPED)
            try:
                spec = self._make_ready(job)
            except InputError as error:
                return self._fail(job, failures.download_failed(str(error)))
            except EnvironmentFailed as error:
                return self._fail(
                    job, failures.environment_failed(error.cause, error.detail, error.fix)
                )
            except DomainError as error:
                return self._fail(job, failures.cut(f"ClientError: {error}"))
            if spec is None:
                return True
            self._shipper.follow(
                spec.log_path, self._runner.log_group, job.log_stream, escapes_tabs=True
            )
            status = self._compute.start(spec)
        began = status.started_at or self._clock.now()
        self._update(
            job.name,
            lambda now, old: enter(
                dataclasses.replace(old, phase=Phase.RUN, started_at=old.started_at or began),
                Secondary.TRAINING,
                now,
            ),
        )
        return True

    def _make_ready(self, job: Job) -> ProcessSpec | None:
        """Bring together all that the process needs; None if the job was told to stop meanwhile."""
        python = self._runner.environment(job, lambda text: self._say(job.name, text))
        job = self._update(job.name, lambda now, old: enter(old, Secondary.DOWNLOADING, now))
        self._runner.download(job)
        with self._store.read() as db:
            if self._rows.get(db, job.name).stop_requested_at is not None:
                return None
        return self._runner.process(job, python)

    def _run(self, job: Job) -> bool:
        status = self._compute.status(job.process_name)
        if status.state == "running":
            return self._watch(job)
        # Nobody asked it to end: the platform went down and took the process with it.
        was_taken = status.exit_code == -15 and not job.stop_sent
        if status.state == "unknown" or was_taken:
            return self._lose(job)
        return self._end(job, status)

    def _watch(self, job: Job) -> bool:
        now = self._clock.now()
        deadline = (job.started_at or now) + dt.timedelta(seconds=job.spec.max_runtime_s)
        must_stop = job.stop_requested_at is not None or now >= deadline
        if must_stop and not job.stop_sent:
            # Written before it is done: an exit that we caused must never look like one that the platform caused.
            self._update(
                job.name,
                lambda now, old: _stopping(
                    dataclasses.replace(
                        old, stop_sent=True, ran_too_long=old.stop_requested_at is None
                    ),
                    now,
                ),
            )
        if must_stop:
            self._compute.stop(job.process_name, grace_s=STOP_GRACE_S)
        self._put(job.name, now + LOOK_AGAIN if must_stop else min(deadline, now + LOOK_AGAIN))
        return False

    def _end(self, job: Job, status: ProcessStatus) -> bool:
        self._update(
            job.name,
            lambda now, old: enter(
                dataclasses.replace(
                    old,
                    phase=Phase.PUBLISH,
                    exit_code=status.exit_code,
                    out_of_memory=status.out_of_memory,
                ),
                Secondary.UPLOADING,
                now,
            ),
        )
        return True

    def _lose(self, job: Job) -> bool:
        self._shipper.finish(self._runner.log_path(job))
        if job.stop_requested_at is not None or job.stop_sent:
            self._update(
                job.name,
                lambda now, old: enter(
                    dataclasses.replace(old, phase=Phase.PUBLISH), Secondary.UPLOADING, now
                ),
            )
            return True
        if job.attempt >= MOST_ATTEMPTS:
            return self._fail(job, failures.PROCESS_LOST)
        log.warning("job restarted", extra={"job": job.name, "attempt": job.attempt + 1})
        self._compute.forget(job.process_name)
        self._update(
            job.name,
            lambda now, old: enter(
                dataclasses.replace(
                    old, phase=Phase.PREPARE, attempt=job.attempt + 1, started_at=None
                ),
                Secondary.RESTARTING,
                now,
            ),
        )
        return True

    def _publish(self, job: Job) -> bool:
        self._shipper.finish(self._runner.log_path(job))
        try:
            self._runner.publish(job)
        except DomainError as error:
            return self._fail(
                job, failures.cut(f"ClientError: Failed to upload {self._runner.result}: {error}")
            )
        if job.ran_too_long:
            return self._finish(job, JobStatus.STOPPED, Secondary.MAX_RUNTIME_EXCEEDED)
        if job.status is JobStatus.STOPPING:
            return self._finish(job, JobStatus.STOPPED, Secondary.STOPPED)
        if job.out_of_memory:
            return self._fail(job, failures.out_of_memory(job.spec.instance_type))
        if job.exit_code != 0:
            return self._fail(job, self._runner.failure_reason(job))
        return self._finish(job, JobStatus.COMPLETED, Secondary.COMPLETED)

    def _clean(self, job: Job) -> bool:
        self._shipper.finish(self._runner.log_path(job))
        self._compute.forget(job.process_name)
        self._runner.remove_folder(job)
        self._update(job.name, lambda _, old: dataclasses.replace(old, phase=Phase.DONE))
        return False

    def _fail(self, job: Job, reason: str) -> bool:
        log.info("job failed", extra={"job": job.name, "reason": reason})
        return self._finish(job, JobStatus.FAILED, Secondary.FAILED, reason=reason)

    def _finish(
        self, job: Job, status: JobStatus, secondary: Secondary, *, reason: str | None = None
    ) -> bool:
        ran = job.started_at is not None
        metrics = self._runner.metrics(job) if ran else ()
        said = self._runner.exit_message(job) if ran else None
        self._update(
            job.name,
            lambda now, old: finish(
                dataclasses.replace(
                    old,
                    metrics=metrics,
                    failure_reason=reason,
                    exit_message=said,
                    phase=Phase.CLEAN,
                ),
                status,
                secondary,
                now,
            ),
        )
        return True

    def _say(self, name: str, text: str) -> None:
        self._update(name, lambda now, old: enter(old, Secondary.STARTING, now, message=text))

    def _put(self, name: str, due: dt.datetime) -> None:
        with self._store.begin() as db:
            items.put(db, self._kind, name, due=due)

    def _update(self, name: str, change: Callable[[dt.datetime, Job], Job]) -> Job:
        """Change the row as it is now, not as it was read: somebody may have asked for a stop since."""
        now = self._clock.now()
        with self._store.begin() as db:
            before = self._rows.get_locked(db, name)
            job = change(now, before)
            self._rows.update(db, job)
            events.tell_change(db, before, job, now)
        return job


def _stopping(job: Job, now: dt.datetime) -> Job:
    return enter(
        dataclasses.replace(job, status=JobStatus.STOPPING, modified_at=now),
        Secondary.STOPPING,
        now,
    )
