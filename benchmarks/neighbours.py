"""What the worst that others do costs a neighbour: its p99 beside each, against its p99 alone, in one run.

python benchmarks/neighbours.py [ROUNDS] [SECONDS] [KIND …]     (5 rounds of 5 s, all kinds: 20 minutes)

One platform. The neighbour is an XGBoost endpoint that gets 200 signed, captured requests a second over 16
connections. Each kind of bad model has an endpoint of its own, deployed by boto3, and does its worst throughout its
window: it is asked again as soon as it is through or its next process is there. A round takes the kinds one by one: a
window of the neighbour alone, then one beside that kind; between windows the platform comes to rest. The neighbour's
callers have a process of their own, or they would wait for those that do harm. A latency counts from when the request
was due where its connection still waited for the answer before. `computes` is a good model that uses a core, for
comparison. Exit status 1 if a request of the neighbour failed, or a ratio is above its limit.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fresh, soak
from benchmarks.fresh import BUCKET, ROLE
from benchmarks.serving import load

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    Work = Callable[..., Coroutine[Any, Any, None]]

RATE, CONNECTIONS = 200, 16
IDLE, SLOW = 10_000, 1_000
#: CPU seconds that the platform may take in half a second and still be at rest.
AT_REST_S = 0.05
NEIGHBOUR = "soak"
#: Does what a request says: a deed and, for some, how much of it.
OBEYS = b"""
import ctypes, os, time
KEPT = []
def hang(): time.sleep(600)
def crash(): ctypes.string_at(0)
def leave(): os._exit(7)
def eat():
    for _ in range(1500): KEPT.append(b"x" * 2**20)
    time.sleep(600)
def fork(count=10_000):
    for _ in range(count):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
def desert():
    fork(20)
    os._exit(7)
def close():
    os.closerange(3, 4096)
    time.sleep(600)
def flood(megabytes):
    for _ in range(megabytes * 1024): print("x" * 1023)
def fill(megabytes):
    with open(os.environ["TMPDIR"] + "/filled", "wb") as file:
        for _ in range(megabytes): file.write(b"x" * 2**20)
def compute(milliseconds):
    until = time.monotonic() + milliseconds / 1000
    while time.monotonic() < until: pass
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model):
    deed, *much = data.split()
    if deed in globals(): globals()[deed](*map(int, much))
    return data[::-1]
def output_fn(prediction, accept): return prediction, "text/csv"
"""
LOADS = b"import time\ndef model_fn(model_dir): time.sleep(600)\n"
#: What a model of each kind is asked to do, and the status which shows that it did.
DEEDS = {
    "hangs": (b"hang", 424),
    "crashes": (b"crash", 424),
    "leaves": (b"leave", 424),
    "eats memory": (b"eat", 424),
    "forks without end": (b"fork", 424),
    "closes its files": (b"close", 424),
    "floods its log": (b"flood 10", 200),
    "fills the disk": (b"fill 200", 200),
    "computes": (b"compute 100", 200),
}
LOADING = "hangs while it loads"
#: Kind → how many times the neighbour's p99 alone its p99 may be (T04, T15, T16, T32).
LIMITS = dict.fromkeys([*DEEDS, LOADING, "slow callers", "idle connections"], 1.5)
LIMITS |= {"worker killed": 1.2, "computes": float("inf")}


def main() -> int:
    """Deploy, measure round by round, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    kinds = sys.argv[3:] or list(LIMITS)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        site = fresh.Site(Path(folder))
        with site.running():
            soak.deploy(site)
            bench = Bench(site, seconds)
            for kind in kinds:
                if kind in {*DEEDS, LOADING}:
                    bench.deploy(kind)
            bench.alone()  # what is only done once
            for _ in range(rounds):
                for kind in kinds:
                    bench.compare(kind)
    return bench.tell(kinds)


class Bench:
    """The platform, and what was measured: kind → (p99 alone, p99 beside it) of each round, in ms."""

    def __init__(self, site: fresh.Site, seconds: float) -> None:
        self.found: dict[str, list[tuple[float, float]]] = {}
        #: Kind → how often it did what it does, in all windows together.
        self.times: collections.Counter[str] = collections.Counter()
        self.failed = 0
        self._site, self._seconds = site, seconds
        self._sagemaker, self._s3 = site.client("sagemaker"), site.client("s3")
        self._pid = int(site.control.info()["pid"])

    def deploy(self, kind: str) -> None:
        """Make a model of this kind, and its endpoint where it can come into service."""
        name = name_of(kind)
        script = LOADS if kind == LOADING else OBEYS
        model = fresh.archive({"code/inference.py": script})
        self._s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=model)
        self._sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": soak.IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz",
                "Environment": {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"},
            },
        )  # fmt: skip
        # Only a serverless variant has a limit of its memory.
        size: dict[str, Any] = (
            {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}}
            if kind == "eats memory"
            else {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        )
        variant = {"VariantName": "AllTraffic", "ModelName": name, **size}
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant]
        )
        if script is OBEYS:
            soak.come_and_stay(self._sagemaker, name, config=name)

    def compare(self, kind: str) -> None:
        """Measure one window of the neighbour alone and one beside this model."""
        self._rest()
        alone = self.alone()
        self._rest()
        beside = asyncio.run(self._beside(kind))
        self.found.setdefault(kind, []).append((p99(alone), p99(beside)))

    def alone(self) -> list[float]:
        """Return the neighbour's latencies in ms."""
        request = self._site.signed(NEIGHBOUR, soak.BODY)
        mine, theirs = multiprocessing.Pipe(duplex=False)
        caller = multiprocessing.get_context("fork").Process(
            target=lambda: theirs.send(asyncio.run(self._calls(request)))
        )
        caller.start()
        theirs.close()
        took, failed = mine.recv()
        caller.join()
        self.failed += failed
        return took

    async def _calls(self, request: bytes) -> tuple[list[float], int]:
        """Return latencies in ms, and how many requests failed."""
        begin = time.monotonic() + 0.2
        parts = await asyncio.gather(
            *(self._call(request, begin + n / RATE) for n in range(CONNECTIONS))
        )
        return [one for took, _ in parts for one in took], sum(failed for _, failed in parts)

    async def _call(self, request: bytes, due: float) -> tuple[list[float], int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._site.port)
        took: list[float] = []
        failed = 0
        for number in range(round(self._seconds * RATE / CONNECTIONS)):
            began = due + number * CONNECTIONS / RATE
            if (early := began - time.monotonic()) > 0:
                await asyncio.sleep(early)
                began = time.monotonic()  # a timer that is late is no delay of the platform's
            writer.write(request)
            failed += await fresh.read_status(reader) != 200
            took.append((time.monotonic() - began) * 1000)
        await close(writer)
        return took, failed

    async def _beside(self, kind: str) -> list[float]:
        async with self._harm(kind):
            return await asyncio.to_thread(self.alone)

    def _harm(self, kind: str) -> AbstractAsyncContextManager[None]:
        match kind:
            case "hangs while it loads":
                return self._loading()
            case "idle connections":
                return self._idle()
            case "slow callers":
                return self._throughout(self._be_slow)
            case "worker killed":
                return self._throughout(self._kill)
        return self._throughout(self._ask, kind)

    @contextlib.asynccontextmanager
    async def _throughout(self, work: Work, *arguments: Any) -> AsyncGenerator[None]:
        is_over = asyncio.Event()
        task = asyncio.create_task(work(is_over, *arguments))
        yield
        is_over.set()
        await task

    async def _ask(self, is_over: asyncio.Event, kind: str) -> None:
        body, expected = DEEDS[kind]
        reader, writer = await asyncio.open_connection("127.0.0.1", self._site.port)
        while not is_over.is_set():
            writer.write(self._site.signed(name_of(kind), body))
            status = await fresh.read_status(reader)
            # 503: it died so often that its next process is not there within the time a request waits.
            if status not in {expected, 503}:
                raise SystemExit(f"the model that {kind} answered {status}")
            self.times[kind] += status == expected
        await close(writer)

    @contextlib.asynccontextmanager
    async def _loading(self) -> AsyncGenerator[None]:
        name = name_of(LOADING)
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        yield
        found = self._sagemaker.describe_endpoint(EndpointName=name)
        self.times[LOADING] += found["EndpointStatus"] == "Creating"
        soak.leave(self._sagemaker, name)

    async def _kill(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            if worker := self._site.control.info()["worker"]:
                os.kill(int(worker), signal.SIGKILL)
                self.times["worker killed"] += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), 1.5)

    @contextlib.asynccontextmanager
    async def _idle(self) -> AsyncGenerator[None]:
        several: list[asyncio.StreamWriter] = []
        for _ in range(IDLE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._site.port)
            writer.write(b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await fresh.read_status(reader) == 200
            several.append(writer)
        self.times["idle connections"] += len(several)
        await asyncio.to_thread(self._rest)
        yield
        for writer in several:
            writer.close()

    async def _be_slow(self, is_over: asyncio.Event) -> None:
        await asyncio.gather(*(self._trickle(is_over, n / SLOW) for n in range(SLOW)))

    async def _trickle(self, is_over: asyncio.Event, wait_s: float) -> None:
        """Send the head of a request, a byte a second, until it is over or the gateway hangs up."""
        await asyncio.sleep(wait_s)
        _, writer = await asyncio.open_connection("127.0.0.1", self._site.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        self.times["slow callers"] += 1
        while not is_over.is_set() and not writer.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), 1)
            writer.write(b"x")
        await close(writer)

    def _rest(self) -> None:
        """Wait until the platform does next to nothing."""
        deadline = time.monotonic() + 60
        used = AT_REST_S
        while used >= AT_REST_S:
            if time.monotonic() > deadline:
                raise SystemExit("the platform does not come to rest")
            before = load.cpu_seconds(load.tree(self._pid))
            time.sleep(0.5)
            after = load.cpu_seconds(load.tree(self._pid))
            used = sum(total - before.get(pid, 0.0) for pid, total in after.items())

    def tell(self, kinds: list[str]) -> int:
        """Print the table; return the exit status."""
        print("| beside it | times | p99 ms, alone | beside | ratio | at most | |")
        print("|---|---|---|---|---|---|---|")
        is_bad = self.failed > 0
        for kind in kinds:
            alone, beside = zip(*self.found[kind], strict=True)
            ratios = sorted(b / a for a, b in self.found[kind])
            ratio, limit = statistics.median(ratios), LIMITS[kind]
            is_kept = ratio <= limit and self.times[kind] > 0
            is_bad |= not is_kept
            is_judged = limit < float("inf")
            print(
                f"| {kind} | {self.times[kind]:,} | {statistics.median(alone):.1f} "
                f"| {statistics.median(beside):.1f} | {ratio:.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}] "
                f"| {limit if is_judged else ''} | {('yes' if is_kept else '**no**') if is_judged else ''} |"
            )
        print(f"{self.failed} requests of the neighbour failed")
        return int(is_bad)


def name_of(kind: str) -> str:
    """Return the endpoint's name."""
    return kind.replace(" ", "-")


async def close(writer: asyncio.StreamWriter) -> None:
    """Hang up, whether or not the other side has."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def p99(took: list[float]) -> float:
    """Return the latency that one request in a hundred exceeds."""
    return sorted(took)[int(len(took) * 0.99)]


if __name__ == "__main__":
    sys.exit(main())
