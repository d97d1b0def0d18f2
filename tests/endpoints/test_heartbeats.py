"""Who answers /ping is left alone; who is there and does not is found out without anybody waiting."""

import socket

import pytest

from farero.base.clock import ManualClock
from farero.endpoints.heartbeats import Heartbeats

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\n"


@pytest.fixture
def replica(tmp_path):
    """A socket that listens; what happens to its connections is the test's affair."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "r.sock"))
        listening.listen()
        listening.settimeout(5)
        yield listening


@pytest.fixture
def heartbeats():
    clock = ManualClock()
    beats = Heartbeats(clock)
    beats.clock = clock
    yield beats
    beats.close()


def silence(heartbeats, replica, seconds):
    """Let time go by and return how long the replica has been silent."""
    heartbeats.clock.advance(seconds=seconds)
    return heartbeats.silence_s("endpoint/e/v/r/1", replica.getsockname())


def test_who_answers_is_asked_again_on_the_same_connection(heartbeats, replica):
    silence(heartbeats, replica, 0)
    connection, _ = replica.accept()
    with connection:
        for _ in range(3):
            assert connection.recv(1000).startswith(b"GET /ping HTTP/1.1\r\n")
            connection.sendall(OK)
            assert silence(heartbeats, replica, 5) == 0


def test_who_takes_connections_and_says_nothing_is_silent_since_the_first_ping(heartbeats, replica):
    spans = [silence(heartbeats, replica, seconds) for seconds in (0, 5, 5, 5)]

    assert spans == [0, 5, 10, 15]


def test_a_late_answer_ends_the_silence(heartbeats, replica):
    silence(heartbeats, replica, 0)
    connection, _ = replica.accept()
    with connection:
        assert silence(heartbeats, replica, 60) == 60
        connection.sendall(OK)

        assert silence(heartbeats, replica, 5) == 0


def test_who_closes_the_connection_is_asked_on_another(heartbeats, replica):
    silence(heartbeats, replica, 0)
    replica.accept()[0].close()

    assert silence(heartbeats, replica, 5) == 5
    connection, _ = replica.accept()
    with connection:
        connection.sendall(OK)
        assert silence(heartbeats, replica, 5) == 0


def test_a_socket_that_is_gone_is_silence(heartbeats, replica, tmp_path):
    (tmp_path / "r.sock").unlink()

    assert [silence(heartbeats, replica, 5) for _ in range(3)] == [0, 5, 10]


def test_a_forgotten_one_begins_anew(heartbeats, replica):
    silence(heartbeats, replica, 0)
    silence(heartbeats, replica, 50)

    heartbeats.forget("endpoint/e/v/r/1")

    assert silence(heartbeats, replica, 5) == 0
