"""What the jobs of an execution read, and how it is told that there is nothing to read.

That is told with AWS's words, the window that was looked at, and when the last record came.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from farero.base.arns import parse_s3_uri
from farero.base.errors import NotFound
from farero.monitoring import captured, requests
from farero.records.job import Input
from farero.records.monitoring import MonitoringType
from farero.store import endpoints as endpoint_rows
from farero.store import jobs as job_rows
from farero.store import monitoring as rows

if TYPE_CHECKING:
    from farero.monitoring.captured import Folder, Place
    from farero.monitoring.plans import Plan
    from farero.objects.base import ObjectStore
    from farero.records.monitoring import Execution
    from farero.store.engine import Store

#: Rows of the baseline beside its statistics, for correlations.
SAMPLE = "baseline.sample"
#: What was learned of a baseline with labels, for estimates of quality without them.
ESTIMATE = "baseline.estimate"
#: The calibrated verdict, and of how many windows before it is read.
REPORT, REMEMBERED = "drift_report.json", 30
#: Where a batch transform job leaves manifests of its outputs, below what DataCaptureConfig names.
OUTPUTS = "output"
_CLARIFY = (MonitoringType.MODEL_BIAS, MonitoringType.MODEL_EXPLAINABILITY)


class Sources:
    """Finds them in S3."""

    def __init__(self, store: Store, objects: ObjectStore, region: str) -> None:
        self._store = store
        self._objects = objects
        self._region = region

    def captured(self, execution: Execution, plan: Plan) -> list[Folder]:
        """Return the folders with what was captured in the window. Raises NotFound: no endpoint, capture or bucket."""
        found: list[Folder] = []
        if _of_outputs(plan):
            where = captured.place(f"{plan.batch_uri.rstrip('/')}/{OUTPUTS}")
            found += captured.manifests(self._objects, where, execution.start, execution.end)
        where = self.place(plan)
        return [*found, *captured.folders(self._objects, where, execution.start, execution.end)]

    def labels(self, execution: Execution, plan: Plan) -> list[Folder]:
        """Return the folders of labels collected from the window's start up to the run: they come late."""
        where = captured.place(plan.ground_truth_uri)
        until = max(execution.end, execution.scheduled_at) + dt.timedelta(seconds=1)
        return captured.folders(self._objects, where, execution.start, until)

    def merged(self, execution: Execution, plan: Plan) -> list[Folder]:
        """Return the folders of the window that hold records with their labels."""
        where = captured.place(requests.merge_root(plan), plan.endpoint)
        start = execution.start.replace(minute=0, second=0, microsecond=0)
        return captured.folders(self._objects, where, start, execution.end)

    def extras(self, plan: Plan) -> list[Input]:
        """Return baseline, configuration and scripts. Raises NotFound: the baselining job."""
        found: list[Input] = []
        constraints, statistics = self.baseline(plan)
        base = requests.BASELINE
        if constraints is not None:
            found.append(Input(name="constraints", s3_uri=constraints, local_path=f"{base}/constraints"))  # fmt: skip
            for name, file in (("sample", SAMPLE), ("estimate", ESTIMATE)):
                uri = f"{constraints.rpartition('/')[0]}/{file}"
                if self.is_there(uri):
                    found.append(Input(name=name, s3_uri=uri, local_path=f"{base}/{name}"))
        if statistics is not None:
            found.append(Input(name="stats", s3_uri=statistics, local_path=f"{base}/stats"))
        if plan.config_uri is not None:
            found.append(Input(name="analysis_config", s3_uri=plan.config_uri, local_path=requests.CONFIG))  # fmt: skip
        for uri, name in (
            (plan.preprocessor, "record_preprocessor_script"),
            (plan.postprocessor, "post_analytics_processor_script"),
        ):
            if uri is not None:
                found.append(Input(name=name, s3_uri=uri, local_path=f"{requests.INPUT}/{name}_input"))  # fmt: skip
        return found

    def history(self, execution: Execution, plan: Plan) -> list[Input]:
        """Return the reports of the windows before: they are drawn, and a notice needs two windows of three."""
        if plan.kind in _CLARIFY:
            return []
        with self._store.read() as db:
            before = rows.judged_before(
                db, execution.schedule, execution.scheduled_at, limit=REMEMBERED
            )
        uris = [f"{requests.report_uri(one, plan)}/{REPORT}" for one in before]
        there = [uri for uri in uris if self.is_there(uri)]
        return [
            Input(name=f"history_{number}", s3_uri=uri, local_path=f"{requests.HISTORY}/{number}")
            for number, uri in enumerate(there, 1)
        ]

    def baseline(self, plan: Plan) -> tuple[str | None, str | None]:
        """Return where constraints and statistics lie; None for what there is none of. Raises NotFound."""
        constraints, statistics = plan.constraints_uri, plan.statistics_uri
        if plan.baselining_job is None:
            return constraints, statistics
        with self._store.read() as db:
            job = job_rows.processing.get(db, plan.baselining_job)
        folder = job.spec.outputs[0].s3_uri.rstrip("/") if job.spec.outputs else ""
        if plan.kind in _CLARIFY:
            return constraints or f"{folder}/analysis.json", None
        if plan.kind is MonitoringType.DATA_QUALITY:
            statistics = statistics or f"{folder}/statistics.json"
        return constraints or f"{folder}/constraints.json", statistics

    def place(self, plan: Plan, *, live: bool = False) -> Place:
        """Return where captures lie. Raises NotFound for an endpoint that is gone or was never told to capture.

        live: also for one whose capture is switched off.
        """
        if plan.batch_uri:
            return captured.place(plan.batch_uri)
        with self._store.read() as db:
            found = endpoint_rows.find(db, plan.endpoint)
        if found is None:
            raise NotFound("endpoint", plan.endpoint, f'Could not find endpoint "{plan.endpoint}".')
        fleet = found.current or found.pending
        capture = fleet.capture if fleet else None
        if not capture or (live and not capture.get("EnableCapture", True)):
            raise NotFound(
                "capture", plan.endpoint,
                f"Endpoint {plan.endpoint} captures nothing. Update it with a config that has DataCaptureConfig.",
            )  # fmt: skip
        return captured.place(str(capture["DestinationS3Uri"]), plan.endpoint)

    def no_data(self, execution: Execution, plan: Plan) -> str:
        """Say that nothing was captured in the window."""
        where = self.place(plan)
        return f"{self._aws_words(where, plan)} {self.window(execution, plan)}"

    def no_labels(self, execution: Execution, plan: Plan) -> str:
        """Say that no labels are there for the window."""
        where = captured.place(plan.ground_truth_uri)
        until = max(execution.end, execution.scheduled_at)
        return (
            f"{self._aws_words(where, plan)} Labels were looked for in the folders yyyy/mm/dd/HH of the hours "
            f"{execution.start:%Y-%m-%dT%H:00Z} to {until:%Y-%m-%dT%H:00Z}; the hour is when a label was collected."
        )

    def no_match(self, execution: Execution, plan: Plan, said: str) -> str:
        """Say that labels and records do not belong together."""
        if plan.batch_uri:
            return (
                f"No row that batch transform jobs begun from {execution.start:%Y-%m-%dT%H:%M:%SZ} to "
                f"{execution.end:%Y-%m-%dT%H:%M:%SZ} left has a label below {plan.ground_truth_uri}. A label's "
                f"eventMetadata.eventId must be the inference id that the job appended to its row. {said}"
            ).strip()
        return (
            f"No record that endpoint {plan.endpoint} captured from {execution.start:%Y-%m-%dT%H:%M:%SZ} to "
            f"{execution.end:%Y-%m-%dT%H:%M:%SZ} has a label below {plan.ground_truth_uri}. A label's "
            f"eventMetadata.eventId must be the inferenceId of its record, or its eventId where it has none. {said}"
        ).strip()

    def explained(self, execution: Execution, plan: Plan, reason: str | None) -> str | None:
        """Add window and last record to a job's words, where it found no data."""
        words = reason or ""
        nothing = any(text in words for text in ("no record", "No record", "no data", "No data"))
        return f"{words.rstrip()} {self.window(execution, plan)}" if nothing else reason

    def window(self, execution: Execution, plan: Plan) -> str:
        """Say which window was looked at, and when the last record before it came."""
        start, end = execution.start, execution.end
        text = f"The window was {start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}."
        try:
            last = captured.find_last(self._objects, self.place(plan), start)
            if last is None and _of_outputs(plan):
                where = captured.place(f"{plan.batch_uri.rstrip('/')}/{OUTPUTS}")
                last = captured.find_last(self._objects, where, start)
        except NotFound:
            return text
        if last is None:
            return f"{text} No record came before it."
        return f"{text} The last record before it came at {last:%Y-%m-%dT%H:%M:%SZ}."

    def is_there(self, uri: str) -> bool:
        """Say whether there is an object."""
        bucket, key = parse_s3_uri(uri)
        try:
            self._objects.head(bucket, key)
        except NotFound:
            return False
        return True

    def _aws_words(self, where: Place, plan: Plan) -> str:
        return (
            f'No S3 objects found under S3 URL "{where.uri}" given in input data source. Please ensure that the '
            f"bucket exists in the selected AWS region ({self._region}), that objects exist under that S3 prefix, "
            f'and that the role "{plan.role_arn}" has "s3:ListBucket" permissions on bucket "{where.bucket}".'
        )


def _of_outputs(plan: Plan) -> bool:
    """Say whether a plan judges what batch transform jobs answered, and not what they were sent."""
    return bool(plan.batch_uri and plan.ground_truth_uri)
