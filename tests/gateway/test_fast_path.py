"""The fast path says what the ASGI app says, byte for byte: one gateway, two servers, the second without a fast path."""

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

import pytest
import uvicorn
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import load_script

from farero.app.core import system_app
from farero.app.gateway import GatewayApp
from farero.base.config import Settings
from farero.endpoints.replicas import ping
from farero.gateway.connections import LimitedConnection

lone_gateway = load_script("lone_gateway", "benchmarks")
PROGRAM = Path(__file__).parents[1] / "endpoints" / "program"
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
        self.app = system_app(Settings(data_dir=folder / "data", invocation_timeout_s=2.0))
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


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("f")
    names = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    with pytest.MonkeyPatch.context() as patch:
        for name, file in names.items():
            patch.setenv(name, str(folder / file))
        made = Bench(folder)
        try:
            for name in "ab":
                wait_until(lambda name=name: ping(str(folder / f"{name}.sock")) == 200)
            for port in made.ports * 2:  # both hops are open
                for variant in "ab":
                    headers = {"X-Amzn-SageMaker-Target-Variant": variant}
                    talk(port, made_request(made, b"name", headers))
            yield made
        finally:
            made.close()


def wait_until(claim, seconds=30):
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
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


ROWS = b"5.1,3.5,1.4,0.2\n"
CSV = {"Content-Type": "text/csv"}
SAGEMAKER = "X-Amzn-SageMaker-"
LONG_AGO = "AWS4-HMAC-SHA256 Credential=A/20200101/us-east-1/sagemaker/aws4_request, SignedHeaders=host;x-amz-date, "

#: Whether the fast path sends it to the model, and the parts of the request.
FORMS = {
    "plain": (True, ROWS, CSV, {}),
    "accept": (True, ROWS, {**CSV, "Accept": "application/json"}, {}),
    "no content type": (True, ROWS, {}, {}),
    "empty body": (True, b"", CSV, {}),
    "bytes that are no text": (True, bytes(range(256)), CSV, {}),
    "large body": (True, b"1," * 100_000, CSV, {}),
    "largest body": (True, b"1," * (3 * 1024 * 1024), CSV, {}),
    "a body too large": (False, b"1," * (3 * 1024 * 1024) + b"1", CSV, {}),
    "inference id": (True, ROWS, {**CSV, SAGEMAKER + "Inference-Id": "me-1"}, {}),
    "bad inference id": (False, ROWS, {**CSV, SAGEMAKER + "Inference-Id": "x" * 65}, {}),
    "custom attributes": (True, ROWS, {**CSV, SAGEMAKER + "Custom-Attributes": "a=b, c"}, {}),
    "target variant": (True, b"name", {SAGEMAKER + "Target-Variant": "b"}, {}),
    "unknown variant": (False, b"name", {SAGEMAKER + "Target-Variant": "c"}, {}),
    "target model": (False, b"headers", {SAGEMAKER + "Target-Model": "m"}, {}),
    "session": (False, b"headers", {SAGEMAKER + "Session-Id": "NEW_SESSION"}, {}),
    "headers the model gets": (True, b"headers", {**CSV, "Accept": "text/csv"}, {}),
    "unsigned extra header": (True, ROWS, CSV, {"add": ["X-Extra: 1"]}),
    "close": (True, ROWS, CSV, {"add": ["Connection: close"]}),
    "keep-alive": (True, ROWS, CSV, {"add": ["Connection: keep-alive"]}),
    "HTTP/1.0": (True, ROWS, CSV, {"http": "1.0"}),
    "expect": (False, ROWS, CSV, {"add": ["Expect: 100-nothing"]}),
    "wrong secret": (False, ROWS, CSV, {"secret": "x" * 40}),
    "wrong key": (False, ROWS, CSV, {"key": "AKIAAAAAAAAAAAAAAAAA"}),
    "a token that is not the key's": (False, ROWS, CSV, {"token": "t"}),
    "altered body": (False, ROWS, CSV, {"sent_body": ROWS[::-1]}),
    "altered header": (False, ROWS, CSV, {"add": ["Content-Type: text/plain"], "drop": ("Content-Type",)}),
    "no date": (False, ROWS, CSV, {"drop": ("X-Amz-Date",)}),
    "no signature": (False, ROWS, CSV, {"drop": ("Authorization",)}),
    "expired": (False, ROWS, {}, {"drop": ("Authorization",), "add": [
        "Authorization: " + LONG_AGO + "Signature=" + "0" * 64, "X-Amz-Date: 20200101T000000Z"]}),
    "malformed signature": (False, ROWS, {}, {"drop": ("Authorization",), "add": [
        "Authorization: " + LONG_AGO + "Signature=xyz"]}),
    "two signatures": (False, ROWS, CSV, {"add": ["Authorization: " + LONG_AGO + "Signature=" + "0" * 64]}),
    "presigned": (False, b"", CSV, {"presigned": True}),
    "signed for another service": (False, ROWS, CSV, {"service": "s3"}),
    "signed for another region": (True, ROWS, CSV, {"region": "eu-west-1"}),
    "unsigned payload": (False, ROWS, {**CSV, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, {"sent_body": b"no" * 8}),
    "unsigned amz header": (False, ROWS, CSV, {"add": ["X-Amz-Meta: 1"]}),
    "a form": (True, ROWS, {"Content-Type": "application/x-www-form-urlencoded"}, {}),
    "multipart": (True, ROWS, {"Content-Type": "multipart/form-data; boundary=x"}, {}),
    "foreign host": (False, ROWS, CSV, {"drop": ("Host",), "add": ["Host: evil.example"]}),
    "no host": (False, ROWS, CSV, {"drop": ("Host",)}),
    "unknown endpoint": (False, ROWS, CSV, {"path": "/endpoints/nobody/invocations"}),
    "bad name": (False, ROWS, CSV, {"path": "/endpoints/a_b/invocations"}),
    "encoded name": (True, ROWS, CSV, {"path": "/endpoints/%69ris/invocations"}),
    "query": (False, ROWS, CSV, {"path": PATH + "?a=b"}),
    "two slashes": (False, ROWS, CSV, {"path": "/endpoints//iris/invocations"}),
    "streamed answer": (False, ROWS, CSV, {"path": PATH + "-response-stream"}),
    "PUT": (False, ROWS, CSV, {"method": "PUT"}),
    "the model refuses": (True, b"status 400 bad row", CSV, {}),
    "the model fails": (True, b"status 500 " + b"\xff\xfe", CSV, {}),
    "the model fails at length": (True, b"status 503 " + b"x" * 20_000, CSV, {}),
    "the model says 201": (True, b"status 201 made", CSV, {}),
    "the model takes too long": (True, b"sleep 30", CSV, {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_both_paths_say_the_same(bench, form):
    is_fast, body, headers, changes = FORMS[form]
    request = made_request(bench, body, headers, **changes)

    before = bench.general
    fast, general = (talk(port, request) for port in bench.ports)

    assert fast == general
    assert (bench.general == before) == is_fast


def test_a_body_in_chunks_is_for_the_general_path(bench):
    request = made_request(bench, ROWS, CSV, length=False, add=["Transfer-Encoding: chunked"])
    request = request.replace(ROWS, b"10\r\n" + ROWS + b"\r\n0\r\n\r\n")

    fast, general = (talk(port, request) for port in bench.ports)

    assert fast == general
    assert fast[0][1] == ROWS


@settings(
    max_examples=int(os.environ.get("FARERO_TEST_EXAMPLES", "40")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    body=st.binary(max_size=200).filter(lambda body: not body.startswith((b"die", b"sleep"))),
    kind=st.sampled_from(["text/csv", "application/json; charset=utf-8", "x/y", "", "  text/csv "]),
    accept=st.none() | st.sampled_from(["*/*", "text/csv", "a  b"]),
    attributes=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    name=st.sampled_from(["iris", "Iris", "-", "nobody"]),
    secret=st.booleans(),
)
def test_both_paths_say_the_same_of_any_request(
    bench, body, kind, accept, attributes, name, secret
):
    given_headers = {
        "Content-Type": kind, "Accept": accept, SAGEMAKER + "Custom-Attributes": attributes,
    }  # fmt: skip
    headers = {name: value for name, value in given_headers.items() if value is not None}
    changes = {} if secret else {"secret": "x" * 40}
    request = made_request(bench, body, headers, path=f"/endpoints/{name}/invocations", **changes)

    fast, general = (talk(port, request) for port in bench.ports)

    assert fast == general


def test_many_requests_on_one_connection_and_others_between_them(bench):
    health = b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    requests = [made_request(bench, b"%d" % number, CSV) for number in range(5)]
    wrong = made_request(bench, ROWS, CSV, secret="x" * 40)
    sent = [requests[0], health, requests[1], requests[2], wrong, requests[3], health, requests[4]]

    fast, general = (talk(port, *sent) for port in bench.ports)

    assert fast == general
    assert [body for _, body in fast if len(body) == 1] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_pipelined_requests_are_answered_in_order_however_they_arrive(bench, size):
    bodies = [b"sleep 0.2", *(b"%d" % number for number in range(10))]
    whole = b"".join(made_request(bench, body, CSV) for body in bodies)

    def send(port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(whole), size):
                connection.sendall(whole[at : at + size])
            with connection.makefile("rb") as stream:
                return [read_from(stream) for _ in bodies]

    fast, general = map(send, bench.ports)

    assert fast == general
    assert [body for _, body in fast] == [b"slept", *bodies[1:]]


def read_from(stream):
    """Return the next answer of several that may have come together."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, head
        head += line
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    return masked(head.removesuffix(b"\r\n\r\n"), stream.read(length))


def test_a_connection_is_closed_when_the_caller_or_http_1_0_asks_for_it(bench):
    close = made_request(bench, ROWS, CSV, add=["Connection: close"])
    old = made_request(bench, ROWS, CSV, http="1.0")

    for request in (close, old):
        for port in bench.ports:
            [(head, body)] = talk(port, request, closes=True)
            assert b"connection: close" in head
            assert body == ROWS


def test_callers_that_leave_at_any_point_hurt_nobody(bench):
    slow, quick = made_request(bench, b"sleep 0.3", CSV), made_request(bench, ROWS, CSV)
    with socket.create_connection(("127.0.0.1", bench.ports[0]), timeout=20) as staying:
        staying.sendall(slow)
        for cut in (10, len(slow) - 5, len(slow)) * 10:
            with socket.create_connection(("127.0.0.1", bench.ports[0]), timeout=20) as leaving:
                leaving.sendall(slow[:cut])
        assert masked(*read_answer(staying))[1] == b"slept"

    assert talk(bench.ports[0], quick)[0][1] == ROWS
    wait_until(lambda: not bench.gateway.proxy._in_flight)


def test_a_replica_that_dies_under_a_request_is_waited_for(bench):
    port = bench.ports[0]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(made_request(bench, b"sleep 1", CSV))
        wait_until(lambda: bench.gateway.proxy._in_flight)
        bench.models[0].kill()
        bench.models[0].wait()
        bench.models[0] = bench.start_model("a")
        head, body = read_answer(connection)

    assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 200 OK", b"slept")
    assert not bench.gateway.proxy._in_flight


def test_a_request_of_a_caller_that_has_left_dies_with_its_replica_and_counts_no_more(bench):
    with socket.create_connection(("127.0.0.1", bench.ports[0]), timeout=20) as leaving:
        leaving.sendall(made_request(bench, b"sleep 30", CSV))
        wait_until(lambda: bench.gateway.proxy._in_flight)
    [cycle] = bench.gateway.proxy._hops["a"].connection._pending.values()
    wait_until(lambda: cycle.disconnected)
    bench.models[0].kill()
    bench.models[0].wait()
    bench.models[0] = bench.start_model("a")

    wait_until(lambda: not bench.gateway.proxy._in_flight)
    # For the next test the hop is open again.
    assert talk(bench.ports[1], made_request(bench, ROWS, CSV))[0][1] == ROWS


def captured(bench):
    """Return what each record in the spool says of its request."""
    files = sorted((bench.folder / "data").rglob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    records = [json.loads(line) for line in lines]
    assert len({record["eventMetadata"]["eventId"] for record in records}) == len(records)
    return [record["captureData"]["endpointInput"]["data"] for record in records]


def test_every_request_is_captured_before_its_answer_leaves(bench):
    rows = [b"captured %d" % number for number in range(20)]

    for row in rows:
        talk(bench.ports[0], made_request(bench, row, CSV))
        assert row.decode() in captured(bench)

    together = [b"captured together %d" % number for number in range(20)]
    connections = [socket.create_connection(("127.0.0.1", bench.ports[0])) for _ in together]
    for connection, row in zip(connections, together, strict=True):
        connection.sendall(made_request(bench, row, CSV))
    for connection in connections:
        read_answer(connection)
        connection.close()
    found = captured(bench)
    assert all(found.count(row.decode()) == 1 for row in [*rows, *together])


@pytest.mark.parametrize("is_whole", [True, False], ids=["at the model", "half sent"])
def test_a_request_under_way_is_answered_when_the_gateway_stops(bench, is_whole):
    request = made_request(bench, b"sleep 0.5", CSV)
    with (
        bench.another() as (server, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as busy,
        socket.create_connection(("127.0.0.1", port), timeout=20) as idle,
    ):
        idle.sendall(made_request(bench, ROWS, CSV))
        assert masked(*read_answer(idle))[1] == ROWS
        busy.sendall(request if is_whole else request[:-3])
        wait_until(lambda: any(has_begun(one) for one in server.server_state.connections))
        server.should_exit = True
        assert idle.recv(1) == b""
        busy.sendall(b"" if is_whole else request[-3:])
        head, body = read_answer(busy)
        assert body == b"slept"
        assert b"connection: close" in head
        assert busy.recv(1) == b""


def has_begun(connection):
    return connection.cycle is not None and not connection.cycle.response_complete


def test_a_connection_that_is_idle_after_a_fast_answer_is_closed_in_time(bench):
    with (
        bench.another(timeout_keep_alive=1) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        for _ in range(3):
            connection.sendall(made_request(bench, ROWS, CSV))
            assert masked(*read_answer(connection))[1] == ROWS

        assert connection.recv(1) == b""


def test_a_caller_that_does_not_read_is_not_read_from_either(bench):
    request = made_request(bench, b"x," * 500_000, CSV)
    with socket.create_connection(("127.0.0.1", bench.ports[0]), timeout=20) as connection:
        connection.setblocking(False)
        sent, left, quiet_since = 0, request, dt.datetime.now(dt.UTC)
        while sent < 100 and dt.datetime.now(dt.UTC) - quiet_since < dt.timedelta(seconds=1):
            with contextlib.suppress(BlockingIOError):
                left = left[connection.send(left) :]
                quiet_since = dt.datetime.now(dt.UTC)
            if not left:
                sent, left = sent + 1, request

    assert sent < 100
    assert talk(bench.ports[0], made_request(bench, ROWS, CSV))[0][1] == ROWS
