"""Whether a request costs the same with many endpoints and with several gateways, and what an idle endpoint takes.

Requests go to one endpoint over 64 connections while the others stand idle; CPU is that of all processes, so what the
idle ones take is in it.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from benchmarks.serving import load, ours

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.serving.models import Work
    from benchmarks.serving.table import Results

CONNECTIONS = 64
ENDPOINTS = (1, 10, 100)
GATEWAYS = (1, 2, 4)
#: Until what deployments left behind is done.
SETTLE_S = 2.0


class Growth:
    """One endpoint under load, by number of gateways and of idle endpoints beside it."""

    def __init__(self, wrk: Path, work: Work, *, windows: int, seconds: float) -> None:
        self._wrk = wrk
        self._work = work
        self._windows = windows
        self._seconds = seconds

    def measure(self, results: Results) -> None:
        """Measure all of it into `results.single`. Raises Failed."""
        for gateways in GATEWAYS:
            with ours.platform(gateways=gateways) as platform:
                endpoint, _ = platform.deploy(self._work)
                found = self._cpu(platform, endpoint)
                results.single[f"gateways_{gateways}_cpu_us"] = found
                if gateways == 1:
                    results.single["endpoints_1_cpu_us"] = found
                    try:
                        self._more(results, platform, endpoint)
                    except load.Failed as error:
                        results.failures.append(f"growth: {error}")

    def _more(self, results: Results, platform: ours.Platform, endpoint: str) -> None:
        sizes: dict[int, float] = {}
        for before, count in itertools.pairwise(ENDPOINTS):
            platform.put_endpoints(endpoint, [f"e-{number}" for number in range(before, count)])
            time.sleep(SETTLE_S)
            sizes[count] = load.memory_mb(load.tree(platform.pid))
            results.single[f"endpoints_{count}_cpu_us"] = self._cpu(platform, endpoint)
        fewer, most = sorted(sizes)
        results.single["idle_endpoint_mb"] = [(sizes[most] - sizes[fewer]) / (most - fewer)]

    def _cpu(self, platform: ours.Platform, endpoint: str) -> list[float]:
        target = platform.target(endpoint, self._work)
        load.measure(self._wrk, target, connections=CONNECTIONS, seconds=1)
        return [
            load.measure(self._wrk, target, connections=CONNECTIONS, seconds=self._seconds).cpu_us
            for _ in range(self._windows)
        ]
