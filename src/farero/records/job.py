"""A job: something that runs to its end, be it training or processing."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobStatus(StrEnum):
    """AWS's TrainingJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class Secondary(StrEnum):
    """AWS's SecondaryStatus: what exactly happens at the moment."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    #: The process was lost with the platform and is started again.
    RESTARTING = "Restarting"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"


class Phase(StrEnum):
    """Where the state machine stands; unlike the status it is not shown to anyone."""

    #: Environment, inputs and configuration are being brought together.
    PREPARE = "prepare"
    #: The process has been started.
    RUN = "run"
    #: The process has ended (or never began); results are being saved.
    PUBLISH = "publish"
    #: The outcome is decided and written; folder and process are being cleared away.
    CLEAN = "clean"
    #: Nothing is left to do.
    DONE = "done"


#: No way leads out of these.
FINISHED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line of SecondaryStatusTransitions."""

    status: Secondary
    message: str
    start_time: dt.datetime
    end_time: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMetric:
    """The last value of one metric found in the log."""

    name: str
    value: float
    timestamp: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One input of a training job."""

    name: str
    s3_uri: str
    #: `S3Prefix` or `ManifestFile`.
    data_type: str = "S3Prefix"
    distribution: str = "FullyReplicated"
    #: Absent when the caller gave none.
    content_type: str | None = None
    #: `None` or `Gzip`, in AWS's spelling.
    compression: str = "None"
    record_wrapper: str = "None"
    input_mode: str = "File"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """Where a metric stands in the log: a pattern with one group."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a processing job."""

    name: str
    s3_uri: str
    #: Folder as the container sees it.
    local_path: str
    data_type: str = "S3Prefix"
    compression: str = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a processing job."""

    name: str
    s3_uri: str
    local_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What to run, on what, and where the result goes."""

    image: str
    #: Where a training job's model goes; a processing job has `outputs`.
    output_uri: str = ""
    role_arn: str
    instance_type: str
    max_runtime_s: int
    instance_count: int = 1
    hyperparameters: dict[str, str] = field(default_factory=dict[str, str])
    channels: tuple[Channel, ...] = ()
    #: `GZIP` (one archive) or `NONE` (plain files).
    output_compression: str = "GZIP"
    environment: dict[str, str] = field(default_factory=dict[str, str])
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    metrics: tuple[MetricDefinition, ...] = ()
    checkpoint_uri: str | None = None
    #: Folder of checkpoints as the container sees it.
    checkpoint_path: str = "/opt/ml/checkpoints"
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job from its creation to its end."""

    name: str
    arn: str
    spec: JobSpec
    #: Members of the create request that describe shows as they were given, under AWS's names.
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    status: JobStatus = JobStatus.IN_PROGRESS
    secondary: Secondary = Secondary.STARTING
    transitions: tuple[Transition, ...] = ()
    created_at: dt.datetime
    modified_at: dt.datetime
    #: When the process began; None while it has not.
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    failure_reason: str | None = None
    metrics: tuple[FinalMetric, ...] = ()
    phase: Phase = Phase.PREPARE
    #: Raised each time the process has to be started anew; part of the process's name.
    attempt: int = 1
    stop_requested_at: dt.datetime | None = None
    #: The process has been asked to end.
    stop_sent: bool = False
    #: The run-time limit ended it.
    ran_too_long: bool = False
    exit_code: int | None = None
    out_of_memory: bool = False
    #: What a processing job's container said at its end.
    exit_message: str | None = None

    @property
    def is_finished(self) -> bool:
        """Say whether nothing will change any more."""
        return self.status in FINISHED

    @property
    def log_stream(self) -> str:
        """Stream of the present attempt: `<job>/algo-1-<epoch seconds>`."""
        return f"{self.name}/algo-1-{int(self.created_at.timestamp()) + self.attempt - 1}"

    @property
    def process_name(self) -> str:
        """Name of the present attempt in the process seam."""
        kind = "processing" if ":processing-job/" in self.arn else "job"
        return f"{kind}/{self.name}/{self.attempt}"
