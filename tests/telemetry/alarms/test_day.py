"""A day of one metric that comes, breaks, stops and comes back, watched in all four ways to treat missing data."""

import datetime as dt

import pytest

from farero.records.alarms import Alarm
from farero.records.metrics import Datum, Metric
from farero.store import alarms as rows
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

MODES = ("missing", "ignore", "breaching", "notBreaching")
NO_DATA = "INSUFFICIENT_DATA"
#: (hours, what each five minutes bring, the states at the end in the order of MODES); `0` fine, `X` bad, `-` nothing.
DAY = [
    (3.0, "0", ("OK", "OK", "OK", "OK")),
    (1.0, "-", (NO_DATA, "OK", "ALARM", "OK")),
    (1.0, "0", ("OK", "OK", "OK", "OK")),
    (3.0, "X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    (1.0, "-", (NO_DATA, "ALARM", "ALARM", "OK")),
    (1.0, "X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    (2.0, "0", ("OK", "OK", "OK", "OK")),
    # One bad value of three is less than M.
    (2.0, "00X", ("OK", "OK", "OK", "OK")),
    # Two bad values stand in the range of five periods, none between them.
    (2.0, "--X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    # Now the newer one is two periods old, the other gone.
    (1 / 6, "-", ("ALARM", "ALARM", "ALARM", "OK")),
    (0.75, "0", ("OK", "OK", "OK", "OK")),
    (1 / 3, "0-", ("OK", "OK", "OK", "OK")),
    (6.0, "-", (NO_DATA, "OK", "ALARM", "OK")),
    (0.25, "X", ("ALARM", "ALARM", "ALARM", "ALARM")),
]


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'state.db'}", durable=False)
    migrations.upgrade(opened)
    yield opened
    opened.close()


def test_a_day_goes_as_the_tables_say(store, clock):
    metrics = Metrics(store, clock)
    alarms = Alarms(store, clock, metrics, MetricQueries(metrics))
    worker = Worker(
        store, clock, {EVALUATE: alarms.evaluate, TURN: alarms.turn, DISPATCH: lambda _item: None}
    )
    for mode in MODES:
        alarms.put(make_alarm(mode, clock.now()))
    clock.advance(seconds=5)  # values have come by then

    wrong, seen = [], dt.timedelta()
    for hours, pattern, states in DAY:
        for index in range(round(hours * 12)):
            mark = pattern[index % len(pattern)]
            if mark != "-":
                value = 9.0 if mark == "X" else 1.0
                datum = Datum(metric=Metric.of("Shop", "Load", {}), at=clock.now(), values=(value,))
                metrics.put([datum])
            clock.advance(minutes=5)
            seen += dt.timedelta(minutes=5)
            worker.run_due()
        with store.read() as db:
            found = tuple(rows.find(db, mode).state for mode in MODES)
        if found != states:
            wrong.append((seen, pattern, found, states))

    assert wrong == []
    assert seen > dt.timedelta(hours=23)
    with store.read() as db:
        history = rows.list_history(
            db, alarm="ignore", item_kind="StateUpdate", is_ascending=True, limit=1000
        )
    states = [one.summary.rpartition(" ")[2] for one in history]
    assert states == ["OK", "ALARM", "OK", "ALARM", "OK", "ALARM"]


def make_alarm(mode, now):
    config = {
        "Namespace": "Shop", "MetricName": "Load", "Statistic": "Average", "Period": 300, "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": mode,
    }  # fmt: skip
    return Alarm(
        name=mode, arn=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{mode}", kind="MetricAlarm", config=config,
        actions_enabled=True, configured_at=now, updated_at=now, transitioned_at=now,
    )  # fmt: skip
