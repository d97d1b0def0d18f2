"""The visible course of a job: secondary states with AWS's messages. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from farero.records.job import JobStatus, Secondary, Transition

if TYPE_CHECKING:
    import datetime as dt

    from farero.records.job import Job

#: StatusMessage of each state as the SageMaker SDK prints it after a job.
MESSAGES = {
    Secondary.STARTING: "Preparing the instances for training",
    Secondary.DOWNLOADING: "Downloading input data",
    Secondary.TRAINING: "Training image download completed. Training in progress.",
    Secondary.UPLOADING: "Uploading generated training model",
    Secondary.STOPPING: "Stopping the training job",
    Secondary.RESTARTING: "Restarting the training job: its process ended together with the platform",
    Secondary.COMPLETED: "Training job completed",
    Secondary.FAILED: "Training job failed",
    Secondary.STOPPED: "Training job stopped",
    Secondary.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
#: A job that was told to stop shows these no more.
_HIDDEN_WHILE_STOPPING = frozenset(
    {Secondary.STARTING, Secondary.DOWNLOADING, Secondary.TRAINING, Secondary.RESTARTING}
)


def enter(job: Job, state: Secondary, now: dt.datetime, *, message: str | None = None) -> Job:
    """Let the job be in `state` from `now` on; in the same state again only the message changes."""
    if job.status is JobStatus.STOPPING and state in _HIDDEN_WHILE_STOPPING:
        return dataclasses.replace(job, modified_at=now)
    text = message or MESSAGES[state]
    past = job.transitions
    if past and past[-1].status is state:
        kept = text if message else past[-1].message
        last = dataclasses.replace(past[-1], message=kept)
        return dataclasses.replace(job, transitions=(*past[:-1], last), modified_at=now)
    if past:
        past = (*past[:-1], dataclasses.replace(past[-1], end_time=now))
    return dataclasses.replace(
        job,
        secondary=state,
        transitions=(*past, Transition(status=state, message=text, start_time=now)),
        modified_at=now,
    )


def finish(job: Job, status: JobStatus, state: Secondary, now: dt.datetime) -> Job:
    """Let the job end: the last transition begins and ends now."""
    ended = enter(dataclasses.replace(job, status=status, ended_at=now), state, now)
    last = dataclasses.replace(ended.transitions[-1], end_time=now)
    return dataclasses.replace(ended, transitions=(*ended.transitions[:-1], last))
