"""The fast path says what the ASGI app says, byte for byte."""

import contextlib
import datetime as dt
import json
import os
import re
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.two_paths import (
    CSV,
    PATH,
    ROWS,
    made_request,
    masked,
    read_answer,
    talk,
    wait_until,
)

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
    body=st.binary(max_size=200).filter(
        lambda body: not body.startswith((b"die", b"sleep", b"until"))
    ),
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
def test_a_request_under_way_is_answered_when_the_gateway_stops(bench, tmp_path, is_whole):
    file = tmp_path / "file"
    request = made_request(bench, b"until %s" % bytes(file), CSV)
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
        file.touch()
        busy.sendall(b"" if is_whole else request[-3:])
        head, body = read_answer(busy)
        assert body == b"there"
        assert b"connection: close" in head
        assert busy.recv(1) == b""


def has_begun(connection):
    return connection.cycle is not None and not connection.cycle.response_complete


def test_a_connection_that_is_idle_after_a_fast_answer_is_closed_in_time(bench):
    request = made_request(bench, ROWS, CSV)
    with (
        bench.another(timeout_keep_alive=3) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        for _ in range(3):
            connection.sendall(request)
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
