"""Callers that send slowly, never end, only stay, or are too many: nobody else waits for them, and they are told.

T15 and T16 of the test plan, and overload. Ambiguous and oversized requests are in tests/gateway/test_limits.py.
"""

import asyncio
import contextlib
import resource

import pytest
from tests.chaos.conftest import NIGHTLY, Bench
from tests.conftest import load_script

pytestmark = pytest.mark.chaos
soak = load_script("soak", "benchmarks")

CROWD = 10_000 if NIGHTLY else 1_000
HEALTH = b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
INVOKE = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: localhost\r\n"
#: How a request begins and what of it follows, a byte a second; none of them ever ends.
SLOW = {
    "a head that trickles": (b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"x" * 100),
    "half a head": (INVOKE, b""),
    "a body that trickles": (INVOKE + b"Content-Length: 1000\r\n\r\n", b"x" * 100),
    "half a body": (INVOKE + b"Content-Length: 1000\r\n\r\n" + b"x" * 500, b""),
    "chunks that trickle": (INVOKE + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 20),
    "a body that was asked for and never came": (
        INVOKE + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n", b"",
    ),
    "an upload that trickles": (
        b"PUT /b/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", b"x" * 100,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def many_files():
    """As many connections as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def trickle(port, begin, rest):
    """Send a request that never ends; return all that comes back until the gateway hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(begin)
        answer = asyncio.ensure_future(reader.read())
        for at in range(len(rest)):
            done, _ = await asyncio.wait([answer], timeout=1)
            if done:
                break
            writer.write(rest[at : at + 1])
        return await answer
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_t15_a_thousand_slow_callers_are_sent_away_and_nobody_waits_for_them(shared_bench):
    bench, name = shared_bench, "unhurried"
    bench.deploy_script([name])
    kinds = list(SLOW.values())

    async def crowd():
        several = [trickle(bench.platform.port, *kinds[n % len(kinds)]) for n in range(1000)]
        async with asyncio.timeout(180):
            return await asyncio.gather(*several)

    gateways = bench.pids("gateway")
    with bench.load(name, connections=4, rate=60) as load:
        load.wait_for_more(20)
        answers = asyncio.run(crowd())
        load.wait_for_more(20)

    first_lines = {
        kind: {answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")[:12] for answer in answers[n :: len(kinds)]}
        for n, kind in enumerate(SLOW)
    }  # fmt: skip
    # Who still sends when the connection is closed may not read why; who waits does.
    quiet = [kind for kind, (_, rest) in SLOW.items() if not rest]
    assert [first_lines.pop(kind) for kind in quiet] == [{b"HTTP/1.1 408"}] * len(quiet)
    assert set().union(*first_lines.values()) <= {b"HTTP/1.1 408", b""}
    assert load.faults == []
    assert bench.pids("gateway") == gateways
    bench.remove([name])


def test_t16_idle_connections_cost_little_and_harm_nobody(shared_bench, wait_for):
    bench, name = shared_bench, "idle"
    bench.deploy_script([name])
    (gateway,) = bench.pids("gateway")
    with bench.load(name, total=50):
        pass
    before = soak.held_by(gateway)

    async def crowd():
        address = ("127.0.0.1", bench.platform.port)
        several = [await asyncio.open_connection(*address) for _ in range(CROWD)]
        for reader, writer in several:  # each one is really there: it gets an answer
            writer.write(HEALTH)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        grown = soak.held_by(gateway).resident_bytes - before.resident_bytes
        with bench.load(name, connections=4, rate=60, total=100) as load:
            await asyncio.to_thread(load.wait_for_more, 50)
        for _, writer in several:
            writer.close()
        return grown, load

    grown, load = asyncio.run(crowd())

    assert load.faults == []
    assert grown <= CROWD * 20 * 1024 + 4 * 1024 * 1024
    wait_for(lambda: soak.held_by(gateway).descriptors <= before.descriptors + 16, 30)
    assert bench.pids("gateway") == [gateway]
    bench.remove([name])


def test_t16_more_connections_than_files_are_not_the_end_of_the_gateway(
    stopped_platform, booster, wait_for
):
    most = 200

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    stopped_platform.farero("up", "-d", preexec_fn=few_files)
    bench = Bench(stopped_platform, booster)
    bench.deploy_script(["few"])
    (gateway,) = bench.pids("gateway")
    with bench.load("few", connections=2, rate=40) as load:
        load.wait_for_more(5)

        async def crowd():
            several = [
                await asyncio.open_connection("127.0.0.1", stopped_platform.port)
                for _ in range(most + 100)
            ]
            await asyncio.to_thread(load.wait_for_more, 20)  # who is connected is served
            for _, writer in several:
                writer.close()

        asyncio.run(crowd())
        load.wait_for_more(20)

    assert load.faults == []
    with bench.load("few", connections=8, total=40) as later:
        pass
    assert later.faults == []
    assert bench.pids("gateway") == [gateway]


BUSY = b"""
import time
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model):
    time.sleep(0.01)
    return data[::-1]
def output_fn(prediction, accept): return prediction, "text/csv"
"""


def signed(platform, endpoint):
    """Return the bytes of one signed request."""
    key = soak.fresh.owner(platform.data_dir)
    return soak.fresh.signed(key, platform.port, endpoint, b"1,2", "text/csv")


async def first_refusal(platform, request, count):
    """Send one request on each of `count` connections; return what the first refusal says and how many still wait."""
    several = [await asyncio.open_connection("127.0.0.1", platform.port) for _ in range(count)]
    for _, writer in several:
        writer.write(request)
    answers = {asyncio.ensure_future(reader.readuntil(b"\r\n\r\n")) for reader, _ in several}
    try:
        async with asyncio.timeout(120):
            while answers:
                done, answers = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
                heads = [one.result() for one in done]
                if refused := [head for head in heads if not head.startswith(b"HTTP/1.1 200")]:
                    return refused[0], len(answers)
    finally:
        for one in answers:
            one.cancel()
        for _, writer in several:
            writer.close()
    return b"", 0


def test_more_requests_than_can_wait_are_refused_at_once_with_a_time_to_come_back(shared_bench):
    bench, name = shared_bench, "crowded"
    bench.deploy_script([name], script=BUSY)
    request = signed(bench.platform, name)

    refused, waiting = asyncio.run(first_refusal(bench.platform, request, 3000))

    assert refused.startswith(b"HTTP/1.1 503"), refused
    assert b"\r\nretry-after: 1\r\n" in refused.lower()
    assert waiting > 500
    bench.platform.wait(
        lambda: asyncio.run(first_refusal(bench.platform, request, 1))[0] == b"", 90
    )
    bench.remove([name])


TELLS = BUSY.replace(b"    time.sleep(0.01)", b"    print('asked', flush=True); time.sleep(0.1)")


def test_requests_whose_callers_have_left_are_not_sent_again(shared_bench, wait_for):
    bench, name = shared_bench, "deserted"
    bench.deploy_script([name], script=TELLS)
    request = signed(bench.platform, name)
    (gateway,) = bench.pids("gateway")
    with bench.load(name, total=5):
        pass
    logs = bench.platform.data_dir / "logs" / "endpoints" / name

    def asked():
        return sum(path.read_text(encoding="utf-8").count("asked") for path in logs.iterdir())

    async def ask_and_leave():
        before = soak.held_by(gateway).descriptors
        address = ("127.0.0.1", bench.platform.port)
        several = [await asyncio.open_connection(*address) for _ in range(200)]
        for _, writer in several:
            writer.write(request)
        # Others' connections, counted before, may be closed meanwhile.
        await asyncio.to_thread(wait_for, lambda: soak.held_by(gateway).descriptors >= before + 180)
        await asyncio.to_thread(wait_for, lambda: asked() > 5)
        for _, writer in several:
            writer.close()
        await asyncio.to_thread(wait_for, lambda: soak.held_by(gateway).descriptors <= before + 20)

    asyncio.run(ask_and_leave())
    bench.kill("replica", name)
    reached = asked()  # until it is killed it goes on with what it was asked for
    bench.platform.wait(lambda: bench.ready(name))
    with bench.load(name, total=3, connections=1) as load:
        pass

    assert load.faults == []
    assert asked() - reached < 10  # the three
    bench.remove([name])


def test_more_requests_than_max_concurrency_are_throttled_with_a_time_to_come_back(shared_bench):
    bench, name = shared_bench, "throttled"
    model = bench.model(name, {"code/inference.py": BUSY})
    config = bench.config(name, model, serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 1})
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    bench.wait_status(name, "InService")
    request = signed(bench.platform, name)

    refused, _ = asyncio.run(first_refusal(bench.platform, request, 60))

    assert refused.startswith(b"HTTP/1.1 429"), refused
    assert b"\r\nretry-after: 1\r\n" in refused.lower()
    bench.remove([name])
