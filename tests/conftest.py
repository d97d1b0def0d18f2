"""The few fixtures that everyone uses."""

import asyncio
import atexit
import contextlib
import fcntl
import functools
import importlib.util
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import botocore
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from hypothesis import settings as hypothesis_settings

from farero.app.core import App, prepare
from farero.app.gateway import GatewayApp
from farero.app.worker import WorkerApp
from farero.base.clock import ManualClock, SystemClock
from farero.base.config import Settings
from farero.compute.control import ANSWER_WITHIN_S, Control
from farero.compute.local import LocalCompute
from farero.store import migrations
from farero.store.engine import Store
from farero.store.tables.base import metadata, versions

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "farero-dev"
#: Makes all clients: a session of its own would read its models anew for each, which took a tenth of the suite.
SESSION = boto3.session.Session()
#: So many times as long as a quiet machine needs is waited for what shall become true: others may use this one too.
PATIENCE = 4
# How long an example takes says nothing where others use the machine too.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")


def load_script(name, folder="scripts"):
    """Import FOLDER/NAME.py as a module."""
    if f"script_{name}" in sys.modules:
        return sys.modules[f"script_{name}"]
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"script_{name}"] = module
    spec.loader.exec_module(module)
    return module


def pytest_configure(config):
    """Have the process that gathers the results say at its end what has not ended."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(load_script("running", "tests").Running())


_receivers = load_script("receivers", "tests")
make_receiver, receiver, inbox = _receivers.make_receiver, _receivers.receiver, _receivers.inbox


@pytest.fixture
def clock():
    """A clock that stands still until the test moves it."""
    return ManualClock()


def _databases():
    names = ["sqlite"]
    if os.environ.get("FARERO_TEST_DATABASE") or load_script("postgres").find_binaries():
        names.append("postgresql")
    return names


@pytest.fixture(scope="session")
def postgres_url():
    """A real PostgreSQL: the one that FARERO_TEST_DATABASE names, or a throw-away server."""
    if url := os.environ.get("FARERO_TEST_DATABASE"):
        yield url
        return
    with load_script("postgres").serve() as url:
        yield url


@pytest.fixture(params=_databases())
def store(request, tmp_path):
    """An empty, migrated database; one run per kind of SQL that this machine has."""
    is_sqlite = request.param == "sqlite"
    url = (
        f"sqlite:///{tmp_path / 'state.db'}"
        if is_sqlite
        else request.getfixturevalue("postgres_url")
    )
    opened = Store(url)
    if request.param == "postgresql":
        metadata.drop_all(opened.engine)
        versions.drop(opened.engine, checkfirst=True)
    migrations.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def wait_for():
    """A function that waits until a claim is true and returns its value."""

    def wait(claim, seconds=10.0):
        deadline = time.monotonic() + PATIENCE * seconds
        while not (value := claim()):
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.005)
        return value

    return wait


class RunningSupervisor:
    """A supervisor in a process of its own, without gateways and worker: it runs processes."""

    def __init__(self, data_dir, **settings):
        self.data_dir = data_dir
        self.run_dir = data_dir / "run"
        self.control = Control(
            self.run_dir / "supervisor.sock", answer_within_s=PATIENCE * ANSWER_WITHIN_S
        )
        self.compute = LocalCompute(self.run_dir / "supervisor.sock")
        env = {**os.environ, **settings, "FARERO_DATA_DIR": str(data_dir)}
        command = [sys.executable, "-m", "farero.supervisor", "--bare"]
        self.process = subprocess.Popen(command, env=env)

    def stop(self):
        """End it in order, or at once if it hangs."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture
def supervisor(tmp_path, wait_for):
    """A running supervisor: `supervisor.compute` is a real `Compute`."""
    running = RunningSupervisor(tmp_path / "data")
    wait_for(running.control.answers)
    yield running
    running.stop()


class Cloud:
    """The whole gateway in memory: real boto3 clients whose HTTP goes into the ASGI app; no port, no process.

    `run()` does what the worker would do now. Processes run when the `supervisor` fixture is used too.
    """

    def __init__(self, settings, compute):
        self.settings = settings
        prepare(settings, SystemClock())
        self.app = App(settings, SystemClock(), compute)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.gateway = GatewayApp(self.app)
        self.worker = WorkerApp(self.app)
        self.owner = json.loads((settings.keys_dir / "owner.json").read_text(encoding="utf-8"))
        self.bucket = f"sagemaker-{settings.region}-{settings.account}"

    def client(self, service, *, key=None, secret=None, token=None, **config):
        """Return a boto3 client, of the owner unless another key is given."""
        made = SESSION.client(
            service,
            region_name=self.settings.region,
            endpoint_url="http://localhost:4747",
            aws_access_key_id=key or self.owner["access_key_id"],
            aws_secret_access_key=secret or self.owner["secret_access_key"],
            aws_session_token=token,
            config=Config(**{"retries": {"total_max_attempts": 1}, **config}),
        )
        made.meta.events.register("before-send", self._answer)
        return made

    def send(self, prepared):
        """Send a prepared botocore request; return botocore's response."""
        return self._answer(prepared)

    def run(self):
        """Do what is due; return how many work items ran."""
        done = self.worker.worker.run_due()
        for tick in self.worker.ticks:
            tick.run()
        return done

    def close(self):
        """End everything."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10 * PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.worker.close()
        self.app.close()

    async def _end(self):
        self.gateway.close()
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _answer(self, request, **_):
        parts = urlsplit(request.url)
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        headers = [
            (k.lower().encode(), v if isinstance(v, bytes) else str(v).encode())
            for k, v in request.headers.items()
        ]
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", parts.netloc.encode()))
        scope = {
            "type": "http", "method": request.method, "scheme": "http", "path": parts.path or "/",
            "raw_path": (parts.path or "/").encode(), "query_string": parts.query.encode(), "headers": headers,
        }  # fmt: skip
        return asyncio.run_coroutine_threadsafe(
            self._call(request.url, scope, body), self._loop
        ).result(60)

    async def _call(self, url, scope, body):
        answer = {"status": 0, "headers": [], "body": b""}

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                answer.update(status=message["status"], headers=message["headers"])
            else:
                answer["body"] += message.get("body", b"")

        await self.gateway.asgi(scope, receive, send)
        headers = HeadersDict()
        for name, value in answer["headers"]:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        return AWSResponse(url, answer["status"], headers, _Raw(answer["body"]))


class _Raw(io.BytesIO):
    def stream(self, amt=65536, **_):
        while piece := self.read(amt):
            yield piece


@pytest.fixture
def cloud(tmp_path, monkeypatch, request):
    """The whole platform but for its processes, in a temporary folder."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws" / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws" / "config"))
    settings = Settings(data_dir=tmp_path / "data", **getattr(request, "param", {}))
    compute = (
        request.getfixturevalue("supervisor").compute
        if "supervisor" in request.fixturenames
        else None
    )
    running = Cloud(settings, compute)
    yield running
    running.close()


def free_ports(count):
    """Return so many ports of the loopback address that nobody had just now, and that no connection gets by itself."""
    found = set()
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)  # systems give connections ports from 32768 on
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return found


@functools.cache
def _guard():
    guard = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "left_over.py"],
        stdin=subprocess.PIPE, text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(guard.communicate)  # ends it
    return guard


class Platform:
    """A real `farero up` on a free port, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.data_dir = folder / "data"
        self.port, self.console_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FARERO_"))}
        self.env = {
            **kept,
            "FARERO_DATA_DIR": str(self.data_dir),
            "FARERO_PORT": str(self.port),
            "FARERO_CONSOLE_PORT": str(self.console_port),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws" / "credentials"),
            "AWS_CONFIG_FILE": str(folder / "aws" / "config"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        self.control = Control(
            self.data_dir / "run" / "supervisor.sock", answer_within_s=PATIENCE * ANSWER_WITHIN_S
        )
        # Environments for frameworks are slow to make: all platforms share one folder of them.
        cache = (
            Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "farero-dev" / "envs"
        )
        cache.mkdir(parents=True, exist_ok=True)
        self.data_dir.mkdir(parents=True, mode=0o700)
        (self.data_dir / "envs").symlink_to(cache)
        print(json.dumps(self.env), file=_guard().stdin, flush=True)

    def farero(self, *arguments, check=True, **options):
        """Run the CLI; return the finished process with its output as text."""
        done = subprocess.run(
            [sys.executable, "-m", "farero", *arguments],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=300,
            **{"env": self.env, **options},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def wait(self, claim, seconds=20.0):
        """Wait until a claim is true; return its value."""
        deadline = time.monotonic() + PATIENCE * seconds
        while not (value := claim()):
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.05)
        return value

    @property
    def client_env(self):
        """What `farero env` sets, over this platform's own variables."""
        values = json.loads(self.farero("--json", "env").stdout)["set"]
        return {**self.env, **values}

    @property
    def owner(self):
        """The owner's key."""
        return json.loads((self.data_dir / "keys" / "owner.json").read_text(encoding="utf-8"))

    @property
    def bucket(self):
        """The default bucket."""
        return "sagemaker-us-east-1-123456789012"

    def client(self, service, **config):
        """Return a boto3 client of the owner over real HTTP."""
        return SESSION.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=self.owner["access_key_id"],
            aws_secret_access_key=self.owner["secret_access_key"],
            config=Config(**config),
        )


@pytest.fixture
def stopped_platform(tmp_path):
    """A platform that has not been started: its `env` may still be changed."""
    made = Platform(tmp_path)
    yield made
    made.farero("down", check=False)


@pytest.fixture
def platform(stopped_platform):
    """A running platform, stopped at the end with nothing left over."""
    stopped_platform.farero("up", "-d")
    return stopped_platform


@pytest.fixture
def telling_platform(stopped_platform, inbox):
    """A running platform that may send mail, and notifications to this machine."""
    stopped_platform.env |= {
        "FARERO_SMTP_URL": inbox.url,
        "FARERO_MAIL_FROM": "farero@example.com",
        "FARERO_NOTIFY_ALLOW_HOSTS": "127.0.0.1",
    }
    stopped_platform.farero("up", "-d")
    return stopped_platform


@pytest.fixture(scope="session")
def shared_platform(tmp_path_factory):
    """One running platform for journeys that do not disturb one another."""
    running = Platform(tmp_path_factory.mktemp("p"))
    try:
        running.farero("up", "-d")
        yield running
    finally:
        running.farero("down", check=False)


@pytest.fixture(scope="session")
def client_python():
    """A function: name of a client environment (sdk2, sdk3, awscli) → its Python, made on first need."""

    def find(name):
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "client_envs.py"), name],
            check=True, stdout=subprocess.PIPE, text=True, timeout=1200,
        )  # fmt: skip
        return done.stdout.split()[-1]

    return find


@pytest.fixture(scope="session")
def botocore_tests():
    """Return the folder tests/unit of botocore's sources, fetched once for all."""
    name = f"botocore-{botocore.__version__}"
    found = CACHE / name / "tests" / "unit"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "botocore.lock").open("w") as lock:  # several processes may run tests
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / f"{name}.done").exists():
            pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary")
            subprocess.run([*pip, "botocore", "-d", CACHE, name.replace("-", "==")], check=True)
            with tarfile.open(CACHE / f"{name}.tar.gz") as archive:
                parts = (f"{name}/tests/unit/auth/", f"{name}/tests/unit/protocols/")
                wanted = [one for one in archive if one.name.startswith(parts)]
                archive.extractall(CACHE, members=wanted, filter="data")
            (CACHE / f"{name}.done").touch()
    return found
