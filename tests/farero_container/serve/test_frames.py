"""Frames cut from a stream: however it comes in pieces, the same requests and the same answers."""

import asyncio
import io
import json
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from farero_container.serve.connections import Connections
from farero_container.serve.frames import MAGIC, FramedForm
from farero_container.serve.messages import Response

from .conftest import raw_frame, read_frame

LIMIT = 60
HEADS = [
    b'{"path": "/invocations", "headers": {"content-type": "text/csv"}}',
    b'{"path": "/ping"}',
    b'{"path": "/invocations", "headers": {"x": "y"}}',
    b"[]",
    b"",
    b'{"path": "/' + b"p" * 2000 + b'"}',
]


class Wire:
    """The other end of a connection: keeps what is written."""

    def __init__(self):
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed


class Echo:
    """Answers with what came, at once."""

    def take(self, request, reply):
        told = json.dumps([request.method, request.path, dict(request.headers)])
        reply(Response(200, {"told": told}, request.body[::-1]))

    def take_alike(self, alike):
        told = json.dumps(["POST", "/invocations", dict(alike.headers)])
        bodies = [body[::-1] for body in alike.bodies]
        alike.asker.answer_alike(alike.numbers, {"told": told}, bodies)

    def settle(self):
        pass

    def answered(self, count=1):
        pass


def by_number(written):
    """Head and body of every answer; they come in any order, each once."""
    stream, found = io.BytesIO(written), {}
    while stream.tell() < len(written):
        number, *answer = read_frame(stream)
        assert number not in found
        found[number] = answer
    return found


def answered(pieces):
    """What is written to a connection on which these pieces come."""

    async def story():
        wire = Wire()
        form = FramedForm(wire, Echo(), max_body_bytes=LIMIT)
        for piece in pieces:
            form.feed(piece)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return wire.written, wire.is_closed

    return asyncio.run(story())


frames = st.lists(
    st.tuples(st.sampled_from(HEADS), st.binary(max_size=LIMIT + 20)), min_size=1, max_size=8
)


@settings(max_examples=150, deadline=None)
@given(frames, st.lists(st.integers(0, 800), max_size=12))
def test_pieces_of_any_size_give_the_same_answers(sent, cuts):
    stream = b"".join(raw_frame(n, body, head) for n, (head, body) in enumerate(sent))
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    pieces = [stream[a:b] for a, b in zip([0, *ends], ends, strict=False) if b > a]

    at_once, _ = answered([stream])
    in_pieces, is_closed = answered(pieces)

    assert by_number(in_pieces) == by_number(at_once)
    assert not is_closed


@settings(max_examples=50, deadline=None)
@given(frames)
def test_each_frame_gets_its_own_answer(sent):
    stream = b"".join(raw_frame(n, b, h) for n, (h, b) in enumerate(sent))

    answers = by_number(answered([stream])[0])

    assert sorted(answers) == list(range(len(sent)))
    for number, (head, body) in enumerate(sent):
        told, answer = answers[number]
        expected = 413 if len(body) > LIMIT else 400 if head in (b"[]", b"") else 200
        assert told["status"] == expected
        assert expected != 200 or answer == body[::-1]


def test_a_length_that_is_shorter_than_the_head_ends_the_connection():
    good = raw_frame(1, b"x", HEADS[0])

    written, is_closed = answered([good + b"\x00\x00\x00\x06\x00\x00\x00\x02\x00\x10" + good])

    assert is_closed
    assert written == b""


class Together:
    """Answers what was taken when it is settled, with how many came together."""

    def __init__(self):
        self.taken = []

    def take(self, request, reply):
        self.taken.append((request, reply))

    def take_alike(self, alike):
        self.taken += alike.each()

    def settle(self):
        taken, self.taken = self.taken, []
        for request, reply in taken:
            reply(Response(200, {}, b"%d:" % len(taken) + request.body))


def test_what_comes_on_several_connections_in_one_turn_is_settled_together(tmp_path):
    path = str(tmp_path / "s")

    async def story():
        connections = Connections(Together())
        server = await asyncio.get_running_loop().create_unix_server(connections.protocol, path)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        streams = [client.makefile("rb") for client in clients]
        answers = []
        try:
            for client, stream in zip(clients, streams, strict=True):
                client.connect(path)
                client.sendall(MAGIC + raw_frame(0, b"", HEADS[1]))
                await asyncio.to_thread(read_frame, stream)
            for number, client in enumerate(clients):
                client.sendall(raw_frame(number, b"x", HEADS[0]) + raw_frame(9, b"y", HEADS[0]))
            for stream in streams:
                answers += [(await asyncio.to_thread(read_frame, stream))[2] for _ in range(2)]
        finally:
            for one in (*streams, *clients):
                one.close()
            server.close()
            await server.wait_closed()
        return answers

    assert asyncio.run(story()) == [b"6:x", b"6:y"] * 3
