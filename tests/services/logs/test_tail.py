import contextlib
import subprocess
import sys
import time

import pytest
from botocore.exceptions import ClientError

from farero.aws.services.logs.tail import SESSIONS
from farero.records.telemetry import NewLogEvent
from farero.telemetry.tail import READ, SHOWN, Tail

from .conftest import GROUP


@pytest.fixture
def tail_of(store, clock, stream):
    def make(*groups, **options):
        return Tail(store, clock, groups or (GROUP,), **options)

    return make


def messages(tail):
    return [event.message for _, event in tail.look().events]


@pytest.fixture
def put(domain, now_ms):
    def write(*texts, name="s", group=GROUP):
        domain.put_events(
            group, name, [NewLogEvent(timestamp_ms=now_ms, message=text) for text in texts]
        )

    return write


def test_tail_shows_what_arrives_after_it_began_each_once(tail_of, put):
    put("before")
    tail = tail_of(pattern="o")
    put("one", "six")
    first = messages(tail)
    put("two")

    assert (first, messages(tail), messages(tail)) == (["one"], ["two"], [])


def test_tail_of_some_streams_and_of_many_groups(tail_of, put, domain):
    domain.create_stream(GROUP, "t/1")
    domain.create_group("/other", {})
    domain.create_stream("/other", "s")
    some, named, all_of = tail_of(prefixes=["t"]), tail_of(streams=["s"]), tail_of(GROUP, "/other")
    put("a")
    put("b", name="t/1")
    put("c", group="/other")

    assert (messages(some), messages(named), messages(all_of)) == (["b"], ["a"], ["a", "b", "c"])


def test_more_than_can_be_shown_is_sampled_evenly(tail_of, put):
    tail = tail_of()
    put(*[str(number) for number in range(5_000)])

    update = tail.look()

    assert (len(update.events), update.is_sampled) == (SHOWN, True)
    assert [event.message for _, event in update.events][:3] == ["0", "10", "20"]


def test_a_flood_is_passed_over(tail_of, put):
    tail = tail_of()
    for _ in range(3):
        put(*["x"] * (READ // 2))

    first, second = tail.look(), tail.look()

    assert (len(first.events), first.is_sampled) == (SHOWN, True)
    assert (second.events, second.is_sampled) == ([], False)


def test_session_over_a_real_connection_ends_with_its_client(platform):
    logs = platform.client("logs", inject_host_prefix=False)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]

    for _ in range(2):
        stream = logs.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern="ERR")[
            "responseStream"
        ]
        events = iter(stream)
        start = next(events)["sessionStart"]
        now_ms = int(time.time() * 1000)
        logs.put_log_events(
            logGroupName=GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": now_ms, "message": text} for text in ("fine", "ERR one")],
        )
        update = next(
            found
            for found in (next(events)["sessionUpdate"] for _ in range(5))
            if found["sessionResults"]
        )
        stream.close()

        assert start["logEventFilterPattern"] == "ERR"
        [shown] = update["sessionResults"]
        assert shown["message"] == "ERR one"
        assert (shown["logStreamName"], shown["logGroupIdentifier"]) == (
            "s",
            f"123456789012:{GROUP}",
        )
        assert update["sessionMetadata"] == {"sampled": False}


def test_farero_env_lets_unmodified_code_tail(platform):
    platform.client("logs").create_log_group(logGroupName=GROUP)
    program = (
        "import boto3\n"
        f"answer = boto3.client('logs').start_live_tail(logGroupIdentifiers=['{GROUP}'])\n"
        "print(list(next(iter(answer['responseStream']))))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=platform.client_env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("['sessionStart']\n", "")


def test_sessions_whose_clients_have_left_are_over(platform):
    logs = platform.client("logs", inject_host_prefix=False)
    logs.create_log_group(logGroupName=GROUP)

    def opens():
        with contextlib.suppress(logs.exceptions.LimitExceededException):
            stream = logs.start_live_tail(logGroupIdentifiers=[GROUP])["responseStream"]
            assert "sessionStart" in next(iter(stream))
            stream.close()
            return True
        return False

    for _ in range(SESSIONS + 2):
        platform.wait(opens)


def test_what_cannot_be_tailed_is_refused(cloud):
    logs = cloud.client("logs", inject_host_prefix=False)
    logs.create_log_group(logGroupName=GROUP)

    with pytest.raises(ClientError, match="The specified log group does not exist"):
        logs.start_live_tail(logGroupIdentifiers=["/none"])
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        logs.start_live_tail(logGroupIdentifiers=[GROUP], logEventFilterPattern="{")
    with pytest.raises(ClientError, match="with one log group"):
        logs.start_live_tail(logGroupIdentifiers=[GROUP, "/b"], logStreamNames=["s"])
