"""What a training job's MetricDefinitions find in its log, told to CloudWatch in the transaction that stores the lines.

So each value is told once, whoever is killed when: event, value and the place in the followed file move together.
CloudWatch keeps such values by the second ("Use Amazon CloudWatch Metrics for Monitoring and Analyzing Training Jobs").
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING

from farero.jobs.metrics import scanner_of
from farero.records.metrics import Datum, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from farero.jobs.metrics import MetricScanner
    from farero.records.telemetry import NewLogEvent
    from farero.store.engine import Store
    from farero.store.jobs import JobRows

#: Log group and namespace have one name.
NAMESPACE = "/aws/sagemaker/TrainingJobs"
_CACHED = 1000


class AlgorithmMetrics:
    """Reads the lines of training jobs as they come."""

    def __init__(
        self,
        store: Store,
        rows: JobRows,
        put: Callable[[Connection, Sequence[Datum]], object],
    ) -> None:
        """put: writes values of metrics in the caller's transaction."""
        self._store = store
        self._rows = rows
        self._put = put
        # A job's definitions never change, and no two attempts of any job share a stream.
        self._scanner = lru_cache(_CACHED)(self._find_scanner)

    def read(self, db: Connection, group: str, stream: str, events: Sequence[NewLogEvent]) -> None:
        """Tell what is found in new lines, in the transaction that stores them."""
        if group != NAMESPACE or (scanner := self._scanner(stream)) is None:
            return
        dimensions = {"TrainingJobName": _job(stream)}
        found = [
            Datum(
                metric=Metric.of(NAMESPACE, name, dimensions),
                at=dt.datetime.fromtimestamp(event.timestamp_ms / 1000, dt.UTC),
                values=(value,),
                resolution=1,
            )
            for event in events
            for name, value in scanner.values(event.message)
        ]
        if found:
            self._put(db, found)

    def _find_scanner(self, stream: str) -> MetricScanner | None:
        with self._store.read() as db:
            job = self._rows.find(db, _job(stream))
        return None if job is None else scanner_of(job.spec)


def _job(stream: str) -> str:
    """Return the job of a stream `<job>/algo-1-<epoch seconds>`."""
    return stream.partition("/")[0]
