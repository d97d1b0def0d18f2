"""A real process that writes 10 MB of lines a second, under a real platform: nobody else is harmed."""

import sys
import time

from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.compute.local import LocalCompute
from farero.records.compute import ProcessSpec
from farero.store.engine import Store
from farero.telemetry.ship import BURST_BYTES, FLOOD_BYTES_PER_S, LogShipper

GROUP = "/aws/sagemaker/Endpoints/flood"
#: So many lines of the quiet process are seen, one after the other, while the other one floods.
LINES = 30
FLOOD = """
import os, time
block = (b"x" * 99 + b"\\n") * 10_000
due = time.monotonic()
while True:
    os.write(1, block)
    due += 0.1
    time.sleep(max(0, due - time.monotonic()))
"""
QUIET = "import time\nwhile True:\n print(time.time(), flush=True); time.sleep(0.2)"


def test_flood_harms_nobody(platform):
    settings = Settings(data_dir=platform.data_dir)
    store = Store(settings.telemetry_url, durable=False)
    compute = LocalCompute(settings.run_dir / "supervisor.sock")
    began = time.monotonic()
    for name, program in (("flood", FLOOD), ("quiet", QUIET)):
        path = platform.folder / f"{name}.log"
        argv = (sys.executable, "-c", program)
        compute.start(ProcessSpec(name=name, argv=argv, cwd=platform.folder, log_path=path))
        LogShipper(store, SystemClock()).follow(path, GROUP, name)
    logs = platform.client("logs")
    platform.wait(lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="quiet")["events"])

    newest = set()

    def goes_on():
        page = logs.get_log_events(logGroupName=GROUP, logStreamName="quiet", limit=1)
        newest.add(page["events"][0]["message"])
        return len(newest) >= LINES

    platform.wait(goes_on, 60)
    compute.stop("flood")
    compute.stop("quiet")
    written = (platform.folder / "quiet.log").read_text(encoding="utf-8").split()
    platform.wait(lambda: len(of_quiet(logs)) >= len(written))

    markers = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNames=["flood"], filterPattern="lines dropped limit"
    )
    found = [event["message"] for page in markers for event in page["events"]]
    [group] = logs.describe_log_groups()["logGroups"]
    lasted = time.monotonic() - began
    # 26 bytes an event are counted besides its 99.
    assert group["storedBytes"] < 1.3 * (BURST_BYTES + lasted * FLOOD_BYTES_PER_S)
    assert found
    assert of_quiet(logs) == written
    store.close()


def of_quiet(logs):
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNames=["quiet"]
    )
    return [event["message"] for page in pages for event in page["events"]]
