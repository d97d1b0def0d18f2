"""The replica's socket: HTTP and frames, callers that leave, limits, the end."""

import asyncio
import json
import re
import struct
import urllib.request

import pytest

from farero_container.serve.connections import Connections

from .conftest import frame, raw_frame, read_frame

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


class Nobody:
    """Nobody who answers: no request is ever whole."""

    def take(self, request, reply):
        raise AssertionError((request, reply))

    def settle(self):
        pass


def exchange(server, raw, *, end=False):
    with server.raw() as connection:
        connection.sendall(raw)
        if end:
            connection.shutdown(1)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_ping_answers_once_the_model_is_loaded(server):
    assert server.post(None, path="/ping", method="GET")[0] == 200


def test_execution_parameters_are_told(server):
    status, _, body = server.post(None, path="/execution-parameters", method="GET")

    assert (status, json.loads(body)) == (
        200,
        {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6},
    )


def test_the_limits_come_from_the_environment(launch, booster):
    files = {"xgboost-model": bytes(booster.save_raw("ubj"))}
    larger = launch(files, SAGEMAKER_MAX_PAYLOAD_IN_MB="8", MAX_CONTENT_LENGTH="lots")

    told = json.loads(larger.post(None, path="/execution-parameters", method="GET")[2])

    assert told["MaxPayloadInMB"] == 8
    assert larger.post(b"1,1,1,1\n" * 900_000, "text/csv")[0] == 200
    assert larger.post(b"1,1,1,1\n" * 1_100_000, "text/csv")[0] == 413
    assert "MAX_CONTENT_LENGTH='lots' is not a number" in larger.log


def test_without_a_socket_it_listens_on_a_port(launch, booster):
    files = {"xgboost-model": bytes(booster.save_raw("ubj"))}
    by_port = launch(files, FARERO_SOCKET="", SAGEMAKER_BIND_TO_PORT="0")
    port = int(re.search(r"listening on port (\d+)", by_port.log)[1])

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/invocations", 405), ("POST", "/other", 404)]
)
def test_other_paths_and_methods_are_refused(server, method, path, status):
    assert server.post(b"", path=path, method=method)[0] == status


def test_a_connection_carries_several_requests(server):
    request = HEAD + b"Content-Length: 7\r\n\r\n1,1,1,1"
    last = HEAD + b"Content-Length: 7\r\nConnection: close\r\n\r\n1,1,1,1"

    answer = exchange(server, request + request + last)

    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_a_chunked_body_is_joined(server):
    chunks = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\n1,1\r\n4;x=y\r\n,1,1\r\n0\r\n\r\n"

    assert b"200 OK" in exchange(server, HEAD + chunks)


def test_a_caller_that_waits_for_continue_is_told(server):
    with server.raw() as connection:
        connection.sendall(
            HEAD + b"Expect: 100-continue\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
        )
        first = connection.recv(100)
        connection.sendall(b"1,1,1,1")
        rest = b"".join(iter(lambda: connection.recv(65536), b""))

    assert first.startswith(b"HTTP/1.1 100 Continue")
    assert b"HTTP/1.1 200 OK" in rest


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", 413),
        (HEAD + b" odd: 1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 7000000\r\n\r\n", 413),
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=[
        "line",
        "two lengths",
        "twice",
        "negative",
        "coding",
        "chunk",
        "negative chunk",
        "name",
        "large",
        "head",
    ],
)
def test_what_is_malformed_or_too_large_is_answered_once(server, raw, status):
    assert exchange(server, raw).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "sent",
    [b"P", b"FRO", b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["one byte", "three bytes", "half a head", "half a body"],
)
def test_who_does_not_finish_in_time_is_sent_away(tmp_path, sent):
    async def story():
        connections = Connections(Nobody(), head_within_s=0.05, body_within_s=0.05)
        path = str(tmp_path / "s")
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(connections.protocol, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            return answer

    answer = asyncio.run(story())

    assert answer == b"" if len(sent) < 4 else answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "head",
    [b"{", b"[]", b"7", b"{}", b'{"path": 1}', b'{"path": "/ping", "headers": []}', b"\xff"],
)
def test_a_frame_without_a_head_is_refused_and_the_next_one_answered(server, head):
    with server.raw() as connection:
        connection.sendall(b"FRO1" + raw_frame(1, b"x", head))
        connection.sendall(frame(2, b"1,1,1,1", {"content-type": "text/csv"}))
        with connection.makefile("rb") as stream:
            first, second = read_frame(stream), read_frame(stream)

    assert [(first[0], first[1]["status"]), (second[0], second[1]["status"])] == [
        (1, 400),
        (2, 200),
    ]


def test_a_frame_that_is_too_large_is_413_and_the_next_one_answered(server):
    with server.raw() as connection:
        connection.sendall(b"FRO1" + frame(1, b"1" * 7_000_000, {"content-type": "text/csv"}))
        connection.sendall(frame(2, b"1,1,1,1", {"content-type": "text/csv"}))
        with connection.makefile("rb") as stream:
            statuses = {number: head["status"] for number, head, _ in map(read_frame, [stream] * 2)}

    assert statuses == {1: 413, 2: 200}


def test_a_frame_shorter_than_its_head_ends_the_connection(server):
    assert exchange(server, b"FRO1" + struct.pack(">IIH", 6, 1, 10)) == b""
    assert server.post(b"1,1,1,1", "text/csv")[0] == 200


def test_many_interleaved_callers_get_their_own_answers(server, booster):
    import numpy as np
    import xgboost as xgb

    rows = np.random.default_rng(5).random((300, 4), dtype=np.float32)
    expected = booster.predict(xgb.DMatrix(rows)).tolist()
    with server.raw() as connection:
        connection.sendall(b"FRO1")
        for number, row in enumerate(rows):
            body = ",".join(repr(float(v)) for v in row).encode()
            connection.sendall(frame(number, body, {"content-type": "text/csv"}))
        with connection.makefile("rb") as stream:
            frames = [read_frame(stream) for _ in rows]
    answers = {number: (head["status"], float(body)) for number, head, body in frames}

    assert answers == {number: (200, value) for number, value in enumerate(expected)}


def test_callers_that_leave_hurt_nobody(server):
    for _ in range(20):
        with server.raw() as connection:
            connection.sendall(b"FRO1" + frame(1, b"1,1,1,1", {"content-type": "text/csv"}))
        with server.raw() as connection:
            connection.sendall(b"FRO1" + struct.pack(">IIH", 5000, 1, 10))
        with server.raw() as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nhalf")

    assert server.post(b"1,1,1,1", "text/csv")[0] == 200


SLOW = "import time\ndef model_fn(d): return 1\ndef input_fn(b, c): return b\ndef predict_fn(d, m): time.sleep(0.7); return [1]\n"


def test_the_end_waits_for_what_is_being_answered(launch):
    server = launch({"code/inference.py": SLOW}, framework="none")
    with server.raw() as connection:
        connection.sendall(b"FRO1" + frame(7, b"x", {"content-type": "application/json"}))
        connection.sendall(frame(8, b"x", {"content-type": "application/json"}))
        with connection.makefile("rb") as stream:
            first = read_frame(stream)
            server.process.terminate()
            second = read_frame(stream)
    code = server.process.wait(60)  # ended above: a second signal may meet it past its own handler

    assert [first[0], second[0], second[2]] == [7, 8, b"[1]"]
    assert code == 0, server.log
    assert not server.path.exists()


def test_a_handler_that_ends_the_process_ends_only_that(launch, server):
    script = "import os\ndef model_fn(d): return 1\ndef transform_fn(m, b, c, a): os._exit(3)\n"
    doomed = launch({"code/inference.py": script}, framework="none")

    with doomed.raw() as connection:
        connection.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")
        assert connection.recv(10) == b""

    assert doomed.process.wait(60) == 3
    assert server.post(b"1,1,1,1", "text/csv")[0] == 200
