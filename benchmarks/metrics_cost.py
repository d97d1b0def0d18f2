"""What it costs to measure invocations: one real gateway, the same requests, with metrics and without, in turns.

python benchmarks/metrics_cost.py [ROUNDS] [REQUESTS A ROUND]

A gateway process answers signed InvokeEndpoint requests over 8 connections from a model that does nothing. Between
rounds its metrics are turned on and off, so that both see the same process, memory and machine. CPU time is the
gateway's own (getrusage), all threads, so that the second's fold and the write to SQL are in it; unlike requests a
second it is hardly disturbed by what else the machine does.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import fresh
import lone_gateway
from lone_gateway import HEAD, ask

from farero import processes
from farero.app import gateway as composition
from farero.app.core import system_app
from farero.base.clock import SystemClock
from farero.base.config import read_settings
from farero.endpoints.invocations import Invocations
from farero.endpoints.router import VariantRoute

if TYPE_CHECKING:
    import subprocess

CONNECTIONS = 8
BODY = b"5.1,3.5,1.4,0.2\n"


class Timed:
    """Metrics that are turned on; `seconds` is what the two halves of their work have taken of their threads' time."""

    def __init__(self, inner: Invocations) -> None:
        self._inner = inner
        self.note = inner.note
        self._flushed_s = 0.0

    @property
    def seconds(self) -> tuple[float, float]:
        """Of one note, measured now, and of all flushes."""
        scratch = Invocations(SystemClock(), self._inner._totals, put=len)  # noqa: SLF001 - left as they are
        route = VariantRoute(name="AllTraffic", weight=1, replicas=())
        began = time.thread_time()
        for _ in range(10_000):
            scratch.note("iris", route, 200, 0.001, 0.0)
        return (time.thread_time() - began) / 10_000, self._flushed_s

    def flush(self) -> None:
        """Fold and store."""
        began = time.thread_time()
        self._inner.flush()
        self._flushed_s += time.thread_time() - began


def main() -> int:
    """Run rounds in turns; print what one request costs with and without metrics."""
    if sys.argv[1:2] == ["gateway"]:
        return gateway_main(sys.argv[2])
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        threading.Thread(
            target=lambda: asyncio.run(serve_model(f"{folder}/m.sock")), daemon=True
        ).start()
        child = lone_gateway.start(Path(folder), __file__, "gateway", f"{folder}/m.sock")
        try:
            compare(child, Path(folder), rounds, count)
        finally:
            child.terminate()
            child.wait()
    return 0


def compare(child: subprocess.Popen[str], folder: Path, rounds: int, count: int) -> None:
    port = int(ask(child, None))
    key = fresh.owner(folder / "data")
    request = fresh.signed(key, port, lone_gateway.ENDPOINT, BODY, "text/csv")
    cpu: dict[str, list[float]] = {"on": [], "off": []}
    rate: dict[str, list[float]] = {"on": [], "off": []}
    notes: list[float] = []
    flushes: list[float] = []
    asyncio.run(load(port, request, count))  # warm-up
    for turn in range(rounds):
        for kind in ("on", "off") if turn % 2 else ("off", "on"):
            before = [float(word) for word in ask(child, kind).split()]
            began = time.perf_counter()
            asyncio.run(load(port, request, count))
            rate[kind].append(count / (time.perf_counter() - began))
            time.sleep(
                1.2
            )  # until what was noted is folded and stored; in both, for what else happens each second
            after = [float(word) for word in ask(child, kind).split()]
            cpu[kind].append((after[0] - before[0]) / count * 1e6)
            if kind == "on":
                notes.append(after[1] * 1e6)
                flushes.append((after[2] - before[2]) / count * 1e6)
    for kind in ("off", "on"):
        print(
            f"metrics {kind:3}: {statistics.median(cpu[kind]):6.1f} µs of CPU a request, at least "
            f"{min(cpu[kind]):6.1f}; {statistics.median(rate[kind]):5.0f} requests/s, at most {max(rate[kind]):5.0f}"
        )
    own = statistics.median(notes) + statistics.median(flushes)
    print(
        f"metrics' own work: {statistics.median(notes):.2f} µs to note a request, "
        f"{statistics.median(flushes):.2f} µs to fold and store it: {own / statistics.median(cpu['off']):.2%}"
    )
    added = [b / a - 1 for a, b in zip(cpu["off"], cpu["on"], strict=True)]
    slower = [1 - b / a for a, b in zip(rate["off"], rate["on"], strict=True)]
    least = min(cpu["on"]) / min(cpu["off"]) - 1
    most = 1 - max(rate["on"]) / max(rate["off"])
    print(
        f"CPU time more with metrics: {statistics.median(added):.2%} (median of {rounds} pairs), "
        f"{least:.2%} (least disturbed rounds)"
    )
    print(f"requests a second less: {statistics.median(slower):.2%}, {most:.2%}")


def gateway_main(model: str) -> int:
    """Be the gateway; `on` and `off` come by stdin, each answered with the CPU seconds used so far."""
    app = system_app(read_settings())
    lone_gateway.put_endpoint(app, {"AllTraffic": model})
    gateway = composition.GatewayApp(app)
    room, real = gateway.rooms["sagemaker-runtime"], Timed(gateway.invocations)
    composition.GatewayApp = lambda _: gateway
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    print(listening.getsockname()[1], flush=True)

    def obey() -> None:
        for line in sys.stdin:
            made = real if line.strip() == "on" else lone_gateway.Off()
            room._invocations = gateway.invocations = made  # noqa: SLF001 - turns it off from outside
            print(lone_gateway.cpu_seconds(), *real.seconds, flush=True)

    threading.Thread(target=obey, daemon=True).start()
    processes.run_loop(processes.serve_gateway(app, listening))
    return 0


async def serve_model(path: str) -> None:
    """Answer every frame at once with the same."""
    said = b'{"status":200,"headers":{"content-type":"text/csv"}}'

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        while head := await reader.read(HEAD.size):
            length, number, _ = HEAD.unpack(head + await reader.readexactly(HEAD.size - len(head)))
            await reader.readexactly(length - 6)
            writer.write(HEAD.pack(6 + len(said) + 2, number, len(said)) + said + b"1\n")

    server = await asyncio.start_unix_server(connection, path)
    await server.serve_forever()


async def load(port: int, request: bytes, count: int) -> None:
    """Send `count` requests over a few connections, each as soon as the one before it is answered."""
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            assert await fresh.read_status(reader) == 200
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    sys.exit(main())
