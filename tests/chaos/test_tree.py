"""The whole platform ends, at once or in order, under load: nothing acknowledged is lost, nothing stays behind.

T05, T06 and T07 of the test plan; promises P1, P2 and P8.
"""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.chaos.conftest import A_SECOND, KILLS, NIGHTLY
from tests.conftest import PATIENCE

from farero.endpoints.proxy import RESPAWN_WAIT_S

pytestmark = pytest.mark.chaos
#: Each takes a start of the whole platform, so the twenty moments are for the long form.
ROUNDS = KILLS if NIGHTLY else 2

#: Answers after 0.2 s, so that requests are under way at any moment.
SLOW = """
import time
def model_fn(model_dir):
    return None
def input_fn(data, content_type):
    return data
def predict_fn(data, model):
    time.sleep(0.2)
    return data
def output_fn(prediction, accept):
    return prediction if isinstance(prediction, bytes) else prediction.encode(), "text/csv"
"""


class Writers:
    """Objects and models written without pause; what was acknowledged is kept."""

    def __init__(self, bench):
        self.objects, self.models = {}, []
        self._bench, self._stop = bench, threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._put, self._create)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _put(self):
        s3 = self._bench.platform.client("s3", retries={"total_max_attempts": 1})
        while not self._stop.is_set():
            key, body = f"written/{uuid.uuid4()}", os.urandom(5000)
            with contextlib.suppress(ClientError, BotoCoreError):
                s3.put_object(Bucket=self._bench.platform.bucket, Key=key, Body=body)
                self.objects[key] = body
            self._stop.wait(0.02)

    def _create(self):
        sagemaker = self._bench.platform.client("sagemaker", retries={"total_max_attempts": 1})
        given = self._bench.sagemaker.describe_model(ModelName="iris")
        while not self._stop.is_set():
            name = f"m-{uuid.uuid4()}"
            with contextlib.suppress(ClientError, BotoCoreError):
                sagemaker.create_model(
                    ModelName=name,
                    ExecutionRoleArn=given["ExecutionRoleArn"],
                    PrimaryContainer=given["PrimaryContainer"],
                )
                self.models.append(name)
            self._stop.wait(0.05)

    def have_written(self):
        """Say whether enough was acknowledged to be lost."""
        return len(self.objects) > 3 and len(self.models) > 2

    def check(self):
        """See everything that was acknowledged."""
        bench = self._bench
        lost = [
            key
            for key, body in self.objects.items()
            if bench.s3.get_object(Bucket=bench.platform.bucket, Key=key)["Body"].read() != body
        ]
        pages = bench.sagemaker.get_paginator("list_models").paginate(NameContains="m-")
        there = {model["ModelName"] for page in pages for model in page["Models"]}
        assert lost == []
        assert set(self.models) <= there


def of_platform(platform):
    """Return every process that belongs to a platform, whoever its parent is."""
    folder = str(platform.data_dir)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(folder in word for word in words):
                found.append(process)
    return found


def sockets_of(platform):
    return [path for path in platform.data_dir.rglob("*.sock") if path.is_socket()]


def is_free(port):
    """Say whether a server could take the port; a client of another program may hold it for a moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_t05_all_killed_at_once_and_started_again_nothing_acknowledged_is_lost(bench, chance):
    bench.deploy("iris", 2)
    bench.deploy("rose")
    loads, others = [], []

    for _ in range(ROUNDS):
        with Writers(bench) as writers, bench.load("iris", rate=80) as load:
            load.wait_for_more(60)
            bench.platform.wait(writers.have_written)
            threading.Event().wait(chance.uniform(0.0, 1.0))  # the moment is what is tested
            for pid in bench.pids("all"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            load.stop()
        bench.platform.farero("up", "-d")
        began = time.monotonic()
        with bench.load("iris", total=20) as again, bench.load("rose", total=20) as other:
            pass
        # Of models that take longer to load than a request waits, callers are told to come again.
        allowed = {"503"} if time.monotonic() - began > RESPAWN_WAIT_S else set()
        failed = {failure.kind for failure in (*again.failed, *other.failed)}
        assert failed <= allowed, (again.faults, other.faults)
        assert [bench.status(name) for name in ("iris", "rose")] == ["InService"] * 2
        writers.check()
        bench.check_answers(load)
        loads += [load, again]
        others.append(other)

    bench.check_capture("iris", *loads, exact=False, seconds=20)
    bench.check_capture("rose", *others, seconds=20)
    for name in ("state.db", "telemetry.db"):
        with contextlib.closing(sqlite3.connect(bench.platform.data_dir / name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_t06_a_killed_supervisor_leaves_no_process_and_no_port(bench, chance, wait_for):
    bench.deploy("iris", 2)

    for _ in range(ROUNDS):
        assert len(bench.pids("all")) >= 5  # itself, gateway, worker, two replicas
        with bench.load("iris") as load:
            load.wait_for_more(20)
            threading.Event().wait(chance.uniform(0.0, 0.5))  # the moment is what is tested
            bench.kill("supervisor")
            load.stop()
            wait_for(lambda: not of_platform(bench.platform), seconds=A_SECOND)
        wait_for(lambda: is_free(bench.platform.port))
        bench.platform.farero("up", "-d")
        bench.platform.wait(lambda: len(bench.ready("iris")) == 2)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, 0)] * (ROUNDS - 1) + [(signal.SIGINT, 130)],
)
def test_t07_told_to_end_under_load_it_answers_what_was_asked_and_leaves_nothing(
    bench, chance, number, expected
):
    platform = bench.platform
    bench.deploy("slow", files={"code/inference.py": SLOW.encode()})
    platform.farero("down")
    before = {path.name for path in (platform.data_dir / "run").iterdir()}
    with subprocess.Popen(
        [sys.executable, "-m", "farero", "up"],
        env=platform.env, cwd=platform.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as foreground:  # fmt: skip
        platform.wait(lambda: platform.control.answers() and platform.control.is_ready())
        platform.wait(lambda: bench.ready("slow"), 60)
        with bench.load("slow", connections=6) as load:
            load.wait_for_more(6)
            threading.Event().wait(chance.uniform(0.0, 0.3))  # the moment is what is tested
            told = time.monotonic()
            foreground.send_signal(number)
            code = foreground.wait(PATIENCE * 10)  # 10 s is the longest that it drains
            load.stop()

    assert code == expected
    # Who had asked when it was told to end gets an answer, as far as it had time to read; nobody gets half of one.
    asked_before = [failure for failure in load.failed if failure.sent < told - 0.2]
    assert asked_before == []
    assert {failure.kind for failure in load.failed} <= {"refused", "broken"}, load.faults
    assert all(answer == body for body, answer, _ in load.answered)
    assert [process.cmdline() for process in of_platform(platform)] == []
    assert sockets_of(platform) == []
    assert {path.name for path in (platform.data_dir / "run").iterdir()} == before
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", platform.port))
    platform.farero("up", "-d")
    bench.check_capture("slow", load, exact=False)
