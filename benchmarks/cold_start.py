"""Cold starts of serverless endpoints: a request to one that sleeps, with and without a process to fork from.

python benchmarks/cold_start.py [ROUNDS] [--torch]

Two real platforms stand side by side, one as it is by default, one with FARERO_ZYGOTES=0 (each replica is a fresh
process). In turns, each gets a signed raw HTTP request to an endpoint that has no process; the time runs from before
the connection is made to the whole answer. Models a (XGBoost, 300 trees) and, with --torch, c (the ECG's CNN-LSTM as
TorchScript) are those of benchmarks/serving. CPU is what all processes of the platform took meanwhile, the new replica
included: it says little less on a busy machine, where milliseconds by the clock say nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving import models, ours, places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.serving.models import Work

#: Seconds without a request until an endpoint sleeps.
IDLE_S = 1
ASLEEP_WITHIN_S = 60.0
ENDPOINT = "cold"


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("rounds", nargs="?", type=int, default=50)
    parser.add_argument(
        "--torch", action="store_true", help="also the ECG model (installs PyTorch once)"
    )
    asked = parser.parse_args()
    torch = places.torch() / "bin" / "python" if asked.torch else None
    places.CACHE.mkdir(parents=True, exist_ok=True)
    works = models.make(places.CACHE, torch)
    print("| model | replica | ms, median | p90 | p99 | most | CPU ms, median |")
    print("|---|---|---|---|---|---|---|")
    for name in ("a", "c") if asked.torch else ("a",):
        measure(works[name], asked.rounds)
    return 0


def measure(work: Work, rounds: int) -> None:
    """Cold-start one model on both platforms in turns."""
    with contextlib.ExitStack() as stack:
        benches: dict[str, Bench] = {}
        for kind, zygotes in (("forked", 1), ("fresh", 0)):
            running = ours.platform(serverless_idle_s=IDLE_S, zygotes=zygotes)
            benches[kind] = Bench(stack.enter_context(running), work)
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in benches}
        for _ in range(rounds):
            for kind, bench in benches.items():
                found[kind].append(bench.start_cold())
        for kind, figures in found.items():
            told = row([ms for ms, _ in figures], [cpu for _, cpu in figures])
            print(f"| {work.name} | {kind} | {told} |", flush=True)


class Bench:
    """One platform with one serverless endpoint."""

    def __init__(self, platform: ours.Platform, work: Work) -> None:
        self._platform = platform
        self._target = platform.target(ENDPOINT, work)
        self._expected = work.expected
        platform.put_model(ENDPOINT, work)
        platform.put_serverless(ENDPOINT, memory_mb=2048, most=10)
        platform.put_endpoints(ENDPOINT, [ENDPOINT])
        self.start_cold()  # what is only done once

    def start_cold(self) -> tuple[float, float]:
        """Wait until the endpoint sleeps, ask it, and return milliseconds until the answer and of CPU."""
        deadline = time.monotonic() + ASLEEP_WITHIN_S
        while self._replicas():
            if time.monotonic() > deadline:
                sys.exit("the endpoint does not fall asleep")
            time.sleep(0.05)
        headers = dict(self._target.headers())
        url = urlsplit(self._target.url)
        cpu = self._cpu_ms()
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=60)
        connection.request("POST", url.path, self._target.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1e3
        connection.close()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {body.decode()}")
        return took, self._cpu_ms() - cpu

    def _replicas(self) -> list[object]:
        return [one for one in self._running() if one["name"].startswith(f"endpoint/{ENDPOINT}/")]

    def _running(self) -> Sequence[dict[str, str]]:
        return [
            one for one in self._platform.control.info()["processes"] if one["state"] == "running"
        ]

    def _cpu_ms(self) -> float:
        pids = [self._platform.pid, *(one["pid"] for one in self._running())]
        total = 0.0
        for pid in pids:
            with contextlib.suppress(OSError):
                tasks = Path(f"/proc/{pid}/task").iterdir()
                total += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        return total / 1e6


def row(times: list[float], cpu: list[float]) -> str:
    """Return the figures of one row."""
    ordered = sorted(times)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    shown = (statistics.median(ordered), at(0.9), at(0.99), ordered[-1], statistics.median(cpu))
    return " | ".join(f"{one:,.0f}" for one in shown)


if __name__ == "__main__":
    sys.exit(main())
