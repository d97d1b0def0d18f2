"""Figures of processes in percent: what of, how often, and what happens while they cannot be stored."""

import dataclasses
import datetime as dt
import os

import pytest
from sqlalchemy.exc import OperationalError

from farero.base.clock import SystemClock
from farero.compute.local import LocalCompute
from farero.records.compute import ProcessSpec, ProcessStatus, ProcessUsage
from farero.records.metrics import Datum, Metric
from farero.telemetry.resources import Reading, Resources, Subject, data, is_due

START = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)
SUBJECT = Subject("/aws/sagemaker/Endpoints", {"EndpointName": "iris", "VariantName": "a"})
USAGE = ProcessUsage(
    name="x", at=START + dt.timedelta(seconds=60), started_at=START, cpu_s=150.0,
    memory_bytes=250, memory_limit_bytes=1000, disk_used_bytes=30, disk_size_bytes=40,
)  # fmt: skip


def after(seconds):
    return START + dt.timedelta(seconds=seconds)


def figures(usage, since):
    return {datum.metric.name: datum.values[0] for datum in data(SUBJECT, usage, since)}


def test_figures_are_percents_and_cpu_is_summed_over_cores():
    found = list(data(SUBJECT, USAGE, Reading(START, 30.0)))

    assert figures(USAGE, Reading(START, 30.0)) == {
        "CPUUtilization": 200.0,
        "MemoryUtilization": 25.0,
        "DiskUtilization": 75.0,
    }
    dimensions = {"EndpointName": "iris", "VariantName": "a"}
    assert found[0] == Datum(
        metric=Metric.of("/aws/sagemaker/Endpoints", "CPUUtilization", dimensions),
        at=after(60),
        values=(200.0,),
        unit="Percent",
    )


@pytest.mark.parametrize(
    "since", [None, Reading(after(60), 0.0)], ids=["no reading", "no time has passed"]
)
def test_no_cpu_figure_without_a_span(since):
    assert figures(USAGE, since).keys() == {"MemoryUtilization", "DiskUtilization"}


def test_processor_time_that_went_with_a_lost_child_is_not_negative():
    assert figures(USAGE, Reading(START, 151.0))["CPUUtilization"] == 0.0


def test_a_subject_has_only_the_figures_it_names():
    subject = SUBJECT._replace(names=("MemoryUtilization",))

    assert [one.metric.name for one in data(subject, USAGE, None)] == ["MemoryUtilization"]


@pytest.mark.parametrize(
    ("last_s", "now_s", "expected"),
    [(None, 2.9, False), (None, 3, True), (3, 59.9, False), (59.9, 60, True), (60, 119, False)],
)
def test_measured_first_after_three_seconds_and_then_once_in_each_minute(last_s, now_s, expected):
    status = ProcessStatus(name="x", state="running", started_at=START)
    last = None if last_s is None else Reading(after(last_s), 0.0)

    assert is_due(status, last, after(now_s)) is expected


@pytest.fixture
def host(supervisor, tmp_path, wait_for):
    """One process that runs, and what measures it; `stored` is what was stored."""

    class Host:
        def __init__(self):
            self.clock, self.stored, self.is_locked = SystemClock(), [], False
            self.compute = supervisor.compute
            self.resources = Resources(
                self.clock, self.compute, put=self.put, find=[lambda names: dict.fromkeys(names, SUBJECT)]
            )  # fmt: skip
            self.compute.start(
                ProcessSpec(
                    name="x", argv=("/bin/sleep", "60"), env={"PATH": os.environ["PATH"]},
                    cwd=tmp_path, log_path=tmp_path / "log", memory_bytes=100_000_000,
                )
            )  # fmt: skip

        def put(self, some):
            if self.is_locked:
                raise OperationalError("INSERT", {}, Exception("database is locked"))
            self.stored += some

        def grow(self):
            """Wait until the process is old enough to be measured, and the minute does not end."""
            started_at = self.compute.status("x").started_at
            wait_for(
                lambda: (
                    (self.clock.now() - started_at).total_seconds() > 3
                    and self.clock.now().second < 56
                )
            )

    return Host()


def test_a_process_has_one_figure_of_each_kind_in_a_minute(host):
    host.grow()

    counts = [host.resources.measure_due(), host.resources.measure_due()]

    assert counts == [1, 0]
    assert sorted(one.metric.name for one in host.stored) == [
        "CPUUtilization",
        "DiskUtilization",
        "MemoryUtilization",
    ]
    assert all(0 <= one.values[0] < 100 for one in host.stored)


def test_figures_wait_for_a_locked_database_and_none_is_lost_or_repeated(host):
    host.is_locked = True
    host.grow()
    host.resources.measure_due()
    host.resources.add(dataclasses.replace(next(data(SUBJECT, USAGE, None)), values=(7.0,)))
    host.resources.measure_due()
    during = list(host.stored)

    host.is_locked = False
    host.resources.measure_due()
    host.resources.measure_due()

    assert during == []
    assert len(host.stored) == 4
    assert host.stored[-1].values == (7.0,)


def test_what_has_ended_has_no_figures_and_no_zeros(host, wait_for):
    host.compute.stop("x", grace_s=0)
    wait_for(lambda: host.compute.status("x").state == "exited")

    assert host.resources.measure_due() == 0
    assert host.stored == []


def test_a_process_older_than_the_measuring_has_no_cpu_figure_at_first(host):
    host.grow()
    later = Resources(
        host.clock, host.compute, put=host.put, find=[lambda names: dict.fromkeys(names, SUBJECT)]
    )

    later.measure_due()

    assert {one.metric.name for one in host.stored} == {"MemoryUtilization", "DiskUtilization"}


def test_without_a_supervisor_nothing_is_measured(tmp_path):
    stored = []
    compute = LocalCompute(tmp_path / "none.sock")

    resources = Resources(SystemClock(), compute, put=stored.extend, find=[])

    assert resources.measure_due() == 0
    assert stored == []
