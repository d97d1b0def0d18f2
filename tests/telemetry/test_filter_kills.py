"""kill -9 of the process that ships lines and counts them: no line and no count is lost or repeated."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from farero.base.clock import SystemClock
from farero.records.logs import Transformation
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.filter_apply import MetricFilters
from farero.telemetry.logs import Logs
from farero.telemetry.ship import LogShipper

GROUP, STREAM = "/aws/sagemaker/TrainingJobs", "iris/algo-1"
SEED = int(os.environ.get("FARERO_CHAOS_SEED", random.randrange(10**6)))
#: Stands in for the table of metrics: values written with the connection that they are given.
COUNTED = sa.Table(
    "counted", sa.MetaData(), sa.Column("value", sa.Float), sa.Column("count", sa.Float)
)
PROGRAM = """
import sys
from test_filter_kills import open_filters
from farero.base.clock import SystemClock
from farero.telemetry.ship import LogShipper
store, filters = open_filters(sys.argv[1])
shipper = LogShipper(store, SystemClock(), filters)
while True:
    shipper.ship_due()
"""


def put(db, data):
    for datum in data:
        rows = [
            {"value": value, "count": count}
            for value, count in zip(datum.values, datum.counts, strict=True)
        ]
        db.execute(sa.insert(COUNTED), rows)


def open_filters(url):
    store = Store(url, durable=False)
    return store, MetricFilters(store, SystemClock(), put)


def test_killed_shipper_counts_every_line_once(tmp_path):
    chance = random.Random(SEED)
    url, path = f"sqlite:///{tmp_path / 'logs.db'}", tmp_path / "out.log"
    store, filters = open_filters(url)
    migrations.upgrade(store)
    COUNTED.create(store.engine)
    Logs(store, SystemClock()).create_group(GROUP, {})
    wish = Transformation(namespace="N", name="M", value="$.n")
    filters.put(GROUP, "f", "{ $.n > 0 }", wish)
    LogShipper(store, SystemClock(), filters).follow(path, GROUP, STREAM)
    written = kills = 0

    while kills < 8:
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, url], cwd=Path(__file__).parent)
        end = time.monotonic() + chance.uniform(0.6, 1.2)
        while time.monotonic() < end:
            with path.open("ab") as file:
                file.writelines(b'{"n": %d}\n' % (n + 1) for n in range(written, written + 500))
            written += 500
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
    LogShipper(store, SystemClock(), filters).finish(path)

    with store.read() as db:
        values = dict(
            db.execute(
                sa.select(COUNTED.c.value, sa.func.sum(COUNTED.c.count)).group_by(COUNTED.c.value)
            ).all()
        )
    shipped = [event.message for event in Logs(store, SystemClock()).read_stream(GROUP, STREAM)]
    store.close()
    assert shipped == [f'{{"n": {n + 1}}}' for n in range(written)], SEED
    assert values == {float(n + 1): 1.0 for n in range(written)}, SEED
