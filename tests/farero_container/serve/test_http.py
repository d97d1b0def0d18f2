"""The replica's socket: HTTP and frames, callers that leave, limits, the end."""

import struct

import pytest

from .conftest import frame, read_frame

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


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

    assert (status, b'"MaxPayloadInMB":6' in body) == (200, True)


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
        stream = connection.makefile("rb")
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
        stream = connection.makefile("rb")
        first = read_frame(stream)
        server.process.terminate()
        second = read_frame(stream)
    code, output = server.stop()

    assert [first[0], second[0], second[2]] == [7, 8, b"[1]"]
    assert code == 0, output
    assert not server.path.exists()


def test_a_handler_that_ends_the_process_ends_only_that(launch, server):
    script = "import os\ndef model_fn(d): return 1\ndef transform_fn(m, b, c, a): os._exit(3)\n"
    doomed = launch({"code/inference.py": script}, framework="none")

    with doomed.raw() as connection:
        connection.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")
        assert connection.recv(10) == b""

    assert doomed.process.wait(10) == 3
    assert server.post(b"1,1,1,1", "text/csv")[0] == 200
