"""CloudWatch alone behind the real wire, with a worker and the time in the test's hand."""

import datetime as dt
import json

import pytest
import sqlalchemy as sa

from farero.aws.services.cloudwatch import CloudWatch
from farero.aws.services.cloudwatch.alarms import AlarmFamily
from farero.aws.services.cloudwatch.anomaly import AnomalyFamily
from farero.aws.services.cloudwatch.metrics import MetricFamily
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.store.tables.outbox import outbox
from farero.telemetry.alarms.anomaly import Bands, Detectors
from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.work import items
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

METRIC = {
    "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"


class Room:
    """The room, its client, and what its alarms have told."""

    def __init__(self, store, clock, client_of):
        self.store, self.clock = store, clock
        self.metrics = Metrics(store, clock)
        self.queries = queries = MetricQueries(self.metrics, Bands(store, clock).band)
        self.alarms = Alarms(store, clock, self.metrics, queries)
        families = (
            MetricFamily(self.metrics, queries),
            AlarmFamily(self.alarms, queries),
            AnomalyFamily(Detectors(store, clock, queries)),
        )
        self.client = client_of(CloudWatch(families))
        handlers = {
            EVALUATE: self.alarms.evaluate,
            TURN: self.alarms.turn,
            DISPATCH: lambda _item: None,
        }
        self.worker = Worker(store, clock, handlers)

    def put_alarm(self, name="a", **changes):
        self.client.put_metric_alarm(AlarmName=name, **METRIC | changes)

    def put_value(self, value, name="Errors", *, ago=0.0):
        at = self.clock.now() - dt.timedelta(seconds=ago)
        self.metrics.put([Datum(metric=Metric.of("Shop", name, {}), at=at, values=(value,))])

    def set_state(self, name, state):
        self.client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="trial")
        self.worker.run_due()

    def pass_time(self, seconds):
        """Let time pass, doing what falls due as a worker would."""
        end = self.clock.now() + dt.timedelta(seconds=seconds)
        while self.clock.now() < end:
            with self.store.read() as db:
                due = items.next_due(db) or end
            step = min(max(due, self.clock.now()), end) - self.clock.now()
            self.clock.advance(seconds=step.total_seconds())
            self.worker.run_due()

    def told(self):
        """Return what stands in the outbox, in order: (kind, its message), and empty it."""
        with self.store.begin() as db:
            rows = db.execute(sa.select(outbox).order_by(outbox.c.id)).all()
            db.execute(sa.delete(outbox))
        payloads = [(row.kind, json.loads(row.payload)) for row in rows]
        return [(kind, json.loads(one["Message"])) for kind, one in payloads]

    def described(self, name="a"):
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = self.client.describe_alarms(AlarmNames=[name], AlarmTypes=kinds)
        [alarm] = found["MetricAlarms"] + found["CompositeAlarms"]
        return alarm


@pytest.fixture
def store(tmp_path):
    """An empty SQLite; tests/store/test_alarms.py asks the same of PostgreSQL, row by row."""
    opened = Store(f"sqlite:///{tmp_path / 'state.db'}", durable=False)
    migrations.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def room(store, clock, client_of):
    return Room(store, clock, client_of)
