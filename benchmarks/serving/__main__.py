"""Farero's data plane beside other model servers, in one run on one machine: `python -m benchmarks.serving`.

  --rounds N     rounds, each of which asks every server once (3)
  --seconds S    length of a window of load (3)
  --only NAME …  these alone: farero, a peer's name, growth, steps; the docs are then left as they are
  --works a b c  these models alone; the docs are then left as they are
  --show         write the tables of the last run again

Every server is started, asked until its first right answer, loaded over 64, 16 and 1 connections and ended; then the
next one, in turns. With the defaults it takes about a quarter of an hour, and five minutes more where the peers'
environments have to be made. A whole run replaces the section of docs/performance.md between its markers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.serving import growth, load, models, ours, page, peers, places, running
from benchmarks.serving.table import ACCELERATED, OURS, Point, Results

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.serving.models import Work
    from benchmarks.serving.peers import Peer

KEPT = places.CACHE / "results.json"
CONNECTIONS = {"a": (64, 16, 1), "b": (64, 16), "c": (64, 16)}
WARM_UP_S = 1.0
PREPARE_LIMIT_S = 900.0
JSON = {"Content-Type": "application/json"}
#: Python's trees need one process; PyTorch's network as many as there are cores.
REPLICAS = {"c": 2}
#: What of ours serves a model; the default engine alone where nothing is said.
SERVED = {"a": (OURS, ACCELERATED), "c": (OURS, ACCELERATED)}
LABELS = {
    OURS: "Farero, default engine",
    ACCELERATED: "Farero accelerated",
    **{peer.name: peer.label for peer in peers.PEERS},
}


def main() -> int:
    """Measure what was asked for; write it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    names = [OURS, "growth", "steps", *(peer.name for peer in peers.PEERS)]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--works", nargs="+", choices=[*CONNECTIONS], default=[*CONNECTIONS])
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    is_whole = set(asked.only) == set(names) and set(asked.works) == set(CONNECTIONS)
    if not asked.show:
        try:
            one = Run(asked)
            one.prepare()
            one.all()
        except (places.Missing, load.Failed) as error:
            print(error, file=sys.stderr)
            return 1
        keep(one.results, f"--rounds {asked.rounds} --seconds {asked.seconds:g}")
    results, command, ran_on = kept()
    text = page.section(results, command, ran_on)
    print(text)
    if is_whole and not asked.show and results.points.get(("a", OURS, 64)):
        page.write(text)
        print(f"\nwritten to {page.PAGE.relative_to(places.ROOT)}")
    return 1 if results.failures else 0


class Run:
    """One run: what is asked, and what was found so far."""

    def __init__(self, asked: argparse.Namespace) -> None:
        """Make what is missing. Raises Missing."""
        needs_torch = "c" in asked.works
        self.results = Results(labels=LABELS)
        self._asked = asked
        self._wrk = places.wrk()
        self._works = models.make(
            places.CACHE, places.torch() / "bin" / "python" if needs_torch else None
        )
        self._peers = [peer for peer in peers.PEERS if peer.name in asked.only]
        self._began = time.monotonic()

    def prepare(self) -> None:
        """Have everything made that is made once, so that no round waits for it. Raises Missing, Failed."""
        for peer in self._peers:
            for name in set(peer.works) & set(self._asked.works):
                with tempfile.TemporaryDirectory(prefix="bench-serving-") as scratch:
                    peer.prepare(self._works[name], Path(scratch))
        if OURS in self._asked.only and "c" in self._asked.works:
            with ours.platform() as platform:  # it makes PyTorch's environments
                for accelerated in (False, True):
                    platform.deploy(
                        self._works["c"], accelerated=accelerated, limit_s=PREPARE_LIMIT_S
                    )

    def all(self) -> None:
        """Measure in rounds, in turns; then what Farero alone is asked."""
        for turn in range(self._asked.rounds):
            for name in self._asked.works:
                blocks: list[Peer | None] = [peer for peer in self._peers if name in peer.works]
                if OURS in self._asked.only:
                    blocks.insert(0, None)
                for peer in reversed(blocks) if turn % 2 else blocks:
                    if peer is not None:
                        self._say(f"round {turn + 1}, model {name}: {peer.name}")
                        self._try(f"{peer.label}, model {name}", self._peer, peer, name)
                        continue
                    for server in SERVED.get(name, (OURS,)):
                        self._say(f"round {turn + 1}, model {name}: {server}")
                        self._try(f"{LABELS[server]}, model {name}", self._ours, server, name)
        if "growth" in self._asked.only:
            self._say("growth")
            work = models.make(places.CACHE, None)["a"]
            alone = growth.Growth(
                self._wrk, work, windows=self._asked.rounds, seconds=self._asked.seconds
            )
            self._try("growth", alone.measure, self.results)
        if "steps" in self._asked.only:
            self._say("steps of the gateway")
            steps(self.results)
        self._say("done")

    def _try(self, what: str, ask: Callable[..., None], *arguments: object) -> None:
        try:
            ask(*arguments)
        except load.Failed as error:
            failed(self.results, f"{what}: {error}")

    def _peer(self, peer: Peer, name: str) -> None:
        """Start one peer, load it, end it."""
        work = self._works[name]
        with tempfile.TemporaryDirectory(
            prefix="bench-serving-", ignore_cleanup_errors=True
        ) as scratch:
            command = peer.prepare(work, Path(scratch))
            began = time.monotonic()
            with running.process(command.argv, command.environ, Path(scratch)) as pid:

                def ask() -> list[float] | None:
                    answer = running.post(command.url, command.body, JSON)
                    return peer.read(answer) if peer.read else None

                running.first_answer(ask, work.expected, pid)
                self._started(work, peer.name, time.monotonic() - began)
                target = load.Target(
                    url=command.url, body=command.body, headers=lambda: JSON, pid=pid
                )
                self._windows(peer.name, work, target)

    def _ours(self, server: str, name: str) -> None:
        """Start Farero; load an endpoint with the default engine or the accelerated one."""
        work = self._works[name]
        with ours.platform() as platform:
            endpoint, start_s = platform.deploy(
                work, replicas=REPLICAS.get(name, 1), accelerated=server == ACCELERATED
            )
            said = platform.served()
            is_quick = any(engine in said for engine in ("ONNX Runtime", "leaf masks"))
            if (server == ACCELERATED) != is_quick:
                raise load.Failed(f"{LABELS[server]} was wanted, what serves is {said or 'not known'}")  # fmt: skip
            self._started(work, server, start_s)
            self._windows(server, work, platform.target(endpoint, work))

    def _started(self, work: Work, server: str, seconds: float) -> None:
        self.results.starts.setdefault((work.name, server), []).append(seconds)

    def _windows(self, server: str, work: Work, target: load.Target) -> None:
        """Warm a server up, then load it over each number of connections; a window that fails is told, and left out."""
        counts = CONNECTIONS[work.name]
        for count in (0, *counts):  # 0: the warm-up
            seconds = self._asked.seconds if count else WARM_UP_S
            try:
                seen = load.measure(
                    self._wrk, target, connections=count or counts[0], seconds=seconds
                )
            except load.Failed as error:
                failed(
                    self.results,
                    f"{LABELS[server]}, model {work.name}, {count or 'first'} connections: {error}",
                )
                continue
            if not count:
                continue
            point = Point(
                rate=seen.rate,
                p50_ms=seen.p50_ms,
                p99_ms=seen.p99_ms,
                cpu_us=seen.cpu_us,
                stolen=seen.stolen,
            )
            self.results.points.setdefault((work.name, server, count), []).append(point)
            for role, spent in seen.cpu_us_by_role.items() if count == max(counts) else ():
                self.results.roles.setdefault((work.name, server, role), []).append(spent)
        size = load.memory_mb(load.tree(target.pid))
        self.results.memory.setdefault((work.name, server), []).append(size)

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", file=sys.stderr, flush=True)


def steps(results: Results) -> None:
    """Take what signature, capture and metrics cost together from the benchmark of the gateway alone."""
    program = places.ROOT / "benchmarks" / "hot_path.py"
    done = subprocess.run(
        [sys.executable, str(program), "3", "10000"], check=False, capture_output=True, text=True
    )
    found = re.search(r"capture and metrics together: (-?[\d.]+) µs", done.stdout)
    if done.returncode or found is None:
        failed(results, f"hot_path.py: {(done.stdout + done.stderr).strip()[-300:]}")
        return
    results.single["steps_us"] = [float(found[1])]


def failed(results: Results, what: str) -> None:
    """Remember and say what failed."""
    results.failures.append(what)
    print(f"        FAILED {what}", file=sys.stderr, flush=True)


def keep(results: Results, command: str) -> None:
    """Keep a run, so that its tables can be written again."""
    facts = {
        "command": command,
        "ran_on": page.ran_on(),
        "points": [
            [*key, [dataclasses.astuple(p) for p in points]]
            for key, points in results.points.items()
        ],
        "starts": [[*key, values] for key, values in results.starts.items()],
        "memory": [[*key, values] for key, values in results.memory.items()],
        "roles": [[*key, values] for key, values in results.roles.items()],
        "single": results.single,
        "failures": results.failures,
    }
    KEPT.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def kept() -> tuple[Results, str, str]:
    """Return the last run, its flags, and what it ran on."""
    facts = json.loads(KEPT.read_text(encoding="utf-8"))
    names = [item.name for item in dataclasses.fields(Point)]
    results = Results(
        points={
            (work, server, count): [
                Point(**dict(zip(names, point, strict=True))) for point in points
            ]
            for work, server, count, points in facts["points"]
        },
        starts={(work, server): values for work, server, values in facts["starts"]},
        memory={(work, server): values for work, server, values in facts["memory"]},
        roles={(work, server, role): values for work, server, role, values in facts["roles"]},
        single=facts["single"],
        failures=facts["failures"],
        labels=LABELS,
    )
    return results, facts["command"], facts["ran_on"]


if __name__ == "__main__":
    sys.exit(main())
