"""kill -9 of the process that ships lines and counts them: no line and no count is lost or repeated."""

import contextlib
import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from farero.base.clock import SystemClock
from farero.records.logs import Transformation
from farero.records.metrics import Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.filter_apply import MetricFilters
from farero.telemetry.logs import Logs
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.ship import LogShipper

GROUP, STREAM = "/aws/sagemaker/TrainingJobs", "iris/algo-1"
HOUR = dt.timedelta(hours=1)
SEED = int(os.environ.get("FARERO_CHAOS_SEED", random.randrange(10**6)))
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


def open_filters(url):
    store = Store(url, durable=False)
    return store, MetricFilters(store, SystemClock(), Metrics(store, SystemClock()).put_within)


def test_killed_shipper_counts_every_line_once(tmp_path):
    chance = random.Random(SEED)
    url, path = f"sqlite:///{tmp_path / 'logs.db'}", tmp_path / "out.log"
    store, filters = open_filters(url)
    migrations.upgrade(store)
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

    now = SystemClock().now()
    points = Metrics(store, SystemClock()).points(
        Metric.of("N", "M", {}), start=now - HOUR, end=now + HOUR, period_s=60
    )
    shipped = [event.message for event in Logs(store, SystemClock()).read_stream(GROUP, STREAM)]
    store.close()
    assert shipped == [f'{{"n": {n + 1}}}' for n in range(written)], SEED
    assert sum(point.summary.count for point in points) == written, SEED
    assert sum(point.summary.total for point in points) == written * (written + 1) / 2, SEED
