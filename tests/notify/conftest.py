"""Real receivers of notifications, on this machine: HTTP servers that take, hang, fail and recover; a mail server."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Post:
    """One request that a receiver got."""

    path: str
    headers: dict
    body: str

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server; `status` is a number or a function of a Post."""

    status: object = 200
    answer_headers: dict = field(default_factory=dict)
    posts: list = field(default_factory=list)
    #: Seconds to think before each answer.
    delay_s: float = 0.0
    #: Set: answer. Clear: hang until it is set.
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        receiver = self
        self.go_on.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                post = Post(self.path, dict(self.headers), body)
                receiver.posts.append(post)
                receiver.go_on.wait(30)
                threading.Event().wait(receiver.delay_s)
                status = receiver.status(post) if callable(receiver.status) else receiver.status
                self.send_response(status)
                for name, value in receiver.answer_headers.items():
                    self.send_header(name, value)
                text = b"" if status < 300 else b"no thanks"
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    @property
    def messages(self):
        """Messages of the notifications received."""
        found = [post.json for post in self.posts]
        return [one["Message"] for one in found if one["Type"] == "Notification"]

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def make_receiver():
    """A function that starts a receiver."""
    made = []

    def make(**fields):
        made.append(Receiver(**fields))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def receiver(make_receiver):
    """One receiver that takes everything."""
    return make_receiver()
