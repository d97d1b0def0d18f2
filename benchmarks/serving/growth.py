"""Whether a request costs the same with many endpoints and with several gateways, and what an idle endpoint takes.

Requests go to one endpoint over 64 connections while the others stand idle; CPU is that of all processes, so what the
idle ones take is in it. Platforms of each kind stand side by side and take turns, window by window, for what the same
request costs differs from minute to minute by more than what is to be seen.
"""

from __future__ import annotations

import contextlib
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
        with contextlib.ExitStack() as stack:
            targets: dict[str, load.Target] = {}
            sizes: dict[int, float] = {}
            for gateways in GATEWAYS:
                platform = stack.enter_context(ours.platform(gateways=gateways))
                endpoint, _ = platform.deploy(self._work)
                targets[f"gateways_{gateways}"] = platform.target(endpoint, self._work)
            for endpoints in ENDPOINTS:
                platform = stack.enter_context(ours.platform())
                endpoint, _ = platform.deploy(self._work)
                platform.put_endpoints(endpoint, [f"e-{number}" for number in range(1, endpoints)])
                targets[f"endpoints_{endpoints}"] = platform.target(endpoint, self._work)
                time.sleep(SETTLE_S)
                sizes[endpoints] = load.memory_mb(load.tree(platform.pid))
            _, fewer, most = ENDPOINTS
            results.single["idle_endpoint_mb"] = [(sizes[most] - sizes[fewer]) / (most - fewer)]
            for target in targets.values():
                load.measure(self._wrk, target, connections=CONNECTIONS, seconds=1)
            for _ in range(self._windows):
                for name, target in targets.items():
                    window = load.measure(
                        self._wrk, target, connections=CONNECTIONS, seconds=self._seconds
                    )
                    results.single.setdefault(f"{name}_cpu_us", []).append(window.cpu_us)
