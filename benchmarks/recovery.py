"""How soon each part is back after kill -9: the figures of T01 and T03 to T05 of the test plan, which no test may time.

python benchmarks/recovery.py [ROUNDS]     (20)

Back is a gateway that answers a new connection, a worker that says it is ready, two replicas of which each answers
/ping, and, after everything was killed and `farero up` was called, first answers of two endpoints. `load`: what
CreateEndpoint to InService of the same model takes in the same run (XGBoost, two replicas, files at hand). Each replica
is killed once: one that dies again and again waits longer. Exit status 1 if a median is above its limit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fresh, soak

from farero.endpoints.replicas import ping

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 60.0
HEALTH = b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: Part → how many seconds it may be away: so many, and so many loads.
LIMITS = {
    "the gateway": (1.0, 0),
    "the worker": (2.0, 0),
    "one of two replicas": (0.5, 1),
    "everything": (3.0, 1),
}


def main() -> int:
    """Deploy, kill part by part, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        site = fresh.Site(Path(folder))
        with site.running():
            soak.deploy(site)
            bench = Bench(site)
            parts = (bench.gateway, bench.worker, bench.replica, bench.everything)
            found = {
                part: [measure() for _ in range(rounds)]
                for part, measure in zip(LIMITS, parts, strict=True)
            }
    load_s = statistics.median(bench.loads)
    print(f"load: {load_s:.2f} s\n| killed | back after s, median | most | at most | |")
    print("|---|---|---|---|---|")
    is_bad = False
    for part, took in found.items():
        limit, median = LIMITS[part][0] + LIMITS[part][1] * load_s, statistics.median(took)
        is_bad |= median > limit
        verdict = "yes" if median <= limit else "**no**"
        print(f"| {part} | {median:.2f} | {max(took):.2f} | {limit:.2f} | {verdict} |")
    return int(is_bad)


class Bench:
    """The platform; each method kills something and returns the seconds until it is back."""

    def __init__(self, site: fresh.Site) -> None:
        #: Seconds from CreateEndpoint to InService.
        self.loads: list[float] = []
        self._site, self._sagemaker = site, site.client("sagemaker")
        soak.put_config(self._sagemaker, "two", count=2)
        soak.come_and_stay(self._sagemaker, "second")

    def gateway(self) -> float:
        """Kill the gateway."""
        [pid] = self._info()["gateways"]
        return self._back([pid], lambda: self._asked(HEALTH))

    def worker(self) -> float:
        """Kill the worker."""
        pid = self._info()["worker"]

        def is_back() -> bool:
            info = self._info()
            return info["ready"] and info["worker"] not in {None, pid}

        return self._back([pid], is_back)

    def replica(self) -> float:
        """Kill one of an endpoint's two replicas."""
        name = f"two-{len(self.loads)}"
        began = time.monotonic()
        soak.come_and_stay(self._sagemaker, name, config="two")
        self.loads.append(time.monotonic() - began)
        pid = self._ready(name)[0]

        def is_back() -> bool:
            ready = self._ready(name)
            return len(ready) == 2 and pid not in ready

        took = self._back([pid], is_back)
        soak.leave(self._sagemaker, name)
        return took

    def everything(self) -> float:
        """Kill every process at once, and call `farero up`."""
        info = self._info()
        pids = [
            info["pid"],
            *(one["pid"] for one in info["processes"] if one["state"] == "running"),
        ]
        requests = [self._site.signed(name, soak.BODY) for name in ("soak", "second")]

        def is_back() -> bool:
            return all(self._asked(request) for request in requests)

        return self._back(pids, is_back, lambda: self._site.farero("up", "-d"))

    def _back(
        self, pids: list[int], is_back: Callable[[], bool], mend: Callable[[], object] = int
    ) -> float:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        mend()
        while not is_back():
            if time.monotonic() - began > PATIENCE_S:
                raise SystemExit("it does not come back")
            time.sleep(0.005)
        return time.monotonic() - began

    def _info(self) -> Any:
        return self._site.control.info()

    def _ready(self, endpoint: str) -> list[int]:
        """Return the pids of the endpoint's replicas that answer /ping."""
        sockets = self._site.data / "run" / "r"
        return [
            one["pid"]
            for one in self._info()["processes"]
            if one["state"] == "running"
            and one["name"].startswith(f"endpoint/{endpoint}/")
            and ping(str(sockets / f"{one['name'].split('/')[3]}.sock")) == 200
        ]

    def _asked(self, request: bytes) -> bool:
        with socket.create_connection(("127.0.0.1", self._site.port), PATIENCE_S) as connection:
            connection.sendall(request)
            try:
                return connection.recv(12) == b"HTTP/1.1 200"
            except ConnectionResetError:  # the connection was the killed one's still
                return False


if __name__ == "__main__":
    sys.exit(main())
