"""The gateway's end of a connection to a replica: what leaves when."""

import asyncio
import struct

from farero.endpoints.frames import MAGIC, SENT_EARLY, FramedConnection


class Wire:
    """The other end: keeps what each write brought."""

    def __init__(self):
        self.writes = []

    def write(self, data):
        self.writes.append(data)

    def set_write_buffer_limits(self, high):
        pass

    def is_closing(self):
        return False

    def close(self):
        pass


class Nobody:
    sent = 0.0

    def answered(self, head, body, at):
        raise AssertionError(head, body, at)

    def failed(self, error):
        """It was sent; nobody answers here."""


def frames(data):
    """The bodies of all frames of one write."""
    found, at = [], 0
    while at < len(data):
        length, _, head = struct.unpack_from(">IIH", data, at)
        found.append(data[at + 10 + head : at + 4 + length])
        at += 4 + length
    return found


def written(count):
    """The bodies that each write brings when so many requests come in one turn of the loop."""

    async def story():
        wire, connection = Wire(), FramedConnection()
        connection.connection_made(wire)
        for number in range(count):
            connection.send(b"{}", b"%d" % number, Nobody())
        before = len(wire.writes)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire.writes, before

    return asyncio.run(story())


def test_a_few_leave_together_at_the_end_of_the_turn():
    writes, before = written(SENT_EARLY - 1)

    assert before == 1
    assert writes[0] == MAGIC
    assert [frames(one) for one in writes[1:]] == [[b"%d" % n for n in range(SENT_EARLY - 1)]]


def test_of_many_the_first_leave_at_once_and_each_once():
    count = 2 * SENT_EARLY + 3
    writes, before = written(count)

    assert before == 3
    assert [len(frames(one)) for one in writes[1:]] == [SENT_EARLY, SENT_EARLY, 3]
    assert [body for one in writes[1:] for body in frames(one)] == [b"%d" % n for n in range(count)]


def test_nothing_is_written_where_nothing_is_left():
    writes, _ = written(SENT_EARLY)

    assert len(writes) == 2
