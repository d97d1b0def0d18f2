import json
import os
import signal
import subprocess
import sys

import pytest

from farero.base.clock import SystemClock
from farero.base.errors import Invalid, LimitExceeded, NotFound
from farero.records.telemetry import NewLogEvent
from farero.telemetry.insights.queries import CONCURRENT, Queries
from farero.telemetry.insights.runner import QueryRunner
from farero.telemetry.logs import Logs

GROUP = "/aws/sagemaker/Endpoints/iris"
#: Takes Python's engine longer than the universe has.
RUNAWAY = "filter @message like /(a+)+$/"


@pytest.fixture
def clock():
    return SystemClock()


@pytest.fixture
def url(store):
    return store.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def runner(store, clock, url):
    running = QueryRunner(store, clock, url=url, account="123456789012")
    yield running
    running.close()


@pytest.fixture
def queries(store, clock):
    return Queries(store, clock, account="123456789012")


@pytest.fixture
def now_ms(clock):
    return int(clock.now().timestamp() * 1000)


@pytest.fixture
def fill(store, clock, now_ms):
    """A function that puts messages, one a second, into a group."""
    logs = Logs(store, clock)

    def put(messages, group=GROUP):
        logs.create_group(group, {})
        logs.create_stream(group, "s")
        events = [
            NewLogEvent(timestamp_ms=now_ms - 60_000 + index * 1000, message=message)
            for index, message in enumerate(messages)
        ]
        logs.put_events(group, "s", events)

    return put


@pytest.fixture
def ask(queries, runner, wait_for, now_ms):
    """A function that runs a query to its end."""

    def run(text, groups=(GROUP,), **options):
        found = queries.start(
            text, groups, start_ms=now_ms - 90_000, end_ms=now_ms, limit=None, **options
        )
        wait_for(lambda: runner.run_due() == 0, 30)
        return queries.get(found)

    return run


def test_query_runs_in_a_process_of_its_own(fill, ask):
    fill(["ERROR one", "fine", "ERROR two"])

    query = ask("fields @message | filter @message like /ERROR/ | limit 1")

    assert query.status == "Complete"
    assert [dict(row)["@message"] for row in query.rows] == ["ERROR two"]
    assert (query.matched, query.scanned, query.scanned_bytes) == (2, 3, 22)


def test_groups_are_merged_in_order_of_time(fill, ask):
    fill(["1", "2", "3"], "/a")
    fill(["1", "2"], "/b")

    query = ask("fields @log, @message", ("/a", "/b"))

    assert [f"{row[0][1]} {row[1][1]}" for row in query.rows] == [
        "123456789012:/a 3",
        "123456789012:/b 2",
        "123456789012:/a 2",
        "123456789012:/b 1",
        "123456789012:/a 1",
    ]


def test_runaway_expression_ends_as_timeout_and_leaves_nothing(
    fill, store, clock, url, queries, wait_for, now_ms
):
    fill(["a" * 60 + "!"])
    runner = QueryRunner(store, clock, url=url, account="1", query_s=8)
    slow = queries.start(RUNAWAY, [GROUP], start_ms=0, end_ms=now_ms, limit=None)
    quick = queries.start("fields 1", [GROUP], start_ms=0, end_ms=now_ms, limit=None)

    wait_for(lambda: runner.run_due() == 0, 30)
    runner.close()

    assert (queries.get(slow).status, queries.get(quick).status) == ("Timeout", "Complete")
    assert runner._children == []


def test_stopped_query_is_killed(fill, runner, queries, wait_for, now_ms):
    fill(["a" * 60 + "!"])
    query_id = queries.start(RUNAWAY, [GROUP], start_ms=0, end_ms=now_ms, limit=None)
    runner.run_due()
    [child] = runner._children

    queries.stop(query_id)

    wait_for(lambda: runner.run_due() == 0)
    assert child.process.returncode == -signal.SIGKILL
    assert queries.get(query_id).status == "Cancelled"
    with pytest.raises(Invalid, match="is not running"):
        queries.stop(query_id)


def test_killed_process_fails_its_query_alone(fill, runner, ask, queries, wait_for, now_ms):
    fill(["a" * 60 + "!"])
    query_id = queries.start(RUNAWAY, [GROUP], start_ms=0, end_ms=now_ms, limit=None)
    runner.run_due()
    os.kill(runner._children[0].process.pid, signal.SIGKILL)

    wait_for(lambda: runner.run_due() == 0)

    assert queries.get(query_id).status == "Failed"
    assert ask("fields 1").status == "Complete"


def test_next_worker_takes_up_what_the_last_one_left(
    fill, store, clock, url, runner, queries, wait_for, now_ms
):
    fill(["one"])
    query_id = queries.start("fields @message", [GROUP], start_ms=0, end_ms=now_ms, limit=None)
    dying = QueryRunner(store, clock, url=url, account="1")
    dying.run_due()
    dying.close()

    runner.resume()
    wait_for(lambda: runner.run_due() == 0, 30)

    assert queries.get(query_id).status == "Complete"


def test_query_that_eats_memory_fails(fill, ask):
    fill(["x" * 200_000])
    doubled = ", ".join(["replace(@message, 'x', @message)"] * 3)

    assert ask(f"fields {doubled}").status == "Failed"


def test_what_cannot_be_started_is_refused(fill, queries, now_ms):
    fill([])
    span = {"start_ms": 0, "end_ms": now_ms, "limit": None}

    with pytest.raises(NotFound, match="The specified log group does not exist"):
        queries.start("fields 1", ["/none"], **span)
    with pytest.raises(Invalid, match="needs a log group"):
        queries.start("fields 1", [], **span)
    with pytest.raises(Invalid, match="end time"):
        queries.start("fields 1", [GROUP], start_ms=2, end_ms=1, limit=None)
    for _ in range(CONCURRENT):
        queries.start(f"SOURCE '{GROUP}' | fields 1", [], **span)
    with pytest.raises(LimitExceeded, match="concurrency limit of"):
        queries.start("fields 1", [GROUP], **span)


def test_process_ends_with_its_parent(fill, ask, runner, wait_for):
    fill(["one"])
    ask("fields 1")
    [child] = runner._children

    child.process.stdin.close()

    assert child.process.wait(60) == 0


def test_deaf_process_is_ended_by_the_kernel(fill, queries, url, now_ms):
    fill(["a" * 60 + "!"])
    query_id = queries.start(RUNAWAY, [GROUP], start_ms=0, end_ms=now_ms, limit=None)
    order = {"url": url, "account": "1", "id": query_id, "seconds": 2}

    done = subprocess.run(
        [sys.executable, "-m", "farero.telemetry.insights.child"],
        input=json.dumps(order) + "\n",
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == -signal.SIGALRM


def test_result_ends_where_it_would_not_fit_into_an_answer(fill, ask):
    fill(["x" * 200_000] * 5)

    query = ask("fields " + ", ".join(f"@message as m{number}" for number in range(40)))

    assert (query.status, len(query.rows), query.matched) == ("Complete", 1, 5)
