"""What one kind of job does at each step of the state machine, and what all kinds do alike."""

from __future__ import annotations

import dataclasses
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from farero.jobs import files
from farero.records.compute import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from farero.base.config import Settings
    from farero.compute.pythons import Pythons
    from farero.objects.base import ObjectStore
    from farero.records.job import FinalMetric, Job


class Runner(ABC):
    """A kind of job: everything about one attempt except when it happens."""

    #: Log group of its processes.
    log_group: str
    #: What is uploaded at its end, as errors call it.
    result: str
    #: Name of its folders.
    place: str
    #: Kind of the work item that goes on with a job.
    item_kind: str

    def __init__(
        self,
        settings: Settings,
        objects: ObjectStore,
        pythons: Pythons,
        *,
        credentials: Callable[[str], Mapping[str, str]],
        memory_bytes: int | None = None,
    ) -> None:
        """memory_bytes: what one job may take; None means nine tenths of the machine's."""
        self._settings = settings
        self._objects = objects
        self._pythons = pythons
        #: Role ARN → the AWS_… variables with which the job's own calls are signed.
        self._credentials = credentials
        self._memory_bytes = memory_bytes or files.machine_memory_bytes() * 9 // 10

    @abstractmethod
    def environment(self, job: Job, say: Callable[[str], None]) -> Path:
        """Return the Python that the job needs, made on first need. Raises a DomainError."""

    @abstractmethod
    def download(self, job: Job) -> None:
        """Lay the job's folder out anew. Raises InputError."""

    @abstractmethod
    def publish(self, job: Job) -> None:
        """Upload what the job left; repeating it changes nothing. Raises NotFound if a bucket is gone."""

    @abstractmethod
    def metrics(self, job: Job) -> tuple[FinalMetric, ...]:
        """Return the last value of each metric."""

    @abstractmethod
    def exit_message(self, job: Job) -> str | None:
        """Return what the container said at its end."""

    @abstractmethod
    def failure_reason(self, job: Job) -> str:
        """Say why a process that exited with an error did so."""

    @abstractmethod
    def command(self, job: Job, python: Path) -> tuple[str, ...]:
        """Return what to run, as argv."""

    @abstractmethod
    def variables(self, job: Job, python: Path) -> dict[str, str]:
        """Return the environment of the process."""

    def folder(self, job: Job) -> Path:
        """Return what the process sees as /opt/ml."""
        return self._settings.work_dir / self.place / job.name / "ml"

    def log_path(self, job: Job) -> Path:
        """Return where the present attempt writes its output."""
        return self._settings.logs_dir / self.place / f"{job.name}-{job.attempt}.log"

    def process(self, job: Job, python: Path) -> ProcessSpec:
        """Return the process to start."""
        base, log_path = self.folder(job), self.log_path(job)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        return ProcessSpec(
            name=job.process_name,
            argv=self.command(job, python),
            env=self.variables(job, python),
            cwd=base,
            opt_ml=base,
            log_path=log_path,
            memory_bytes=self._memory_bytes,
            wake=f"{self.item_kind} {job.name}",
        )

    def remove_folder(self, job: Job) -> None:
        """Delete the job's folder and its output files, whose lines are log events by now."""
        shutil.rmtree(self.folder(job).parent, ignore_errors=True)
        for attempt in range(1, job.attempt + 1):
            self.log_path(dataclasses.replace(job, attempt=attempt)).unlink(missing_ok=True)
