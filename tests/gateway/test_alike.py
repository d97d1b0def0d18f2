"""A request that is like the one before it skips the HTTP parser, and is judged no other way."""

import contextlib
import os
import re
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
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

from farero.gateway.alike import Patterns
from farero.store import identity

ID = "amz-sdk-invocation-id"
AGENT = {"User-Agent": "Boto3/1.40.1 md/Botocore#1.40.1", "Accept-Encoding": "identity"}


def as_boto3(bench, body=ROWS, number=1, **changes):
    """Return a request with the headers of boto3, the last of which differs from request to request."""
    headers = {
        **CSV,
        **AGENT,
        ID: f"5d0a1f5e-6a4c-4b63-9f0b-{number:012d}",
        **changes.pop("headers", {}),
    }
    return made_request(bench, body, headers, **changes)


@contextlib.contextmanager
def parsed(bench):
    """Count the requests of InvokeEndpoint that the HTTP parser reads."""
    fast_path, seen = bench.gateway.fast_path, []
    begin = fast_path.begin

    def counted(connection, **options):
        seen.append(connection.url)
        return begin(connection, **options)

    fast_path.begin = counted
    try:
        yield seen
    finally:
        del fast_path.begin


def before(bench):
    """Requests that leave a pattern, and the places of the values in a head of their length."""
    return as_boto3(bench, number=7), as_boto3(bench, number=8)


def test_of_requests_that_are_alike_only_the_first_is_parsed(bench):
    agent = {"User-Agent": "nobody else's"}
    requests = [as_boto3(bench, b"%d" % number, number, headers=agent) for number in (9, 10, 11)]
    with parsed(bench) as seen:
        answers = talk(bench.ports[0], *requests, *requests)
        again = talk(bench.ports[0], requests[1])

    assert [body for _, body in answers] == [b"9", b"10", b"11"] * 2
    assert again == [answers[1]]
    assert len(seen) == 1


def test_heads_as_long_as_one_before_are_not_cut_into_lines(bench, monkeypatch):
    agent = {"User-Agent": "of this test alone"}
    numbers = (3, 4, 5, 10**9)
    moments: set[bytes] = set()
    while len(moments) != 1:  # a second's first request is cut to have its moment read
        requests = [as_boto3(bench, b"%d" % number, number, headers=agent) for number in numbers]
        moments = {found for one in requests for found in re.findall(rb"X-Amz-Date: (\S+)", one)}
    seen, read = [], Patterns.read
    monkeypatch.setattr(
        Patterns, "read", lambda patterns, *given: seen.append(given) or read(patterns, *given)
    )

    answers = talk(bench.ports[0], *requests[:3], *requests[:3])
    cut = len(seen)
    longer = talk(bench.ports[0], *requests)

    assert [body for _, body in answers] == [b"3", b"4", b"5"] * 2
    assert longer == [*answers[:3], longer[3]]
    assert longer[3][1] == b"1000000000"
    # The first leaves the pattern, the second the places. A connection's first finds its pattern, and a length of two
    # digits makes a longer head.
    assert (cut, len(seen)) == (2, 4)


@pytest.mark.parametrize(
    "odd", [b"-6  c-", b"-6\x00\x00c-", b"-\r\nx:-", b"-6\xe9\xe9c-", b"-6\t\tc-"]
)
def test_only_visible_letters_are_taken_from_the_places_of_values(bench, odd):
    good = as_boto3(bench)
    talk(bench.ports[0], *before(bench), good)
    kept, end = bench.gateway.fast_path._patterns._kept.values(), good.index(b"\r\n\r\n")

    assert len(odd) == len(b"-6a4c-")  # a head of another length is read another way
    readers = [pattern for pattern in kept if pattern.read_same(good, end, len(ROWS))]
    assert len(readers) == 1
    assert readers[0].read_same(altered(good, b"-6a4c-", odd), end, len(ROWS)) is None
    assert readers[0].read_same(good, end, len(ROWS) + 1) is None


def test_endpoints_and_variants_take_turns_on_one_connection(bench):
    aims = [{}, {"X-Amzn-SageMaker-Target-Variant": "a"}, {"X-Amzn-SageMaker-Target-Variant": "b"}]
    requests = [made_request(bench, b"name", {**CSV, **aim}) for aim in (*aims, *reversed(aims))]

    fast, general = (talk(port, *requests, *requests) for port in bench.ports)

    assert fast == general
    assert [body[:1] for _, body in fast[:6]] == [b"a", b"a", b"b", b"b", b"a", b"a"]


#: What comes after a good request that left its pattern: parts of it, and of the request.
AFTER = {
    "the same": {},
    "another body": {"body": b"1.0,2.0\n"},
    "no body": {"body": b""},
    "a body that is no text": {"body": bytes(range(256))},
    "an altered body": {"sent_body": ROWS[::-1]},
    "another type": {"headers": {"Content-Type": "application/json"}},
    "another agent": {"headers": {"User-Agent": "curl"}},
    "one header more": {"headers": {"X-More": "1"}},
    "an unsigned one more": {"add": ["X-More: 1"]},
    "an unsigned one of Amazon's more": {"add": ["X-Amz-Meta: 1"]},
    "wrong secret": {"secret": "x" * 40},
    "unknown key": {"key": "AKIAAAAAAAAAAAAAAAAA"},
    "a token": {"token": "t"},
    "another region": {"region": "eu-west-1"},
    "another service": {"service": "s3"},
    "another endpoint": {"path": "/endpoints/nobody/invocations"},
    "a query": {"path": PATH + "?a=b"},
    "an id with a blank": {"headers": {ID: "a b"}},
    "an id with two blanks": {"headers": {ID: "a  b"}},
    "an id of other letters": {"headers": {ID: "\xe9\xa0"}},
    "an empty id": {"headers": {ID: ""}},
    "closes": {"add": ["Connection: close"]},
    "HTTP/1.0": {"http": "1.0"},
    "PUT": {"method": "PUT"},
    "a model that refuses": {"body": b"status 400 bad row"},
    "a model that is slow": {"body": b"sleep 0.1"},
}  # fmt: skip


@pytest.mark.parametrize("after", AFTER)
def test_what_comes_after_a_request_is_judged_as_if_it_came_alone(bench, after):
    next_one = as_boto3(bench, **{"number": 2, **AFTER[after]})

    answers = [talk(port, *before(bench), next_one) for port in bench.ports]
    [alone] = talk(bench.ports[1], next_one)

    assert answers[0] == answers[1]
    assert answers[0][2] == alone


def altered(request, old, new):
    assert request.count(old) == 1, old
    return request.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"X-Amz-Date: 202", b"X-Amz-Date: 201"),
        (b"X-Amz-Date: ", b"X-Amz-Date:  "),
        (b"X-Amz-Date: ", b"X-Amz-Dato: "),
        (b"X-Amz-Date: ", b"x-amz-DATE: "),
        (b"Signature=", b"Signature=0"),
        (b", Signature=", b",Signature="),
        (b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA512"),
        (b"/sagemaker/", b"/Sagemaker/"),
        (ID.encode() + b": ", ID.encode() + b":"),
        (ID.encode() + b": ", ID.encode() + b" : "),
        (ID.encode() + b": ", ID.encode() + b": \x00"),
        (ID.encode() + b": ", ID.encode() + b": \n"),
        (ID.encode() + b": ", ID.encode() + b": \r"),
        (ID.encode() + b": ", b"content-length: 3\r\nx: "),
        (b"-6a4c-", b"-6\x00\x00c-"),
        (b"5e-6a4c-", b"\r\nx: 4c-"),
        (b"5e-6a4c-", b"5e\n6a4c-"),
        (b"Content-Length: 16", b"Content-Length: +16"),
        (b"Content-Length: 16", b"Content-Length: 016"),
        (b"Content-Length: 16", b"Content-Length: 1_6"),
        (b"Content-Length: 16", b"Content-Length: 16 "),
        (b"Content-Length: 16", b"content-length: 16"),
        (b"Content-Length: 16", b"Content-Length: 16\r\nContent-Length: 16"),
        (b"Content-Length: 16", b"Transfer-Encoding: chunked\r\nContent-Length: 16"),
        (b"POST ", b"POST  "),
        (b"POST ", b"\r\nPOST "),
        (b" HTTP/1.1\r\n", b" HTTP/1.1\n"),
        (b" HTTP/1.1\r\n", b" HTTP/1.1\r\n\r\n"),
    ],
)  # fmt: skip
def test_a_head_with_one_odd_place_is_judged_as_if_it_came_alone(bench, old, new):
    odd = altered(as_boto3(bench, number=2), old, new)

    answers = [talk(port, *before(bench), odd) for port in bench.ports]
    [alone] = talk(bench.ports[1], odd)

    assert answers[0] == answers[1]
    assert answers[0][2] == alone


@settings(
    max_examples=int(os.environ.get("FARERO_TEST_EXAMPLES", "100")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    at=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 2),
    put=st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"\r\n", b"\n", b": ", b" ", b"\t", b"\x00", b"%b", b"%", b"\xff"]),
    ),
)
@example(at=0.5, cut=0, put=b"")
def test_a_head_that_is_altered_anywhere_is_judged_as_if_it_came_alone(bench, at, cut, put):
    good = as_boto3(bench, number=2)
    end = good.index(b"Content-Length")  # an altered length only lets both wait for more
    place = int(at * end)
    odd = good[:place] + put + good[min(place + cut, end) :]

    answers = [talk(port, *before(bench), odd) for port in bench.ports]

    assert answers[0] == answers[1]


def test_a_request_in_two_pieces_and_two_in_one_piece_are_answered_in_order(bench):
    requests = [as_boto3(bench, b"%d" % number, number) for number in range(4)]
    with socket.create_connection(("127.0.0.1", bench.ports[0]), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = [requests[0], requests[1][:300], requests[1][300:] + requests[2] + requests[3]]
        connection.sendall(sent[0])
        answers = [masked(*read_answer(connection))]
        connection.sendall(sent[1])
        connection.sendall(sent[2])
        data = b""
        while data.count(b"HTTP/1.1 200") < 3 or not data.endswith(b"3"):
            data += connection.recv(65536)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK\r\n")[1:]]

    assert answers[0][1] == b"0"
    assert bodies == [b"1", b"2", b"3"]


def test_a_key_that_is_switched_off_stops_working_for_requests_alike_too(bench):
    request, key = as_boto3(bench), bench.key["access_key_id"]
    assert talk(bench.ports[0], request, request)[1][1] == ROWS

    def switch(*, is_active):
        with bench.app.store.begin() as db:
            assert identity.set_active(db, key, is_active=is_active)

    def is_refused():
        return [talk(port, request)[0][0][:12] for port in bench.ports] == [b"HTTP/1.1 403"] * 2

    switch(is_active=False)
    try:
        wait_until(is_refused)
    finally:
        switch(is_active=True)
        wait_until(lambda: not is_refused())
    assert talk(bench.ports[0], request)[0][1] == ROWS
