"""What MetricDefinitions find is told to CloudWatch as it is printed, each value once."""

import datetime as dt
import os
import signal

from farero.jobs import hosts
from farero.jobs.algorithm_metrics import NAMESPACE, AlgorithmMetrics
from farero.records.job import MetricDefinition
from farero.records.metrics import Metric
from farero.store.jobs import training as rows
from farero.telemetry.ship import LogShipper

HOUR = dt.timedelta(hours=1)
LOSS = (MetricDefinition(name="loss", regex=r"loss=([0-9.]+)"),)


def points(bench, job, name="loss"):
    now = bench.clock.now()
    metric = Metric.of(NAMESPACE, name, {"TrainingJobName": job})
    found = bench.metrics.points(metric, start=now - HOUR, end=now + HOUR, period_s=1)
    return [
        (one.at, one.summary.count, one.summary.total, one.summary.least, one.summary.most)
        for one in found
    ]


def test_every_value_is_told_once_with_its_time(bench):
    bench.create("m", code="for n in range(4): print(f'loss={n}')", metrics=LOSS)

    job = bench.finished("m")

    found = points(bench, "m")
    assert sum(count for _, count, *_ in found) == 4
    assert sum(total for _, _, total, *_ in found) == 0 + 1 + 2 + 3
    assert all(job.created_at.timestamp() - 1 <= at <= job.ended_at.timestamp() for at, *_ in found)
    assert [(one.name, one.value) for one in job.metrics] == [("loss", 3.0)]


def test_values_are_there_while_the_job_runs(bench):
    code = "import time\nprint('loss=0.5', flush=True)\ntime.sleep(60)"
    bench.create("m", code=code, metrics=LOSS)

    bench.settle(lambda: bench.shipper.ship_due() and points(bench, "m"))

    assert bench.job("m").status == "InProgress"
    bench.compute.stop(bench.job("m").process_name, grace_s=0)


def test_a_worker_that_starts_again_repeats_no_value(bench):
    code = "import time\nprint('loss=1\\nloss=2', flush=True)\ntime.sleep(60)"
    bench.create("m", code=code, metrics=LOSS)
    bench.settle(lambda: bench.shipper.ship_due() and points(bench, "m"))

    reader = AlgorithmMetrics(bench.store, rows, bench.metrics.put_within)
    LogShipper(bench.store, bench.clock, reader=reader.read).ship_due()
    os.kill(bench.compute.status(bench.job("m").process_name).pid, signal.SIGKILL)
    bench.finished("m")

    assert sum(count for _, count, *_ in points(bench, "m")) == 2


def test_a_job_without_definitions_tells_nothing(bench):
    bench.create("m", code="print('loss=1')")

    bench.finished("m")

    assert points(bench, "m") == []
    assert bench.metrics.list(namespace=NAMESPACE) == []


def test_processes_of_jobs_are_hosts():
    found = hosts.find(["job/iris/2", "processing/p/1", "endpoint/iris/a/b/1", "worker", "job/x"])

    assert {name: (one.namespace, one.dimensions) for name, one in found.items()} == {
        "job/iris/2": ("/aws/sagemaker/TrainingJobs", {"Host": "iris/algo-1"}),
        "processing/p/1": ("/aws/sagemaker/ProcessingJobs", {"Host": "p/algo-1"}),
    }
