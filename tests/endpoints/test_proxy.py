"""The hop to a replica: multiplexed, retried, patient, and indifferent to callers that leave."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import PATIENCE

from farero.base.clock import SystemClock
from farero.base.errors import LimitExceeded, NotReady
from farero.endpoints.frames import request_head
from farero.endpoints.proxy import MOST_IN_FLIGHT, InvocationTimedOut, Proxy, ReplicaDied
from farero.endpoints.replicas import ping
from farero.endpoints.router import ReplicaRoute, VariantRoute

PROGRAM = Path(__file__).parent / "program"


class Server:
    """The small model server as a process on a socket; can be killed and started again."""

    def __init__(self, path, name):
        self.path, self.name, self.process = path, name, None

    def start(self):
        env = {
            "PYTHONPATH": str(PROGRAM),
            "FARERO_SOCKET": str(self.path),
            "MODEL_NAME": self.name,
            "PATH": os.environ["PATH"],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "farero_container", "serve"],
            env=env,
            stdout=subprocess.DEVNULL,
        )
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def route(self):
        return ReplicaRoute(id=self.name, socket_path=str(self.path))


@pytest.fixture
def servers(tmp_path, wait_for):
    made = [Server(tmp_path / f"{name}.sock", name).start() for name in ("a", "b")]
    for server in made:
        wait_for(lambda server=server: ping(str(server.path)) == 200)
    yield made
    for server in made:
        server.kill()


def finder(*servers, **changes):
    facts = {"name": "AllTraffic", "weight": 1.0, "replicas": tuple(s.route for s in servers)}
    route = VariantRoute(**(facts | changes))

    async def find():
        return route

    return find


def run(work, **settings):
    async def main():
        proxy = Proxy(clock=SystemClock(), **settings)
        try:
            return await work(proxy)
        finally:
            proxy.close()

    return asyncio.run(main())


async def say(proxy, find, body, headers=None):
    _, reply = await proxy.invoke("iris", find, headers or {}, body)
    return reply


async def kill_under_a_request(proxy, server, file):
    """Kill a replica that works on a request until there is a file; return the finder of it alone, and that request."""
    find = finder(server)
    await say(proxy, find, b"warm")
    slow = asyncio.create_task(say(proxy, find, b"until %s" % bytes(file)))
    await say(proxy, find, b"warm")
    server.kill()
    file.touch()
    return find, slow


async def come_back(server, wait_for):
    """Start a replica again and see it answer."""
    server.start()
    await asyncio.to_thread(wait_for, lambda: ping(str(server.path)) == 200)


def test_body_and_headers_arrive_and_come_back(servers):
    async def work(proxy):
        find = finder(servers[0])
        echoed = await say(proxy, find, b"\x00\xff body", {"content-type": "text/csv"})
        told = await say(proxy, find, b"headers", {"accept": "text/csv"})
        return echoed, told

    echoed, told = run(work)

    assert (echoed.status, echoed.body, echoed.headers) == (
        200,
        b"\x00\xff body",
        {"content-type": "text/csv"},
    )
    assert told.body == b'{"accept": "text/csv"}'


def test_many_requests_share_a_connection_and_each_gets_its_own_answer(servers):
    async def work(proxy):
        find = finder(servers[0])
        bodies = [f"{number} {'x' * (number * 37 % 5000)}".encode() for number in range(300)]
        replies = await asyncio.gather(*(say(proxy, find, body) for body in bodies))
        return bodies, [reply.body for reply in replies]

    bodies, answers = run(work)

    assert answers == bodies


def test_large_bodies_pass_both_ways(servers):
    body = os.urandom(6 * 1024 * 1024)

    async def work(proxy):
        find = finder(servers[0])
        return await asyncio.gather(*(say(proxy, find, body) for _ in range(4)))

    assert all(reply.body == body for reply in run(work))


def test_a_fast_answer_overtakes_a_slow_one(servers, tmp_path):
    async def work(proxy):
        find, file = finder(servers[0]), tmp_path / "file"
        slow = asyncio.create_task(say(proxy, find, b"until %s" % bytes(file)))
        await say(proxy, find, b"first")
        was_done = slow.done()
        file.touch()
        return was_done, (await slow).body

    assert run(work) == (False, b"there")


def test_requests_are_spread_over_replicas(servers):
    async def work(proxy):
        find, seen = finder(*servers), set()
        async with asyncio.timeout(PATIENCE * 20):
            while len(seen) < 2:  # until both are reached, requests go to the first
                seen.add((await say(proxy, find, b"name")).body.split()[0])
        return [(await say(proxy, find, b"name")).body.split()[0] for _ in range(20)]

    answers = run(work)

    assert (answers.count(b"a"), answers.count(b"b")) == (10, 10)


def test_a_replica_that_dies_under_a_request_costs_nobody_anything(servers):
    async def work(proxy):
        find = finder(*servers)
        await asyncio.gather(*(say(proxy, find, b"warm") for _ in range(4)))
        slow = [asyncio.create_task(say(proxy, find, b"sleep 0.5")) for _ in range(10)]
        await say(proxy, find, b"warm")
        servers[0].kill()
        return [reply.body for reply in await asyncio.gather(*slow)]

    assert run(work) == [b"slept"] * 10


def test_the_only_replica_is_waited_for(servers, tmp_path):
    async def work(proxy):
        find, slow = await kill_under_a_request(proxy, servers[0], tmp_path / "file")
        await asyncio.sleep(0)
        later = asyncio.create_task(say(proxy, find, b"name"))
        await asyncio.sleep(0.1)
        servers[0].start()
        return (await slow).body, (await later).status

    assert run(work) == (b"there", 200)


def test_a_replica_that_came_back_gets_its_share_again(servers):
    async def work(proxy):
        find = finder(*servers)
        await say(proxy, find, b"warm")
        servers[0].kill()
        await say(proxy, find, b"name")
        servers[0].start()
        deadline = asyncio.get_running_loop().time() + PATIENCE * 10
        while (await say(proxy, find, b"name")).body.split()[0] != b"a":
            assert asyncio.get_running_loop().time() < deadline
        return True

    assert run(work)


def test_a_request_that_kills_twice_is_not_tried_a_third_time(servers):
    async def work(proxy):
        await say(proxy, finder(*servers), b"die")

    with pytest.raises(ReplicaDied):
        run(work)


def test_a_request_that_kills_and_comes_again_after_a_refusal_is_not_tried_once_more(
    servers, wait_for
):
    """A slow model is not back in time: its program is told to come again, and comes with what it died of."""

    async def work(proxy):
        find = finder(servers[0])
        told = []
        for body in (b"die", b"die"):
            with pytest.raises((NotReady, ReplicaDied)) as caught:
                await say(proxy, find, body)
            told.append(caught.value)
            servers[0].process.wait()
            await come_back(servers[0], wait_for)
        return told, (await say(proxy, find, b"name")).body.split()[0]

    (first, second), after = run(work, respawn_wait_s=1.0)

    assert isinstance(first, NotReady)
    assert "died while it worked on this request" in str(first)
    assert isinstance(second, ReplicaDied)
    assert after == b"a"


def test_a_request_whose_replica_was_killed_and_that_comes_again_is_served(
    servers, wait_for, tmp_path
):
    file = tmp_path / "file"

    async def work(proxy):
        find, slow = await kill_under_a_request(proxy, servers[0], file)
        with pytest.raises(NotReady):
            await slow
        await come_back(servers[0], wait_for)
        return (await say(proxy, find, b"until %s" % bytes(file))).body

    assert run(work, respawn_wait_s=1.0) == b"there"


def test_no_replica_at_all_is_refused_after_the_wait(tmp_path):
    nobody = Server(tmp_path / "nobody.sock", "nobody")

    async def work(proxy):
        await say(proxy, finder(nobody), b"x")

    with pytest.raises(NotReady):
        run(work, respawn_wait_s=0.3)


def test_a_slow_answer_is_given_up_and_the_connection_lives_on(servers):
    async def work(proxy):
        find = finder(servers[0])
        first = (await say(proxy, find, b"name")).body
        with pytest.raises(InvocationTimedOut):
            await say(proxy, find, b"sleep 60")
        return first == (await say(proxy, find, b"name")).body

    assert run(work, timeout_s=2.0)


def test_callers_that_leave_do_not_hurt_others(servers):
    async def work(proxy):
        find = finder(servers[0])
        leaving = [asyncio.create_task(say(proxy, find, b"sleep 0.2")) for _ in range(50)]
        staying = [asyncio.create_task(say(proxy, find, b"sleep 0.4")) for _ in range(50)]
        await say(proxy, find, b"warm")
        for task in leaving:
            task.cancel()
        return [reply.body for reply in await asyncio.gather(*staying)]

    assert run(work) == [b"slept"] * 50


def test_no_more_requests_than_max_concurrency_at_a_time(servers):
    async def work(proxy):
        find = finder(servers[0], max_concurrency=2)
        busy = [asyncio.create_task(say(proxy, find, b"sleep 0.5")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded):
            await say(proxy, find, b"x")
        await asyncio.gather(*busy)
        return (await say(proxy, find, b"room again")).status

    assert run(work) == 200


def test_one_request_too_many_is_refused_at_once(servers):
    async def work(proxy):
        find = finder(servers[0])
        await say(proxy, find, b"warm")
        waiting = [
            asyncio.create_task(say(proxy, find, b"sleep 60")) for _ in range(MOST_IN_FLIGHT)
        ]
        await asyncio.sleep(0)
        with pytest.raises(NotReady, match=f"has {MOST_IN_FLIGHT} requests waiting"):
            await say(proxy, find, b"one more")
        were_done = any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return were_done, (await say(proxy, find, b"room again")).status

    assert run(work) == (False, 200)


def test_connections_to_replicas_that_are_gone_are_closed(servers):
    async def work(proxy):
        await asyncio.gather(*(say(proxy, finder(*servers), b"x") for _ in range(4)))
        proxy.forget_others(["b"])
        return sorted(proxy._hops)

    assert run(work) == ["b"]


class Waiting:
    """Takes the answer to a request that was sent at once."""

    def __init__(self):
        self.sent, self.outcome = 0.0, asyncio.get_running_loop().create_future()

    def answered(self, head, body, at):
        assert at >= self.sent
        self.outcome.set_result((head.status, body))

    def failed(self, error):
        self.outcome.set_exception(error)


def test_requests_sent_at_once_count_towards_the_use_of_a_serverless_variant(servers):
    async def work(proxy):
        find = finder(servers[0], max_concurrency=4, provisioned=1)
        await say(proxy, find, b"connects")
        proxy.take_uses()
        variant, head = await find(), request_head("/invocations", {})
        both = [Waiting(), Waiting()]
        for one in both:
            assert proxy.try_send("iris", variant, head, b"body", one) == "a"
        for one in both:
            await one.outcome
            proxy.end("iris", variant)
        return proxy.take_uses()["iris", "AllTraffic"]

    use = run(work)

    assert (use.requests, use.peak, use.spilled) == (2, 2, 1)
