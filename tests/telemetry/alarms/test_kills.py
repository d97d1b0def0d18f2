"""The worker killed at each step of an evaluation, and by kill -9: no change is lost, doubled or out of order (P7)."""

import datetime as dt
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from farero.base.clock import ManualClock
from farero.records.alarms import Alarm
from farero.records.metrics import Datum, Metric
from farero.store import alarms as rows
from farero.store import migrations
from farero.store.engine import Store
from farero.store.tables.outbox import outbox
from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

START = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
SEED = int(os.environ.get("FARERO_CHAOS_SEED", random.randrange(10**6)))
#: How much faster than ours the time of the killed worker runs.
SPEED = 240
PROGRAM = """
import sys, threading
from test_kills import FastClock, open_alarms
store, alarms, worker = open_alarms(sys.argv[1], FastClock(float(sys.argv[2])))
print("up", flush=True)
worker.run_forever(lambda seconds: not threading.Event().wait(min(seconds, 0.002)))
"""


class KilledError(BaseException):
    """What a process that is killed here would not catch either."""


class FastClock:
    """A clock that all processes of a test share, and that runs SPEED times as fast as theirs."""

    def __init__(self, began):
        self._began = began

    def now(self):
        return START + dt.timedelta(seconds=(time.time() - self._began) * SPEED)

    def monotonic(self):
        return time.monotonic() * SPEED

    def sleep(self, seconds):
        time.sleep(seconds / SPEED)


def open_alarms(url, clock):
    store = Store(url, durable=False)
    metrics = Metrics(store, clock)
    alarms = Alarms(store, clock, metrics, MetricQueries(metrics))
    return (
        store,
        alarms,
        Worker(
            store, clock, {EVALUATE: alarms.evaluate, TURN: alarms.turn, DISPATCH: lambda _i: None}
        ),
    )


def make_alarm(name="a", kind="MetricAlarm", **config):
    config = config or {
        "Namespace": "Shop", "MetricName": name, "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore",
    }  # fmt: skip
    actions = {"AlarmActions": [TOPIC], "OKActions": [TOPIC]}
    return Alarm(
        name=name, arn=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}", kind=kind,
        config=config | actions, actions_enabled=True, configured_at=START, updated_at=START, transitioned_at=START,
    )  # fmt: skip


def put_value(store, at, value, name="a"):
    Metrics(store, ManualClock(at)).put(
        [Datum(metric=Metric.of("Shop", name, {}), at=at, values=(value,))]
    )


def changes(store, name):
    """Return the states that history knows, and those that were told, each oldest first."""
    with store.read() as db:
        history = rows.list_history(db, alarm=name, is_ascending=True, limit=10_000)
        told = db.execute(
            sa.select(outbox.c.payload)
            .where(outbox.c.queue == f"alarm/{name}")
            .order_by(outbox.c.id)
        )
        messages = [json.loads(json.loads(row.payload)["Message"]) for row in told]
    known = [one.summary.rpartition(" ")[2] for one in history if one.kind == "StateUpdate"]
    return known, [message["NewStateValue"] for message in messages]


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_killed_at_any_statement_a_change_happens_once(tmp_path, moment):
    """The n-th statement of a turn is the last; the next process finds the item when its lease is over."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    clock = ManualClock(START)
    store, alarms, worker = open_alarms(url, clock)
    migrations.upgrade(store)
    alarms.put(make_alarm())
    alarms.put(make_alarm("c", "CompositeAlarm", AlarmRule="ALARM(a)"))
    worker.run_due()
    left = None

    def strike(*_):
        nonlocal left
        if left is not None:
            if left == 0:
                left = None
                raise KilledError
            left -= 1

    sa.event.listen(store.engine, moment, strike)
    expected, kills, steps = [], 0, 0
    while True:
        clock.advance(seconds=120)
        is_bad = len(expected) % 2 == 0
        put_value(store, clock.now() - dt.timedelta(seconds=70), 9.0 if is_bad else 1.0)
        expected.append("ALARM" if is_bad else "OK")
        left = steps
        try:
            worker.run_due()
        except KilledError:
            kills += 1
        was_killed, left = left is None, None
        clock.advance(seconds=61)
        worker.run_due()
        known, told = changes(store, "a")
        assert known == told == expected, (moment, steps)
        known, told = changes(store, "c")
        assert known == told, (moment, steps)
        assert known[-1] == expected[-1], (moment, steps)
        if not was_killed:
            break
        steps += 1
    store.close()

    assert kills == steps
    assert kills >= (6 if moment == "commit" else 20)


def test_kill_9_neither_loses_nor_doubles_nor_turns_round_a_change(tmp_path):
    """Six alarms change every few minutes of a fast clock, while their worker is killed again and again."""
    chance = random.Random(SEED)
    url = f"sqlite:///{tmp_path / 'state.db'}"
    began = time.time()
    store, alarms, _ = open_alarms(url, FastClock(began))
    migrations.upgrade(store)
    names = [f"a{number}" for number in range(6)]
    for name in names:
        alarms.put(make_alarm(name))
        data = [
            Datum(
                metric=Metric.of("Shop", name, {}), at=START + dt.timedelta(minutes=minute),
                values=(9.0 if minute // 3 % 2 else 1.0,),
            )
            for minute in range(1200)
        ]  # fmt: skip
        Metrics(store, ManualClock(START)).put(data)

    def changed():
        return [changes(store, name) for name in names]

    kills = 0
    # a slow machine evaluates little between two kills
    while kills < 4 or (kills < 40 and sum(len(known) for known, _ in changed()) <= 20):
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, str(began)],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(chance.uniform(0.3, 0.8))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        kills += 1

    found = changed()
    store.close()
    for known, told in found:
        assert known == told, SEED
        assert all(a != b for a, b in itertools.pairwise(known)), (SEED, known)
    assert sum(len(known) for known, _ in found) > 20, SEED
