"""Looks at a schedule when it is made: what is certainly wrong is refused, what is likely wrong is told in its log.

The log is group `/farero/MonitoringSchedules`, a stream a schedule: no call of AWS's has a place for such a line.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import msgspec

from farero.base.arns import parse_s3_uri
from farero.base.errors import Conflict, DomainError, Invalid, NotFound
from farero.jobs import processing
from farero.jobs.commands import check_bucket
from farero.monitoring import captured, columns
from farero.monitoring.sources import Sources
from farero.records.job import FINISHED, JobSpec
from farero.records.monitoring import MonitoringType
from farero.records.telemetry import NewLogEvent
from farero.store import jobs as job_rows

if TYPE_CHECKING:
    import datetime as dt

    from farero.monitoring.plans import Plan
    from farero.objects.base import ObjectStore
    from farero.store.engine import Store
    from farero.telemetry.logs import Logs

log = logging.getLogger(__name__)

LOG_GROUP = "/farero/MonitoringSchedules"
#: Longer constraints are left to the analyzer.
_LIMIT_BYTES = 32 * 1024 * 1024


class Checks:
    """Checks a plan against what is there."""

    def __init__(self, store: Store, objects: ObjectStore, logs: Logs, region: str) -> None:
        self._store = store
        self._objects = objects
        self._logs = logs
        self._sources = Sources(store, objects, region)

    def certain(self, plan: Plan) -> None:
        """Raise Invalid for what can never run: image, endpoint, capture, buckets, baseline, scripts."""
        processing.framework_of(
            JobSpec(
                image=plan.image, role_arn=plan.role_arn, entrypoint=plan.entrypoint,
                instance_type="", max_runtime_s=plan.max_runtime_s,
            )
        )  # fmt: skip
        try:
            where = self._sources.place(plan, live=True)
        except NotFound as error:
            raise Invalid(str(error)) from error
        check_bucket(self._objects, f"s3://{where.bucket}", "the captured data")
        check_bucket(self._objects, plan.output_uri, "MonitoringOutputs")
        if plan.ground_truth_uri:
            check_bucket(self._objects, plan.ground_truth_uri, "GroundTruthS3Input")
        for uri, member in (
            (plan.config_uri, "ConfigUri"),
            (plan.preprocessor, "RecordPreprocessorSourceUri"),
            (plan.postprocessor, "PostAnalyticsProcessorSourceUri"),
        ):
            if uri is not None:
                self._check_object(uri, member)
        self._check_baseline(plan)

    def tell_likely(self, schedule: str, plan: Plan, now: dt.datetime) -> None:
        """Write into the schedule's log what is likely wrong with its columns; nothing if all is well."""
        try:
            text = self._mismatch(plan, now)
        except DomainError as error:
            log.warning("columns not checked", extra={"schedule": schedule, "reason": str(error)})
            return
        if text is None:
            return
        log.warning("columns differ", extra={"schedule": schedule, "reason": text})
        with suppress(Conflict):
            self._logs.create_group(LOG_GROUP, {})
        with suppress(Conflict):
            self._logs.create_stream(LOG_GROUP, schedule)
        event = NewLogEvent(timestamp_ms=int(now.timestamp() * 1000), message=f"WARNING {text}")
        self._logs.put_events(LOG_GROUP, schedule, [event])

    def _mismatch(self, plan: Plan, now: dt.datetime) -> str | None:
        """Compare the baseline's columns with the newest captured record; None if they agree or one is not there."""
        if plan.kind is not MonitoringType.DATA_QUALITY or plan.batch_uri or plan.preprocessor:
            return None
        uri, _ = self._sources.baseline(plan)
        names = self._names(uri) if uri is not None and self._sources.is_there(uri) else None
        if not names:
            return None
        lines = captured.newest_lines(self._objects, self._sources.place(plan), now)
        for line in reversed(lines):
            found = columns.of_record(line)
            if found is not None:
                return columns.mismatch(names, found)
        return None

    def _names(self, uri: str) -> list[str] | None:
        """Return the columns of a baseline of data quality; None if it is too long to look at. Raises Invalid."""
        document = self._json(uri)
        if document is None:
            return None
        features = document.get("features")
        if not isinstance(features, list):
            raise Invalid(
                f"The constraints {uri} have no list of features: no baseline of data quality."
            )
        found = cast("list[object]", features)
        return [
            str(cast("dict[str, object]", one).get("name", ""))
            for one in found
            if isinstance(one, dict)
        ]

    def _json(self, uri: str) -> dict[str, object] | None:
        """Return a JSON object in S3; None if it is too long to look at. Raises Invalid, NotFound."""
        bucket, key = parse_s3_uri(uri)
        if self._objects.head(bucket, key).size_bytes > _LIMIT_BYTES:
            return None
        with self._objects.open(bucket, key) as body:
            content = body.read()
        try:
            return msgspec.json.decode(content, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Invalid(f"The constraints {uri} are no JSON object: {error}") from error

    def _check_baseline(self, plan: Plan) -> None:
        if plan.baselining_job is not None:
            with self._store.read() as db:
                job = job_rows.processing.find(db, plan.baselining_job)
            if job is None:
                raise Invalid(
                    f"Could not find the processing job {plan.baselining_job} of BaseliningJobName."
                )
            if job.status not in FINISHED:
                return  # what it will write cannot be looked at yet
        constraints, statistics = self._sources.baseline(plan)
        for uri, member in (
            (constraints, "ConstraintsResource"),
            (statistics, "StatisticsResource"),
        ):
            if uri is not None:
                self._check_object(uri, member)
        if constraints is None or not self._sources.is_there(constraints):
            return
        if plan.kind is MonitoringType.DATA_QUALITY:
            self._names(constraints)
        else:
            self._json(constraints)

    def _check_object(self, uri: str, member: str) -> None:
        if self._sources.is_there(uri):
            return
        bucket, key = parse_s3_uri(uri)
        with suppress(NotFound):
            if next(iter(self._objects.list(bucket, f"{key.rstrip('/')}/")), None) is not None:
                return  # a folder stands for the one file in it
        raise Invalid(f"Could not find {uri} of {member}.")
