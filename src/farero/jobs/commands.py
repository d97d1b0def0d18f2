"""What a caller can ask of jobs: create, stop, delete. Each writes the row and its work item in one transaction."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero.base.arns import parse_s3_uri, sagemaker_arn
from farero.base.errors import Conflict, Invalid, NotFound
from farero.jobs import events, metrics, processing
from farero.jobs.inputs import InputError, list_sources
from farero.jobs.lifecycle import KIND, PROCESSING
from farero.jobs.transitions import enter
from farero.records.job import Channel, Job, JobStatus, Phase, Secondary
from farero.store import jobs as rows
from farero.store import tags as tag_rows
from farero.work import items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from farero.base.context import Context
    from farero.objects.base import ObjectStore
    from farero.records.job import JobSpec
    from farero.records.tag import Tag
    from farero.store.engine import Store


class JobCommands:
    """Creates and stops training jobs; what is the same for other kinds takes it from the class."""

    rows = rows.training
    item_kind = KIND
    arn_kind = "training-job"

    def __init__(self, store: Store, objects: ObjectStore, poke: Callable[[], None]) -> None:
        self._store = store
        self._objects = objects
        self._poke = poke

    def create(
        self,
        ctx: Context,
        name: str,
        spec: JobSpec,
        *,
        given: dict[str, Any],
        tags: Sequence[Tag] = (),
    ) -> Job:
        """Accept a job.

        given: the members of the request that describe returns untouched.

        Raises Invalid for what cannot run, Conflict if the name was ever used.
        """
        self._check(spec)
        arn = sagemaker_arn(ctx.region, ctx.account, self.arn_kind, name)
        job = Job(
            name=name, arn=arn, spec=spec, given=given, created_at=ctx.now, modified_at=ctx.now
        )
        job = enter(job, Secondary.STARTING, ctx.now, message=_first_message(spec))
        with self._store.begin() as db:
            self.rows.insert(db, job)
            tag_rows.put(db, arn, tags)
            events.tell_change(db, None, job, ctx.now)
            items.put(db, self.item_kind, name, due=ctx.now)
        self._poke()
        return job

    def stop(self, name: str, now: dt.datetime) -> None:
        """Ask a running job to end; asking again changes nothing.

        Raises NotFound, or Invalid if the job has ended already.
        """
        with self._store.begin() as db:
            job = self.rows.get_locked(db, name)
            if job.is_finished:
                raise Invalid(
                    f"The request was rejected because the {self.rows.kind} is in status {job.status}."
                )
            if job.stop_requested_at is None:
                stopping = dataclasses.replace(
                    job, status=JobStatus.STOPPING, stop_requested_at=now
                )
                stopping = enter(stopping, Secondary.STOPPING, now)
                self.rows.update(db, stopping)
                events.tell_change(db, job, stopping, now)
            items.put(db, self.item_kind, name, due=now)
        self._poke()

    def delete(self, name: str) -> None:
        """Forget a job that has ended. Raises NotFound, or Conflict while it runs."""
        with self._store.begin() as db:
            job = self.rows.get_locked(db, name)
            if not job.is_finished or job.phase is not Phase.DONE:
                raise Conflict(
                    self.rows.kind,
                    name,
                    f"Cannot delete {self.rows.kind} {name} while it is in status {job.status}; stop it first.",
                )
            self.rows.delete(db, name)
            tag_rows.remove_all(db, job.arn)

    def _check(self, spec: JobSpec) -> None:
        metrics.check(spec.metrics)
        counts = Counter(channel.name for channel in spec.channels)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise Invalid(f"Duplicate channel name: {twice[0]}. Channel names must be unique.")
        if not spec.checkpoint_path.startswith("/opt/ml/"):
            raise Invalid(
                f"CheckpointConfig.LocalPath '{spec.checkpoint_path}' must lie below /opt/ml/"
            )
        check_bucket(self._objects, spec.output_uri, "OutputDataConfig.S3OutputPath")
        if spec.checkpoint_uri is not None:
            check_bucket(self._objects, spec.checkpoint_uri, "CheckpointConfig.S3Uri")
        for channel in spec.channels:
            self._check_data(channel, spec.role_arn)

    def _check_data(self, channel: Channel, role_arn: str) -> None:
        """Look for data at once, as SageMaker does, with its words."""
        if channel.data_type != "S3Prefix":
            return
        bucket, _ = parse_s3_uri(channel.s3_uri)
        try:
            found = next(iter(list_sources(self._objects, channel)), None)
        except InputError:
            found = None
        if found is None:
            raise Invalid(
                f'No S3 objects found under S3 URL "{channel.s3_uri}" given in input data source. '
                "Please ensure that the bucket exists in the selected region, that objects exist under that S3 "
                f'prefix, and that the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
            )


def _first_message(spec: JobSpec) -> str:
    text = "Starting the training job"
    if spec.instance_count == 1:
        return text
    return f"{text} on 1 host of the {spec.instance_count} asked for: this machine is one host"


class ProcessingCommands(JobCommands):
    """Creates and stops processing jobs."""

    rows = rows.processing
    item_kind = PROCESSING
    arn_kind = "processing-job"

    def _check(self, spec: JobSpec) -> None:
        processing.framework_of(spec)
        for entry in (*spec.inputs, *spec.outputs):
            processing.inside(Path("/"), entry.local_path)
        for output in spec.outputs:
            check_bucket(self._objects, output.s3_uri, f"ProcessingOutput {output.name}")
        for entry in spec.inputs:
            self._check_data(
                Channel(name=entry.name, s3_uri=entry.s3_uri, data_type=entry.data_type),
                spec.role_arn,
            )


def check_bucket(objects: ObjectStore, uri: str, member: str) -> None:
    """Raise Invalid, naming the member of the request, if the bucket of `uri` is not there."""
    bucket, _ = parse_s3_uri(uri)
    try:
        next(iter(objects.list(bucket, "")), None)
    except NotFound as error:
        raise Invalid(
            f"Could not find the bucket '{bucket}' of {member}. Create it first: aws s3 mb s3://{bucket}"
        ) from error
