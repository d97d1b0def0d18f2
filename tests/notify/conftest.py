"""A worker in a process of its own, to be killed."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def start_worker(cloud, tmp_path):
    """A function that starts a worker over the cloud's data; what it says goes to `worker.log`."""

    def start():
        env = {
            **os.environ,
            "FARERO_DATA_DIR": str(cloud.settings.data_dir),
            "FARERO_NOTIFY_ALLOW_HOSTS": "127.0.0.1",
        }
        command = [sys.executable, "-m", "farero.processes", "worker"]
        with (tmp_path / "worker.log").open("ab") as file:
            return subprocess.Popen(command, env=env, stderr=file)

    return start
