"""`farero monitor add`, `stop`, `start`, `rm`, and `show` and `ls` of what a schedule found."""

import datetime as dt
import time

import pytest

from farero.cli.monitor.adding import expression
from farero.cli.monitor.timing import missed, next_run, next_window, span_of

HOURLY, DAILY = "cron(0 * ? * * *)", "cron(0 0 ? * * *)"


def at(text):
    return dt.datetime.fromisoformat(f"2026-11-{text}:00+00:00")


def described(every, *, status="Scheduled", last=None):
    made = {
        "MonitoringScheduleConfig": {"ScheduleConfig": {"ScheduleExpression": every}},
        "MonitoringScheduleStatus": status,
        "LastModifiedTime": at("21T10:20"),
    }
    return made | ({"LastMonitoringExecutionSummary": {"ScheduledTime": last}} if last else {})


@pytest.mark.journey
def test_a_serverless_endpoint_is_captured_and_judged_by_schedule_too(watch, rows_of):
    flats = watch("flats-serverless", "--serverless", "--memory", "1024")
    sagemaker = flats.platform.client("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=flats.name)["ProductionVariants"]
    flats.farero("monitor", "baseline", flats.name, str(flats.train))
    flats.farero("monitor", "add", flats.name, "--every", "1m")
    flats.send(rows_of(300, seed=11, shift=1.5))

    def judged():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName=f"farero-{flats.name}")
        return [
            one
            for one in found["MonitoringExecutionSummaries"]
            if one["MonitoringExecutionStatus"] == "CompletedWithViolations"
        ]

    (execution, *_) = flats.platform.wait(judged, 150)
    assert described[0]["CurrentServerlessConfig"]["MemorySizeInMB"] == 1024
    assert execution["EndpointName"] == flats.name
    assert "rooms" in flats.farero("monitor", "show", flats.name).stdout
    flats.farero("monitor", "rm", flats.name)


@pytest.mark.journey
def test_a_schedule_judges_every_minute_rests_goes_on_and_is_removed(watch, rows_of):
    flats = watch("flats-minute")
    flats.farero("monitor", "baseline", flats.name, str(flats.train))
    early = flats.farero("monitor", "add", flats.name, "--every", "1m")
    assert "nothing was captured yet, so the columns could not be compared" in early.stdout
    waiting = flats.farero("monitor", "show", flats.name).stdout
    assert "flats-minute was not judged yet." in waiting
    assert "schedule farero-flats-minute: Scheduled, rate(1 minute), next run in" in waiting
    twice = flats.farero("monitor", "add", flats.name, "--every", "1m", check=False)
    assert "E-EXISTS  flats-minute has a schedule already" in twice.stderr

    began = time.monotonic()
    flats.send(rows_of(400, seed=8, shift=1.5))
    sagemaker = flats.platform.client("sagemaker")

    def judged():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName="farero-flats-minute")
        statuses = [
            one["MonitoringExecutionStatus"] for one in found["MonitoringExecutionSummaries"]
        ]
        return "CompletedWithViolations" in statuses and time.monotonic() - began

    assert flats.platform.wait(judged, 150) < 150
    shown = flats.farero("monitor", "show", flats.name).stdout
    assert "rooms" in shown
    told = flats.json("monitor", "show", flats.name)
    assert told["schedules"][0]["expression"] == "rate(1 minute)"
    assert told["history"][-1]["distances"]["rooms"] > 0.3

    assert flats.json("monitor", "stop", flats.name) == {"stopped": ["farero-flats-minute"]}
    assert flats.json("monitor", "show", flats.name)["schedules"][0]["status"] == "Stopped"
    assert flats.json("monitor", "start", flats.name)["started"] == ["farero-flats-minute"]
    config = sagemaker.describe_monitoring_schedule(MonitoringScheduleName="farero-flats-minute")
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    sagemaker.create_monitoring_schedule(  # as the console's "Run now"
        MonitoringScheduleName="farero-flats-minute-now-1",
        MonitoringScheduleConfig={**config["MonitoringScheduleConfig"], "ScheduleConfig": now},
    )
    assert flats.json("monitor", "rm", flats.name) == {"removed": ["farero-flats-minute"]}
    gone = flats.farero("monitor", "rm", flats.name, check=False)
    assert "E-NO-SCHEDULE  flats-minute has no schedule" in gone.stderr
    assert "fix:   farero monitor add flats-minute --every 1h" in gone.stderr

    flats.farero("monitor", "add", flats.name, "--anyway")
    removed = flats.json("--yes", "rm", flats.name)["deleted"]
    assert "monitoring schedule farero-flats-minute" in removed
    left = sagemaker.list_monitoring_schedules(EndpointName=flats.name)
    assert left["MonitoringScheduleSummaries"] == []


@pytest.mark.journey
def test_show_and_ls_tell_what_was_found_in_the_last_windows(watch, rows_of):
    flats = watch("flats-shown")
    flats.farero("monitor", "baseline", flats.name, str(flats.train))
    for seed, shift in ((1, 0.0), (2, 1.0)):
        flats.send(rows_of(300, seed=seed, shift=shift))
        wanted = 300 * seed
        flats.platform.wait(lambda wanted=wanted: len(flats.captured()) >= wanted, 60)
        flats.farero("monitor", "run", flats.name, "--since", "30m", check=False)

    shown = flats.farero("monitor", "show", flats.name).stdout
    assert "COLUMN   VERDICT   SEVERITY   ADJUSTED P   EFFECT" in shown
    assert "LAST 2 (0 to " in shown
    rooms = next(line for line in shown.splitlines() if line.startswith("rooms"))
    assert rooms.split()[1] == "changed"
    assert " sd " in rooms
    assert rooms[-1] in "▆▇█"
    told = flats.json("monitor", "show", flats.name)
    assert [one["rows"] for one in told["history"]] == [300, 600]
    listed = {one["endpoint"]: one for one in flats.json("monitor", "ls")["monitors"]}
    assert listed["flats-shown"]["severity"] == told["severity"]
    assert listed["flats-shown"]["age_s"] < 600
    assert "no schedule" in flats.farero("monitor", "ls").stdout
    page = flats.folder / "fetched.html"
    flats.farero("monitor", "report", flats.name, "-o", str(page))
    assert "rooms" in page.read_text()
    assert "2 windows, this one at the right." in page.read_text()


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1m", "rate(1 minute)"), ("5m", "rate(5 minutes)"), ("1h", HOURLY), ("6h", "cron(0 0/6 ? * * *)"),
        ("1d", DAILY), ("cron(0 9 ? * MON *)", "cron(0 9 ? * MON *)"),
    ],
)  # fmt: skip
def test_spans_are_awss_expressions(every, expected):
    assert expression(every) == expected


def test_a_span_that_is_none_is_wrong_usage(watch_nobody):
    done = watch_nobody("monitor", "add", "nobody", "--every", "often")
    assert done.returncode == 2
    assert "E-EVERY  'often' is no span and no expression" in done.stderr


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (described(HOURLY), at("21T11:00")),
        (described(DAILY, last=at("21T00:00")), at("22T00:00")),
        (described("rate(5 minutes)", last=at("21T10:23")), at("21T10:28")),
        (described(HOURLY, status="Stopped"), None),
        (described("NOW"), None),
    ],
)  # fmt: skip
def test_the_next_run_follows_from_the_expression(schedule, expected):
    assert next_run(schedule) == expected


def test_a_run_looks_at_as_much_time_as_its_schedule_has_between_two():
    assert span_of(described(HOURLY), at("21T10:20")) == dt.timedelta(hours=1)
    assert span_of(described("rate(5 minutes)"), at("21T10:20")) == dt.timedelta(minutes=5)
    assert span_of(described("NOW"), at("21T10:20")) is None


def test_windows_that_nobody_looked_at_are_counted():
    runs = [{"ScheduledTime": at(f"21T{hour}:00")} for hour in ("03", "04", "07")]
    found = missed(described(HOURLY), runs, at("21T09:10"))
    assert [f"{one:%H}" for one in found] == ["05", "06", "08"]
    stopped = missed(described(HOURLY, status="Stopped"), runs, at("21T09:10"))
    assert [f"{one:%H}" for one in stopped] == ["05", "06"]


def test_the_next_window_lies_as_far_back_as_the_offsets_say():
    plain = next_window(described(DAILY), {})
    assert plain == (at("21T00:00"), at("22T00:00"))
    late = next_window(described(DAILY), {"StartTimeOffset": "-P8D", "EndTimeOffset": "-P1D"})
    assert late == (at("14T00:00"), at("21T00:00"))
    assert next_window(described(DAILY, status="Stopped"), {}) is None
