"""What it costs to measure invocations: one real gateway, the same requests, with metrics and without, in turns.

python benchmarks/metrics_cost.py [ROUNDS] [REQUESTS A ROUND]

A gateway process answers signed InvokeEndpoint requests over 8 connections from a model that does nothing. Between
rounds its metrics are turned on and off, so that both see the same process, memory and machine. CPU time is the
gateway's own (getrusage), all threads, so that the second's fold and the write to SQL are in it; unlike requests a
second it is hardly disturbed by what else the machine does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero import processes
from farero.app import gateway as composition
from farero.app.core import system_app
from farero.base.clock import SystemClock
from farero.base.config import read_settings
from farero.endpoints.invocations import Invocations
from farero.endpoints.router import VariantRoute
from farero.records.endpoint import (
    Endpoint,
    EndpointStatus,
    Fleet,
    Replica,
    ReplicaState,
    Variant,
)
from farero.store import endpoints as rows
from farero.store import versions

CONNECTIONS = 8
HEAD = struct.Struct(">IIH")
BODY = b"5.1,3.5,1.4,0.2\n"


class Off:
    """Metrics that are turned off."""

    def note(self, *_: object) -> None:
        """Remember nothing."""

    def flush(self) -> None:
        """Store nothing."""


class Timed:
    """Metrics that are turned on; `seconds` is what the two halves of their work have taken of their threads' time."""

    def __init__(self, inner: Invocations) -> None:
        self._inner = inner
        self.note = inner.note
        self._each_s = 0.0
        self._flushed_s = 0.0

    @property
    def seconds(self) -> tuple[float, float]:
        """Of one note, measured now, and of all flushes."""
        scratch = Invocations(SystemClock(), self._inner._totals, put=len)  # noqa: SLF001 - left as they are
        route = VariantRoute(name="AllTraffic", weight=1, replicas=())
        began = time.thread_time()
        for _ in range(10_000):
            scratch.note("iris", route, 200, 0.001, 0.0)
        self._each_s = (time.thread_time() - began) / 10_000
        return self._each_s, self._flushed_s

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
        environ = {
            **os.environ,
            "FARERO_DATA_DIR": f"{folder}/data",
            "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials",
            "AWS_CONFIG_FILE": f"{folder}/config",
        }
        command = [sys.executable, __file__, "gateway", f"{folder}/m.sock"]
        child = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            compare(child, Path(folder), rounds, count)
        finally:
            child.terminate()
            child.wait()
    return 0


def compare(child: subprocess.Popen[str], folder: Path, rounds: int, count: int) -> None:
    port = int(ask(child, None))
    request = load_request(folder, port, BODY, "text/csv")
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


def ask(child: subprocess.Popen[str], word: str | None) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    if word is not None:
        child.stdin.write(f"{word}\n")
        child.stdin.flush()
    return child.stdout.readline()


def gateway_main(model: str) -> int:
    """Be the gateway; `on` and `off` come by stdin, each answered with the CPU seconds used so far."""
    app = system_app(read_settings())
    put_endpoint(app, model)
    gateway = composition.GatewayApp(app)
    room, real = gateway.rooms["sagemaker-runtime"], Timed(gateway.invocations)
    composition.GatewayApp = lambda _: gateway
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    print(listening.getsockname()[1], flush=True)

    def obey() -> None:
        for line in sys.stdin:
            made = real if line.strip() == "on" else Off()
            room._invocations = gateway.invocations = made  # noqa: SLF001 - turns it off from outside
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, *real.seconds, flush=True)

    threading.Thread(target=obey, daemon=True).start()
    processes.run_loop(processes.serve_gateway(app, listening))
    return 0


def put_endpoint(app: object, model: str, capture: dict[str, object] | None = None) -> None:
    now = dt.datetime.now(dt.UTC)
    variant = Variant(
        name="AllTraffic", model_name="m", container={}, current_weight=1, current_count=1
    )
    fleet = Fleet(
        generation=1, config_name="c", variants=(variant,), began_at=now,
        config={} if capture is None else {"DataCaptureConfig": capture},
    )  # fmt: skip
    endpoint = Endpoint(
        name="iris", arn="arn", status=EndpointStatus.IN_SERVICE, created_at=now, modified_at=now,
        current=fleet, generation=1,
    )  # fmt: skip
    replica = Replica(
        id="r1", endpoint="iris", variant="AllTraffic", generation=1, state=ReplicaState.READY, socket_path=model,
        created_at=now, ready_at=now,
    )  # fmt: skip
    with app.store.begin() as db:
        rows.insert(db, endpoint)
        rows.insert_replica(db, replica)
        versions.raise_routing(db)
    app.stamp.touch()


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


def load_request(folder: Path, port: int, body: bytes, kind: str) -> bytes:
    """Return one request of the owner of `folder`, as boto3 writes it; its signature holds for five minutes."""
    owner = json.loads((folder / "data" / "keys" / "owner.json").read_text(encoding="utf-8"))
    headers = {
        "Content-Type": kind,
        "Host": f"127.0.0.1:{port}",
        "Accept-Encoding": "identity",
        "User-Agent": "Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 lang/python#3.11.7 cfg/retry-mode#standard",
        "amz-sdk-invocation-id": "5d0a1f5e-6a4c-4b63-9f0b-2f2c1d6c8b11",
        "amz-sdk-request": "attempt=1",
    }
    url = f"http://127.0.0.1:{port}/endpoints/iris/invocations"
    request = AWSRequest("POST", url, data=body, headers=headers)
    keys = Credentials(owner["access_key_id"], owner["secret_access_key"])
    SigV4Auth(keys, "sagemaker", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = ["POST /endpoints/iris/invocations HTTP/1.1", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


async def load(port: int, request: bytes, count: int) -> None:
    """Send `count` requests over a few connections, each as soon as the one before it is answered."""
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    sys.exit(main())
