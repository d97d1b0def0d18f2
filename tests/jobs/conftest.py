"""A worker's view of training jobs: real SQL, real objects, and a real supervisor that holds the processes."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tests.conftest import PATIENCE

from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.base.context import Context, Principal
from farero.compute.control import Control
from farero.compute.environments import Environments
from farero.compute.local import LocalCompute
from farero.compute.pythons import Pythons
from farero.jobs.algorithm_metrics import AlgorithmMetrics
from farero.jobs.commands import JobCommands
from farero.jobs.lifecycle import KIND, JobLifecycle
from farero.jobs.training import Training
from farero.objects.local import LocalObjects
from farero.records.job import JobSpec
from farero.store import migrations
from farero.store.engine import Store
from farero.store.jobs import training as rows
from farero.telemetry.logs import Logs
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.ship import LogShipper
from farero.work import items
from farero.work.wake import WakeSocket, poke
from farero.work.worker import Worker

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
PRINCIPAL = Principal(access_key_id="AKIA", arn="arn:aws:iam::123456789012:root", user_id="1")


class Bench:
    """A data directory with a supervisor; the worker runs in the test, one `settle` at a time."""

    def __init__(self, folder):
        self.settings = Settings(data_dir=folder)
        self.clock = SystemClock()
        self.store = Store(self.settings.sql_url)
        migrations.upgrade(self.store)
        self.objects = LocalObjects(self.store, self.settings.objects_dir, self.clock)
        self.objects.ensure_bucket("data")
        self.logs = Logs(self.store, self.clock)
        self.metrics = Metrics(self.store, self.clock)
        reader = AlgorithmMetrics(self.store, rows, self.metrics.put_within)
        self.shipper = LogShipper(self.store, self.clock, reader=reader.read)
        self.compute = LocalCompute(self.settings.run_dir / "supervisor.sock")
        self.training = Training(
            self.settings,
            self.objects,
            Pythons(Environments(self.settings.envs_dir, pip_options=("--no-index",))),
            logs=self.logs,
            memory_bytes=400 * 1024 * 1024,
            credentials=lambda role: {"AWS_ACCESS_KEY_ID": "AKIA", "ROLE": role},
        )
        self.lifecycle = JobLifecycle(
            self.store,
            self.clock,
            self.compute,
            rows=rows,
            runner=self.training,
            shipper=self.shipper,
        )
        self.wake_path = self.settings.run_dir / "worker.sock"
        self.commands = JobCommands(self.store, self.objects, lambda: poke(self.wake_path))
        self.worker = Worker(self.store, self.clock, {KIND: self.lifecycle.reconcile})
        self.supervisor = None

    def start(self):
        env = {**os.environ, "FARERO_DATA_DIR": str(self.settings.data_dir)}
        log = (self.settings.data_dir / "supervisor.log").open("ab")
        self.supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "farero.supervisor", "--bare"],
            env=env,
            stdout=log,
            stderr=log,
        )
        log.close()
        self.wait(Control(self.settings.run_dir / "supervisor.sock").answers)
        self.wake = WakeSocket(self.wake_path, self._put)

    def kill(self):
        self.supervisor.kill()
        self.supervisor.wait()
        self.wake.close()
        (self.settings.run_dir / "supervisor.sock").unlink(missing_ok=True)

    def close(self):
        self.supervisor.terminate()
        self.supervisor.wait(timeout=20 * PATIENCE)
        self.wake.close()
        self.store.close()

    def _put(self, kind, key):
        with self.store.begin() as db:
            items.put(db, kind, key, due=self.clock.now())

    def wait(self, is_so, seconds=20):
        deadline = time.monotonic() + PATIENCE * seconds
        while not is_so():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    def create(self, name, *, code="", tags=(), **members):
        """Create a job whose container is one Python program."""
        spec = JobSpec(
            **{
                "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
                "output_uri": "s3://data/out",
                "role_arn": ROLE,
                "instance_type": "ml.m5.large",
                "max_runtime_s": 3600,
                "entrypoint": (sys.executable, "-c", code),
                **members,
            }
        )
        ctx = Context(
            account="123456789012",
            region="us-east-1",
            request_id="r",
            now=self.clock.now(),
            principal=PRINCIPAL,
        )
        return self.commands.create(ctx, name, spec, given={}, tags=tags)

    def job(self, name):
        with self.store.read() as db:
            return rows.get(db, name)

    def settle(self, is_so, seconds=20):
        """Work as the worker does, woken by datagrams, until the condition holds."""
        deadline = time.monotonic() + PATIENCE * seconds
        while True:
            self.worker.run_due()
            if is_so():
                return
            assert time.monotonic() < deadline, "the job did not come so far"
            self.wake.wait(0.5)

    def finished(self, name, seconds=20):
        """Work until the job has ended and everything is cleared away; return it."""
        self.settle(lambda: self.job(name).phase == "done", seconds)
        return self.job(name)

    def messages(self, job):
        return [
            event.message
            for event in self.logs.read_stream("/aws/sagemaker/TrainingJobs", job.log_stream)
        ]

    def read(self, key):
        with self.objects.open("data", key) as file:
            return file.read()


@pytest.fixture
def bench():
    folder = Path(tempfile.mkdtemp(prefix="farero-"))  # socket paths are short: no tmp_path
    one = Bench(folder)
    one.start()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)
