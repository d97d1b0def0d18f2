"""What a model that writes 10 MB of log lines a second does to others: to a quiet stream, to the gateway, to the disk.

python benchmarks/log_flood.py [SECONDS] [FLOODS]
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

from farero.base.clock import SystemClock
from farero.base.config import read_settings
from farero.compute.local import LocalCompute
from farero.records.compute import ProcessSpec
from farero.store.engine import Store
from farero.telemetry.ship import LogShipper

GROUP = "/aws/sagemaker/Endpoints/flood"
FLOOD = """
import os, time
block = b"".join(b"%07d " % n + b"x" * 91 + b"\\n" for n in range(10_000))
due = time.monotonic()
while True:
    os.write(1, block)
    due += 0.1
    time.sleep(max(0, due - time.monotonic()))
"""
QUIET = """
import time
while True:
    print(time.time(), flush=True)
    time.sleep(0.2)
"""


def main() -> int:
    """Start a Farero, let it be quiet, then flooded; print what was measured."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    floods = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "FARERO_DATA_DIR": f"{folder}/data",
            "FARERO_PORT": str(free_port()),
            "FARERO_CONSOLE_PORT": str(free_port()),
            "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials",
            "AWS_CONFIG_FILE": f"{folder}/config",
        }
        os.environ.update(environ)
        run("up", "-d")
        try:
            measure(Path(folder), seconds, floods)
        finally:
            run("down")
    return 0


def measure(folder: Path, seconds: int, floods: int) -> None:
    """Print one line for the quiet time and one for the flood."""
    settings = read_settings()
    compute = LocalCompute(settings.run_dir / "supervisor.sock")
    store = Store(settings.telemetry_url, durable=False)
    shipper = LogShipper(store, SystemClock())
    session = boto3.Session(profile_name="farero", region_name="us-east-1")
    logs = session.client("logs", endpoint_url=settings.url)

    def start(name: str, program: str) -> Path:
        path = folder / f"{name}.log"
        spec = ProcessSpec(
            name=name, argv=(sys.executable, "-c", program), cwd=folder, log_path=path
        )
        compute.start(spec)
        shipper.follow(path, GROUP, name)
        return path

    start("quiet", QUIET)
    time.sleep(2)
    print(f"{'':<8} {'calls':>6} {'p50 ms':>7} {'p99 ms':>7} {'quiet line seen after, worst':>30}")
    report("before", logs, min(seconds, 10))
    paths = [start(f"flood-{number}", FLOOD) for number in range(floods)]
    report("flood", logs, seconds)
    for number in range(floods):
        compute.stop(f"flood-{number}")
    compute.stop("quiet")
    kept = logs.describe_log_groups()["logGroups"][0]["storedBytes"]
    files = sum(path.stat().st_size for path in paths)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="farero dropped", logStreamNames=["flood-0"]
    )
    markers = [event for page in pages for event in page["events"]]
    print(f"kept {kept / 1e6:.0f} MB of {floods * seconds * 10} MB; files {files / 1e6:.0f} MB")
    print(*(event["message"] for event in markers), sep="\n")
    store.close()


def report(name: str, logs: object, seconds: int) -> None:
    """Call the gateway for some time; print its times and the worst delay of the quiet stream."""
    end = time.monotonic() + seconds
    times: list[float] = []
    delays: list[float] = []
    while time.monotonic() < end:
        began = time.monotonic()
        page = logs.get_log_events(logGroupName=GROUP, logStreamName="quiet", limit=1)
        times.append((time.monotonic() - began) * 1000)
        delays += [time.time() - float(event["message"]) for event in page["events"]]
        time.sleep(0.02)
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    print(
        f"{name:<8} {len(times):>6} {statistics.median(times):>7.1f} {p99:>7.1f} {max(delays):>28.2f} s"
    )


def run(*arguments: str) -> None:
    """Run one farero command."""
    subprocess.run([sys.executable, "-m", "farero", *arguments], check=True, capture_output=True)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
