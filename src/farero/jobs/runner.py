"""What one kind of job does at each step of the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farero.records.compute import ProcessSpec
    from farero.records.job import FinalMetric, Job


class Runner(Protocol):
    """A kind of job."""

    #: Log group of its processes.
    log_group: str
    #: What is uploaded at its end, as errors call it.
    result: str

    def environment(self, job: Job, say: Callable[[str], None]) -> Path:
        """Return the Python that the job needs, made on first need. Raises a DomainError."""
        ...

    def download(self, job: Job) -> None:
        """Lay the job's folder out anew. Raises InputError."""
        ...

    def process(self, job: Job, python: Path) -> ProcessSpec:
        """Return what to run."""
        ...

    def log_path(self, job: Job) -> Path:
        """Return where the present attempt writes its output."""
        ...

    def publish(self, job: Job) -> None:
        """Upload what the job left; repeating it changes nothing. Raises NotFound if a bucket is gone."""
        ...

    def metrics(self, job: Job) -> tuple[FinalMetric, ...]:
        """Return the last value of each metric."""
        ...

    def exit_message(self, job: Job) -> str | None:
        """Return what the container said at its end."""
        ...

    def failure_reason(self, job: Job) -> str:
        """Say why a process that exited with an error did so."""
        ...

    def remove_folder(self, job: Job) -> None:
        """Delete the job's folder and its output files."""
        ...
