"""Serverless variants: how many replicas they have, and when."""

import asyncio
import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from farero.base.clock import ManualClock, SystemClock
from farero.base.errors import NotReady
from farero.endpoints.proxy import Proxy
from farero.endpoints.router import VariantRoute
from farero.endpoints.serverless import Demand, Used, Wish, wanted
from farero.endpoints.serverless_metrics import Use, data
from farero.endpoints.turns import LOOK_AGAIN
from farero.endpoints.waking import Slots, Waker
from farero.records.endpoint import Variant
from farero.store import work as work_rows
from farero.work.wake import poke

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
KEY = ("iris", "AllTraffic")


def wish(replicas, *, seconds_ago=0):
    return Wish(replicas, NOW - dt.timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("serverless", "wishes", "count"),
    [
        pytest.param({}, [], 0, id="nobody has asked"),
        pytest.param({}, [wish(1)], 1, id="in use"),
        pytest.param({}, [wish(1, seconds_ago=299)], 1, id="used a while ago"),
        pytest.param({}, [wish(1, seconds_ago=300)], 0, id="idle"),
        pytest.param({}, [wish(4, seconds_ago=300), wish(1)], 1, id="less is asked for than was"),
        pytest.param({}, [wish(3), wish(1)], 3, id="requests wait for one another"),
        pytest.param({}, [wish(9)], 5, id="never more than MaxConcurrency"),
        pytest.param({"MaxConcurrency": 200}, [wish(150)], 8, id="nor than the machine can run"),
        pytest.param({"ProvisionedConcurrency": 2}, [], 2, id="provisioned while idle"),
        pytest.param({"ProvisionedConcurrency": 2}, [wish(3)], 3, id="more than provisioned"),
        pytest.param(
            {"MaxConcurrency": 20, "ProvisionedConcurrency": 12},
            [wish(20)],
            12,
            id="provisioned beyond what the machine would get",
        ),
    ],
)
def test_a_variant_has_as_many_replicas_as_are_needed_and_allowed(serverless, wishes, count):
    given = {"MemorySizeInMB": 1024, "MaxConcurrency": 5} | serverless

    assert wanted(given, wishes, NOW, idle_s=300.0, cores=4) == count


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def used(tmp_path):
    return Used(tmp_path / "serverless")


@pytest.fixture
def demand(used, clock):
    return Demand(used, clock, idle_s=300.0)


def variant(**environment):
    return Variant(
        name="AllTraffic",
        model_name="m",
        container={"Environment": environment},
        serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 2},
    )


def test_what_a_new_worker_finds_running_stays_for_the_idle_time(demand, clock):
    counts = [demand.count("iris", 1, variant(), have=1)]
    clock.advance(seconds=299)
    counts.append(demand.count("iris", 1, variant(), have=1))
    clock.advance(seconds=1)
    counts.append(demand.count("iris", 1, variant(), have=1))

    assert counts == [1, 1, 0]


def test_use_by_any_gateway_keeps_a_replica(demand, used, clock):
    demand.count("iris", 1, variant(), have=1)
    clock.advance(seconds=200)
    used.touch(*KEY, clock.now())
    clock.advance(seconds=200)

    assert demand.count("iris", 1, variant(), have=1) == 1
    assert demand.sleeps_at("iris", 1, variant()) == clock.now() + dt.timedelta(seconds=100)


def test_a_variant_that_sleeps_stays_asleep_under_a_new_worker(demand):
    assert demand.count("iris", 1, variant(), have=0) == 0


def test_who_asks_gets_a_replica_and_a_smaller_wish_takes_none_away(demand, clock):
    demand.ask(*KEY, 2)
    demand.ask(*KEY, 1)

    assert demand.count("iris", 1, variant(), have=0) == 2


@pytest.mark.parametrize(("given", "idle_s"), [("20", 20), ("0", 1), ("soon", 300), ("", 300)])
def test_a_model_may_say_for_how_long_it_stays(demand, clock, given, idle_s):
    one = variant(FARERO_SERVERLESS_IDLE_S=given)
    demand.count("iris", 1, one, have=1)

    assert demand.sleeps_at("iris", 1, one) == NOW + dt.timedelta(seconds=idle_s)


def test_a_deleted_endpoint_leaves_nothing(demand, used, clock):
    demand.count("iris", 1, variant(), have=1)
    demand.ask(*KEY, 2)
    used.touch(*KEY, clock.now())

    demand.forget("iris")

    assert used.at(*KEY) is None
    assert demand.count("iris", 1, variant(), have=0) == 0


@pytest.fixture
def told():
    return []


@pytest.fixture
def waker(used, clock, told):
    return Waker(used, clock, told.append)


def test_a_waiting_request_calls_again_until_it_is_heard_but_not_all_the_time(waker, clock, told):
    for _ in range(12):
        waker.wake(*KEY)
        clock.advance(seconds=0.1)

    assert told == ["endpoint.wake iris/AllTraffic/1"] * 3


@pytest.mark.parametrize(
    ("load", "asked"),
    [
        pytest.param((0, 50), [], id="all are answered"),
        pytest.param((1, 0), [], id="one slow request needs one replica"),
        pytest.param((30, 900), [], id="many quick ones do, too"),
        pytest.param((3, 0), ["endpoint.wake iris/AllTraffic/3"], id="slow ones wait"),
    ],
)
def test_more_is_asked_for_where_requests_wait_for_one_another(waker, told, used, load, asked):
    waker.look({KEY: load})

    assert told == asked
    assert used.at(*KEY) == NOW


def test_what_a_gateway_knows_of_a_variant_ends_with_it(waker, told):
    waker.wake(*KEY)
    waker.look({KEY: (3, 0)})

    waker.forget_others({KEY})
    waker.wake(*KEY)
    waker.forget_others(set())
    waker.wake(*KEY)
    waker.look({KEY: (3, 0)})

    assert told == ["endpoint.wake iris/AllTraffic/1", "endpoint.wake iris/AllTraffic/3"] * 2


def test_a_request_waits_for_a_sleeping_variant_so_long_and_calls_meanwhile():
    called = []
    proxy = Proxy(clock=SystemClock(), serverless_wait_s=0.05, wake=lambda *key: called.append(key))
    asleep = VariantRoute(name="AllTraffic", weight=1.0, replicas=(), max_concurrency=2)

    async def find():
        return asleep

    with pytest.raises(NotReady, match="No replica of endpoint iris"):
        asyncio.run(proxy.invoke("iris", find, {}, b""))

    assert set(called) == {KEY}
    assert proxy.take_load() == {KEY: (0, 1)}


HOLD = """
import pathlib, sys
from farero.endpoints.waking import Slots
slots = Slots(pathlib.Path(sys.argv[1]))
print(*[slots.take("iris", "AllTraffic", 3) for _ in range(2)], flush=True)
sys.stdin.read()
"""


def test_places_are_shared_by_all_gateways_and_free_again_when_one_dies(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    slots = Slots(tmp_path)
    try:
        taken = other.stdout.readline().split()
        ours = [slots.take(*KEY, 3) for _ in range(2)]
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    after = [slots.take(*KEY, 3) for _ in range(3)]
    slots.release(*KEY)

    assert (taken, ours, after) == (["True", "True"], [True, False], [True, True, False])
    assert slots.take(*KEY, 3)
    slots.close()


def test_files_of_places_are_closed_with_their_variant_once_no_request_is_under_way(tmp_path):
    def count_open():
        found = [one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        return len([one for one in found if tmp_path in one.parents])

    slots = Slots(tmp_path)
    slots.take(*KEY, 1)
    slots.take("other", "AllTraffic", 1)
    slots.release("other", "AllTraffic")
    opened = count_open()

    slots.forget_others(set())
    left = count_open()
    slots.release(*KEY)
    slots.forget_others(set())

    assert (opened, left, count_open()) == (2, 1, 0)
    assert slots.take(*KEY, 1)
    slots.close()


SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 4}}
SLEEPY = {"FARERO_SERVERLESS_IDLE_S": "1"}


def test_an_idle_endpoint_stays_in_service_without_any_process(domain, wait_status, wait_for):
    domain.commands.create(
        domain.ctx, "iris", domain.config("c", ("AllTraffic", SLEEPY, SERVERLESS))
    )
    wait_status("InService")

    wait_for(lambda: not domain.replicas(), 30)

    assert domain.get().status == "InService"
    assert [p for p in domain.compute.list("endpoint/iris/") if p.state == "running"] == []


def test_a_sleeping_endpoint_is_looked_at_as_seldom_as_any_at_rest(domain, wait_status, wait_for):
    domain.commands.create(
        domain.ctx, "iris", domain.config("c", ("AllTraffic", SLEEPY, SERVERLESS))
    )
    wait_status("InService")
    wait_for(lambda: not domain.replicas(), 30)

    def is_far_away():
        with domain.store.read() as db:
            due = [item.due for item in work_rows.list_all(db)]
        return bool(due) and min(due) - domain.clock.now() > LOOK_AGAIN

    wait_for(is_far_away, 30)


def asking(domain, replicas, claim):
    """Return a claim that asks for replicas now and again, as a gateway does for as long as requests wait."""
    asked = float("-inf")

    def look():
        nonlocal asked
        if domain.clock.monotonic() - asked > 0.3:
            asked = domain.clock.monotonic()
            poke(domain.socket_path, f"endpoint.wake iris/AllTraffic/{replicas}")
        return claim()

    return look


def test_a_call_wakes_a_sleeping_endpoint_and_routes_know_its_replica_while_it_starts(
    domain, wait_status, wait_for
):
    domain.commands.create(
        domain.ctx, "iris", domain.config("c", ("AllTraffic", SLEEPY, SERVERLESS))
    )
    wait_status("InService")
    wait_for(lambda: not domain.replicas(), 30)
    domain.router.refresh()
    before = domain.router.replica_ids()

    def known():
        there = {replica.id for replica in domain.replicas()}
        domain.router.refresh()
        return there if there == domain.router.replica_ids() else None

    assert before == set()
    assert len(wait_for(asking(domain, 1, known))) == 1


def test_a_wish_for_more_is_met_and_the_surplus_goes_after_the_idle_time(
    domain, wait_status, wait_for
):
    domain.commands.create(
        domain.ctx, "iris", domain.config("c", ("AllTraffic", SLEEPY, SERVERLESS))
    )
    wait_status("InService")

    def are_ready():
        return [r.state for r in domain.replicas()].count("ready") == 3

    wait_for(asking(domain, 3, are_ready), 30)
    wait_for(lambda: not domain.replicas(), 30)


def test_provisioned_replicas_are_there_before_the_first_request_and_stay(
    domain, wait_status, wait_for
):
    provisioned = {
        "ServerlessConfig": SERVERLESS["ServerlessConfig"] | {"ProvisionedConcurrency": 2}
    }
    domain.commands.create(
        domain.ctx, "iris", domain.config("c", ("AllTraffic", SLEEPY, provisioned))
    )
    wait_status("InService")
    ready = wait_for(lambda: [r for r in domain.replicas() if r.state == "ready"][1:], 30)

    wait_for(asking(domain, 3, lambda: len(domain.replicas()) == 3), 30)
    wait_for(lambda: len(domain.replicas()) == 2, 30)
    assert {r.id for r in ready} <= {r.id for r in domain.replicas()}


def test_the_use_of_concurrency_is_measured_under_the_names_of_aws():
    use = Use(most=8, provisioned=2)
    for under_way in (1, 2, 3, 4):
        use.count(under_way)

    told = {one.metric.name: (one.values, one.unit) for one in data({KEY: use}, NOW)}

    assert told == {
        "ServerlessConcurrentExecutionsUtilization": ((0.5,), "None"),
        "ServerlessProvisionedConcurrencyExecutions": ((2.0,), "Count"),
        "ServerlessProvisionedConcurrencyUtilization": ((1.0,), "None"),
        "ServerlessProvisionedConcurrencyInvocations": ((2.0,), "Count"),
        "ServerlessProvisionedConcurrencySpilloverInvocations": ((2.0,), "Count"),
    }


def test_without_provisioned_concurrency_nothing_is_said_of_it():
    use = Use(most=4, provisioned=0, peak=1, requests=9, spilled=9)

    assert [one.metric.name for one in data({KEY: use}, NOW)] == [
        "ServerlessConcurrentExecutionsUtilization"
    ]
