"""What a model that writes 10 MB of log lines a second does to others: to a quiet stream, to the gateway, to the disk.

python benchmarks/log_flood.py [SECONDS] [FLOODS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import fresh

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
        site = fresh.Site(Path(folder))
        with site.running():
            measure(site, Path(folder), seconds, floods)
    return 0


def measure(site: fresh.Site, folder: Path, seconds: int, floods: int) -> None:
    """Print one line for the quiet time and one for the flood."""
    settings = read_settings(site.environ)
    compute = LocalCompute(settings.run_dir / "supervisor.sock")
    store = Store(settings.telemetry_url, durable=False)
    shipper = LogShipper(store, SystemClock())
    logs = site.client("logs")

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


if __name__ == "__main__":
    sys.exit(main())
