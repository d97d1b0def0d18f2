"""The few fixtures that everyone uses."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farero.base.clock import ManualClock
from farero.compute.control import Control
from farero.compute.local import LocalCompute
from farero.store import migrations
from farero.store.engine import Store
from farero.store.tables.base import metadata, versions

ROOT = Path(__file__).resolve().parent.parent


def load_script(name):
    """Import scripts/NAME.py as a module."""
    if f"script_{name}" in sys.modules:
        return sys.modules[f"script_{name}"]
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"script_{name}"] = module
    spec.loader.exec_module(module)
    return module


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
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
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
        deadline = time.monotonic() + seconds
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
        self.control = Control(self.run_dir / "supervisor.sock")
        self.compute = LocalCompute(self.run_dir / "supervisor.sock")
        env = {**os.environ, **settings, "FARERO_DATA_DIR": str(data_dir)}
        command = [sys.executable, "-m", "farero.supervisor", "--bare"]
        self.process = subprocess.Popen(command, env=env)

    def stop(self):
        """End it in order, or at once if it hangs."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
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
