"""One gateway, two servers before it, the second without a fast path; and requests to both, as bytes."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import re
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import uvicorn
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.conftest import PATIENCE, load_script

from farero.app.core import system_app
from farero.app.gateway import GatewayApp
from farero.base.config import Settings
from farero.gateway.connections import LimitedConnection

lone_gateway = load_script("lone_gateway", "benchmarks")
PROGRAM = Path(__file__).parents[1] / "endpoints" / "program"
ROWS = b"5.1,3.5,1.4,0.2\n"
CSV = {"Content-Type": "text/csv"}
PATH = "/endpoints/iris/invocations"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://sagemaker-us-east-1-123456789012/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


class NeverFast:
    """In the place of the fast path: it takes nothing."""

    def begin(self, *_, **__):
        return None

    def take_whole(self, *_):
        return False


class Server(uvicorn.Server):
    """uvicorn, saying when it listens."""

    def __init__(self, config):
        super().__init__(config)
        self.listens = asyncio.Event()
        self.capture_signals = contextlib.nullcontext  # the process has another owner

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.listens.set()


class Bench:
    """A gateway in this process, two model servers beside it, two ports before it."""

    def __init__(self, folder):
        self.folder = folder
        self.app = system_app(Settings(data_dir=folder / "data", invocation_timeout_s=5.0))
        self.key = json.loads((folder / "data" / "keys" / "owner.json").read_text("utf-8"))
        self.models = [self.start_model(name) for name in ("a", "b")]
        sockets = {name: str(folder / f"{name}.sock") for name in ("a", "b")}
        lone_gateway.put_endpoint(self.app, sockets, CAPTURE)
        self.general = 0  # requests that the ASGI app of the first port has seen
        self.ports, self.loop = [], None
        self._ready, self._stop = threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()))
        self._thread.start()
        assert self._ready.wait(60)

    def start_model(self, name):
        environ = {
            "PYTHONPATH": str(PROGRAM), "FARERO_SOCKET": str(self.folder / f"{name}.sock"), "MODEL_NAME": name,
            "PATH": os.environ["PATH"],
        }  # fmt: skip
        command = [sys.executable, "-u", "-m", "farero_container", "serve"]
        return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        self.gateway = GatewayApp(self.app)
        self.gateway.router.refresh()
        self._stop = asyncio.Event()

        async def counted(scope, receive, send):
            self.general += 1
            await self.gateway.asgi(scope, receive, send)

        servers = [
            await self.start(counted, self.gateway.fast_path),
            await self.start(self.gateway.asgi, NeverFast()),
        ]
        self._ready.set()
        await self._stop.wait()
        for server, task in servers:
            server.should_exit = True
            await task
        self.gateway.close()

    async def start(self, app, fast_path, **changes):
        config = uvicorn.Config(
            app, loop="none", http=partial(LimitedConnection, fast_path), ws="none", lifespan="off",
            interface="asgi3", access_log=False, log_config=None, server_header=False,
            timeout_graceful_shutdown=9, **changes,
        )  # fmt: skip
        server = Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.ports.append(listening.getsockname()[1])
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await server.listens.wait()
        return server, task

    @contextlib.contextmanager
    def another(self, **changes):
        """One more server with a fast path, and its port; it is stopped at the end."""

        def on_loop(work):
            return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

        server, task = on_loop(self.start(self.gateway.asgi, self.gateway.fast_path, **changes))
        try:
            yield server, self.ports.pop()
        finally:
            server.should_exit = True
            on_loop(asyncio.wait_for(asyncio.shield(task), 15))

    def close(self):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        for model in self.models:
            model.kill()
            model.wait()
        self.app.close()


def wait_until(claim, seconds=30):
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=PATIENCE * seconds)
    while not claim():
        assert dt.datetime.now(dt.UTC) < deadline


def made_request(bench, body, headers=None, **changes):
    """Return a signed request as bytes; changes: path, method, secret, region, service, token, presigned, drop, add…"""
    path = changes.get("path", PATH)
    key = Credentials(
        changes.get("key", bench.key["access_key_id"]),
        changes.get("secret", bench.key["secret_access_key"]),
        changes.get("token"),
    )
    request = AWSRequest(
        "POST",
        f"http://localhost{path}",
        data=body,
        headers={"Host": "localhost", **(headers or {})},
    )
    auth = SigV4QueryAuth if changes.get("presigned") else SigV4Auth
    auth(key, changes.get("service", "sagemaker"), changes.get("region", "us-east-1")).add_auth(
        request
    )
    sent = {
        name: value
        for name, value in request.headers.items()
        if name not in changes.get("drop", ())
    }
    lines = [f"{name}: {value}" for name, value in sent.items()]
    lines += [f"Content-Length: {len(body)}"] if changes.get("length", True) else []
    lines += changes.get("add", [])
    target = request.url.removeprefix("http://localhost")
    head = [f"{changes.get('method', 'POST')} {target} HTTP/{changes.get('http', '1.1')}", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + changes.get("sent_body", body)


def read_answer(connection):
    """Return (head, body) of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data, b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head, body


def talk(port, *requests, closes=False):
    """Send requests one after the other on one connection; return their answers without what is always different."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        answers = []
        for request in requests:
            connection.sendall(request)
            answers.append(masked(*read_answer(connection)))
        if closes:
            assert connection.recv(1) == b""
        return answers


def masked(head, body):
    head = re.sub(rb"(date|requestid|request-id|id-2): [^\r]+", rb"\1: X", head)
    body = re.sub(rb"\d{8}T\d{6}Z", b"T", body)
    return head, re.sub(rb"(request id |RequestId>|HostId>)[A-Za-z0-9+/-]{36,}", rb"\1X", body)
