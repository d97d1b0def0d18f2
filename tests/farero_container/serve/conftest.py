"""A model server as a child process, reached over its Unix socket."""

import contextlib
import http.client
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb


class UnixHttp(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


class Server:
    """One `python -m farero_container serve`."""

    def __init__(self, base, *, framework="xgboost", version="3.0-5", python=sys.executable, **env):
        self.base = base
        self.folder = Path(tempfile.mkdtemp(prefix="fs-"))  # a Unix socket's path is short
        self.path = self.folder / "s"
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ear.bind(str(self.folder / "n"))
        source = Path(__file__).resolve().parents[3] / "src"
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [python, "-u", "-m", "farero_container", "serve"],
            cwd=base,
            env={
                "PATH": os.environ["PATH"], "PYTHONPATH": str(source), "HOME": str(base), "LANG": "C.UTF-8",
                "SAGEMAKER_BASE_DIR": str(base), "FARERO_SOCKET": str(self.path), "FARERO_FRAMEWORK": framework,
                "FARERO_FRAMEWORK_VERSION": version, "FARERO_NOTIFY_SOCKET": str(self.folder / "n"),
                "FARERO_NOTIFY_MESSAGE": "ready", **env,
            },
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        log.close()
        pidfd = os.pidfd_open(self.process.pid)
        ready, _, _ = select.select([ear, pidfd], [], [], 120)
        self.is_ready = ear in ready and ear.recv(100) == b"ready"
        os.close(pidfd)
        ear.close()

    def post(self, body, content_type=None, accept=None, path="/invocations", method="POST"):
        """Send one request; return status, headers and body."""
        headers = {"Content-Type": content_type} if content_type else {}
        if accept:
            headers["Accept"] = accept
        with contextlib.closing(UnixHttp(self.path)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def raw(self):
        """Open a plain connection."""
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(20)
        opened.connect(str(self.path))
        return opened

    @property
    def failure(self):
        """The report of a start that failed."""
        self.process.wait(60)
        return json.loads((self.base / "output" / "failure.json").read_text(encoding="utf-8"))

    def stop(self):
        """End it; return its exit code and what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60), self.log

    @property
    def log(self):
        """What it has printed."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


def frame(number, body, headers):
    """Encode one request frame."""
    return raw_frame(
        number, body, json.dumps({"path": "/invocations", "headers": headers}).encode()
    )


def raw_frame(number, body, head):
    """Encode one request frame with any head."""
    return struct.pack(">IIH", 6 + len(head) + len(body), number, len(head)) + head + body


def read_frame(stream):
    """Read one answer frame: id, head, body."""
    length, number, head_length = struct.unpack(">IIH", stream.read(10))
    payload = stream.read(length - 6)
    return number, json.loads(payload[:head_length]), payload[head_length:]


@pytest.fixture(scope="module")
def booster():
    """A small regression model of four features."""
    random = np.random.default_rng(7)
    rows = random.random((300, 4), dtype=np.float32)
    return xgb.train({"max_depth": 4, "nthread": 1}, xgb.DMatrix(rows, rows.sum(axis=1)), 30)


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """A function: files of the model → a running server; all are stopped at the end."""
    running = []

    def start(files, **options):
        base = tmp_path_factory.mktemp("ml")
        (base / "model").mkdir()
        for name, content in files.items():
            target = base / "model" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        running.append(Server(base, **options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def server(launch, booster):
    """The newest image's server with that model."""
    return launch({"xgboost-model": bytes(booster.save_raw("ubj"))})


@pytest.fixture(scope="session")
def torch_python():
    """The Python that has PyTorch and ONNX Runtime."""
    script = Path(__file__).resolve().parents[3] / "scripts" / "torch_env.py"
    return runpy.run_path(str(script))["ensure"]()


@pytest.fixture(scope="module")
def train(torch_python, tmp_path_factory):
    """A function: a program that saves networks in a folder, and arguments for it → the files by name, its output."""

    def run(text, *arguments):
        folder = tmp_path_factory.mktemp("saved")
        program = tmp_path_factory.mktemp("program") / "train.py"  # TorchScript reads the source
        program.write_text(text)
        command = [torch_python, "-W", "ignore", program, str(folder), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {path.stem: path.read_bytes() for path in folder.iterdir()}, done.stdout

    return run
