"""How a model server says that it is ready."""

import contextlib
import socket
import threading

import pytest

from farero_container.serve.run import tell_ready


@pytest.fixture
def ear(tmp_path, monkeypatch):
    """The socket on which the platform listens; nothing is read unless the test does."""
    path = str(tmp_path / "n")
    monkeypatch.setenv("FARERO_NOTIFY_SOCKET", path)
    monkeypatch.setenv("FARERO_NOTIFY_MESSAGE", "endpoint.reconcile iris")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.setblocking(False)
        yield listening


def test_a_server_says_that_it_is_ready(ear):
    tell_ready()

    assert ear.recv(100) == b"endpoint.reconcile iris"


def test_a_server_is_not_held_up_by_a_platform_that_does_not_listen(ear):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"x", ear.getsockname())
    telling = threading.Thread(target=tell_ready, daemon=True)
    telling.start()
    telling.join(20)

    assert not telling.is_alive()


def test_a_server_without_a_platform_says_nothing(ear):
    ear.close()

    tell_ready()
