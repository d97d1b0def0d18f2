"""What one InvokeEndpoint costs the gateway: CPU time a request, with and without signature, capture and metrics.

python benchmarks/hot_path.py [ROUNDS] [REQUESTS A ROUND] [CONNECTIONS]

Each kind is a gateway process of its own, as `farero up` runs it, before a model that answers every frame at once with
the same bytes over its Unix socket. The kinds take turns, so that all see the same machine. `hello` is uvicorn with
the smallest ASGI app there is and the same load. CPU time is the serving process's own (getrusage, all threads);
unlike requests a second it is little disturbed by what else the machine does, and the least of many short rounds least.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import fresh
import lone_gateway
import uvicorn
import uvloop
from lone_gateway import HEAD, ask

from farero import processes
from farero.app import gateway as composition
from farero.app.core import system_app
from farero.base.config import read_settings
from farero.identity import alike
from farero.identity.sigv4 import Verified

if TYPE_CHECKING:
    import subprocess

    from farero.app.core import App

#: Kind → what is turned off in it.
KINDS = {
    "full": (),
    "no signature": ("signature",),
    "no capture": ("capture",),
    "no metrics": ("metrics",),
    "none of the three": ("signature", "capture", "metrics"),
    "by the ASGI app": ("fast path",),
    "hello": (),
}
BODY = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
ANSWER = b"[0.9994992, 0.00039954, 0.00010129]"[:31]
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://sagemaker-us-east-1-123456789012/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
}


def main() -> int:
    """Run rounds in turns; print what one request costs in each kind."""
    if sys.argv[1:2] == ["serve"]:
        return serve(sys.argv[2], sys.argv[3])
    if sys.argv[1:2] == ["model"]:
        uvloop.run(serve_model(sys.argv[2]))
        return 0
    numbers = [int(word) for word in sys.argv[1:]] + [15, 4_000, 64][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), *numbers)
    return 0


def compare(folder: Path, rounds: int, count: int, connections: int) -> None:
    model = f"{folder}/m.sock"
    children = {"model": lone_gateway.start(folder, __file__, "model", model)}
    ask(children["model"], None)
    for kind in KINDS:
        children[kind] = lone_gateway.start(folder / kind, __file__, "serve", kind, model)
    try:
        measure(children, folder, rounds, count, connections)
    finally:
        for child in children.values():
            child.terminate()
            child.wait()


def measure(
    children: dict[str, subprocess.Popen[str]], folder: Path, rounds: int, count: int, width: int
) -> None:
    ports = {kind: int(ask(children[kind], None)) for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(rounds + 1):
        for kind in KINDS:
            port = ports[kind]
            key = fresh.owner(folder / kind / "data")
            request = fresh.signed(key, port, lone_gateway.ENDPOINT, BODY, "application/json")
            before = float(ask(children[kind], "?"))
            uvloop.run(load(port, request, count if turn else 2_000, width))
            if turn:
                cpu[kind].append((float(ask(children[kind], "?")) - before) / count * 1e6)
    hello = min(cpu["hello"])
    for kind, values in cpu.items():
        print(
            f"{kind:18} at least {min(values):5.1f} µs of CPU a request, median {statistics.median(values):5.1f}; "
            f"the least is {min(values) / hello:4.2f} of hello's"
        )
    parts = min(cpu["full"]) - min(cpu["none of the three"])
    print(f"signature, capture and metrics together: {parts:.1f} µs")


def serve(kind: str, model: str) -> int:
    """Be one serving process; each line on stdin is answered with the CPU seconds used so far."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setblocking(False)
    app = system_app(read_settings())  # in all, so that all carry the same libraries
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=tell_cpu, daemon=True).start()
    if kind == "hello":
        config = uvicorn.Config(
            hello, loop="none", lifespan="off", access_log=False, ws="none", log_level="error"
        )
        processes.run_loop(uvicorn.Server(config).serve(sockets=[listening]))
        return 0
    prepare(app, model, KINDS[kind])
    processes.run_loop(processes.serve_gateway(app, listening))
    return 0


def prepare(app: App, model: str, off: tuple[str, ...]) -> None:
    """Make the endpoint, and turn parts of the gateway off from outside."""
    lone_gateway.put_endpoint(app, {"AllTraffic": model}, None if "capture" in off else CAPTURE)
    gateway = composition.GatewayApp(app)
    if "metrics" in off:
        gateway.rooms["sagemaker-runtime"]._invocations = gateway.invocations = lone_gateway.Off()  # noqa: SLF001
    if "fast path" in off:
        gateway.fast_path.begin = lambda *_, **__: None
        gateway.fast_path.take_whole = lambda *_: False
    if "signature" in off:
        key = gateway.directory.find(fresh.owner(app.settings.data_dir).access_key)
        verified = Verified(key, "us-east-1", "sagemaker", False, None)
        gateway.asgi._authenticator._verifier.verify = lambda *_, **__: verified  # noqa: SLF001
        alike.Alike.is_signed_by = lambda *_: True
    composition.GatewayApp = lambda _: gateway


def tell_cpu() -> None:
    for _ in sys.stdin:
        print(lone_gateway.cpu_seconds(), flush=True)


async def hello(scope: object, receive: object, send: object) -> None:
    """Answer with as many bytes as the model."""
    del scope
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"31")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


class Echo(asyncio.Protocol):
    """A replica that answers every frame with the same."""

    said = b'{"status":200,"headers":{"content-type":"application/json"}}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect the greeting."""
        self._transport, self._data, self._is_greeted = transport, b"", False

    def data_received(self, data: bytes) -> None:
        """Answer every whole frame."""
        data = self._data + data
        at = 0 if self._is_greeted else 4
        self._is_greeted = True
        answers: list[bytes] = []
        while len(data) - at >= HEAD.size:
            length, number, _ = HEAD.unpack_from(data, at)
            if len(data) - at < 4 + length:
                break
            head = HEAD.pack(6 + len(self.said) + len(ANSWER), number, len(self.said))
            answers += (head, self.said, ANSWER)
            at += 4 + length
        self._data = data[at:]
        if answers:
            self._transport.write(b"".join(answers))


async def serve_model(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Echo, path)
    print("ready", flush=True)
    await server.serve_forever()


class Caller(asyncio.Protocol):
    """Sends a request as soon as the one before it is answered."""

    def __init__(self, request: bytes, left: list[int], done: asyncio.Future[None]) -> None:
        self._request, self._left, self._done = request, left, done
        self._length = 0
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Send the next request when the answer is whole."""
        data = self._data = self._data + data if self._data else data
        at = data.find(b"\r\n\r\n")
        if at < 0:
            return
        if not self._length:
            assert data.startswith(b"HTTP/1.1 200"), data
            where = data.lower().index(b"content-length: ") + 16
            self._length = int(data[where : data.index(b"\r", where)])
        if len(data) >= at + 4 + self._length:
            self._data = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be done."""
        del exc
        if not self._done.done():
            self._done.set_result(None)

    def _ask(self) -> None:
        if self._left[0] <= 0:
            self._transport.close()
            return
        self._left[0] -= 1
        self._transport.write(self._request)


async def load(port: int, request: bytes, count: int, width: int) -> None:
    """Send `count` requests over `width` connections."""
    loop, left = asyncio.get_running_loop(), [count]
    done = [loop.create_future() for _ in range(width)]
    for one in done:
        await loop.create_connection(lambda one=one: Caller(request, left, one), "127.0.0.1", port)
    await asyncio.gather(*done)


if __name__ == "__main__":
    sys.exit(main())
