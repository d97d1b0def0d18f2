"""Real receivers of notifications, on this machine: HTTP servers that take, hang, fail and recover; a mail server."""

import email
import json
import socket
import threading
from dataclasses import dataclass, field
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller


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
        #: Of the form that Slack's webhooks have.
        self.slack_url = f"http://127.0.0.1:{self.port}/services/T0/B0/x"
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


class Inbox:
    """A mail server's handler that keeps what comes; `answer` is what it says to a mail."""

    def __init__(self):
        self.mails = []
        self.answer = "250 OK"
        self.refused = set()
        self.url = ""

    @property
    def texts(self):
        """(subject, text) of every mail."""
        found = [self.read(number) for number in range(len(self.mails))]
        return [(mail["Subject"], text) for mail, text in found]

    def read(self, number):
        """Return a mail and its text."""
        mail = email.message_from_bytes(self.mails[number].content, policy=default)
        return mail, mail.get_content().replace("\r\n", "\n").removesuffix("\n")

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        if self.answer.startswith("250"):
            self.mails.append(envelope)
        return self.answer


@pytest.fixture
def inbox():
    """A mailbox behind a real mail server."""
    handler = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    handler.url = f"smtp://127.0.0.1:{port}"
    yield handler
    controller.stop()
