"""Drives a server with wrk, and reads what its processes take from /proc.

A closed loop: each connection sends its next request when the last one is answered, kept alive, one thread of wrk on
the same cores as the server. A window whose answers hold an error, or whose sockets failed, is no figure: Failed. One
in which the host gave more than `MOST_STOLEN` of the cores' time to other guests is measured again, `TRIES` times at
most, and the least disturbed one counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Share of the cores' time; what a window may lose of it to other guests of the host.
MOST_STOLEN = 0.02
TRIES = 4
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: wrk's own summary rounds; its script sees whole numbers.
DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    "window: requests=%d duration_us=%d bytes=%d p50_us=%d p99_us=%d max_us=%d " ..
    "connect=%d read=%d write=%d status=%d timeout=%d\\n",
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency.max,
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""
ERRORS = ("connect", "read", "write", "status", "timeout")


class Failed(Exception):  # noqa: N818 - told as it stands
    """A window that is no figure, or a server that does not do what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one run of wrk saw, and what the server's processes took meanwhile."""

    rate: float
    p50_ms: float
    p99_ms: float
    #: CPU of all processes of the server, per request.
    cpu_us: float = 0.0
    #: The same by what each process is, where the target tells it.
    cpu_us_by_role: Mapping[str, float] = field(default_factory=dict)
    #: Share of the cores' time that the host gave to others meanwhile.
    stolen: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to send what."""

    url: str
    body: bytes
    #: Called for each window anew: a signature holds for five minutes only.
    headers: Callable[[], Mapping[str, str]]
    #: The server's first process; its descendants count as well.
    pid: int
    #: Names what a process of it is.
    role: Callable[[int], str] | None = None


def measure(wrk: Path, target: Target, *, connections: int, seconds: float) -> Window:
    """Run a window, and again while others disturb it; return the least disturbed one. Raises Failed."""
    best = _measure_once(wrk, target, connections=connections, seconds=seconds)
    for _ in range(TRIES - 1):
        if best.stolen <= MOST_STOLEN:
            break
        again = _measure_once(wrk, target, connections=connections, seconds=seconds)
        best = min(best, again, key=lambda window: window.stolen)
    return best


def _measure_once(wrk: Path, target: Target, *, connections: int, seconds: float) -> Window:
    stolen_before, all_before = cores_seconds()
    before = cpu_seconds(tree(target.pid))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua(target.body, target.headers()))
        script.flush()
        command = [str(wrk), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s",
                   "-s", script.name, target.url]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    after = cpu_seconds(tree(target.pid))
    stolen_after, all_after = cores_seconds()
    if done.returncode:
        raise Failed(f"wrk ended with {done.returncode}: {(done.stdout + done.stderr).strip()}")
    used = {pid: max(0.0, total - before.get(pid, 0.0)) for pid, total in after.items()}
    stolen = (stolen_after - stolen_before) / (all_after - all_before)
    window = replace(read_window(done.stdout, cpu_s=sum(used.values())), stolen=stolen)
    if target.role is None:
        return window
    shares: dict[str, float] = {}
    for pid, spent in used.items():
        name = target.role(pid)
        shares[name] = shares.get(name, 0.0) + window.cpu_us * spent / (sum(used.values()) or 1.0)
    return replace(window, cpu_us_by_role=shares)


def read_window(said: str, *, cpu_s: float) -> Window:
    """Read what the script printed at wrk's end. Raises Failed where it saw an error, or no answer at all."""
    found = re.search(r"^window: (.*)$", said, re.MULTILINE)
    if found is None:
        raise Failed(f"wrk said nothing of its window: {said.strip()[-300:]}")
    facts = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", found[1])}
    wrong = {name: facts[name] for name in ERRORS if facts[name]}
    if wrong:
        told = ", ".join(f"{count} of {name}" for name, count in wrong.items())
        raise Failed(f"{told} errors in {facts['requests']} requests")
    if not facts["requests"]:
        raise Failed("no request was answered")
    return Window(
        rate=facts["requests"] / facts["duration_us"] * 1e6,
        p50_ms=facts["p50_us"] / 1000,
        p99_ms=facts["p99_us"] / 1000,
        cpu_us=cpu_s / facts["requests"] * 1e6,
    )


def lua(body: bytes, headers: Mapping[str, str]) -> str:
    """Return the script that makes wrk POST the body; it is read before the first request, and so costs nothing."""
    lines = ['wrk.method = "POST"', f"wrk.body = {_quoted(body.decode())}"]
    lines += [f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in headers.items()]
    return "\n".join(lines) + DONE


def _quoted(text: str) -> str:
    # JSON's escapes of what stands in bodies and headers here are Lua's as well.
    return json.dumps(text, ensure_ascii=False)


def tree(root: int) -> list[int]:
    """Return a process and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Return what each process has taken so far, user and system."""
    stats = {pid: _stat(pid) for pid in pids}
    return {pid: (int(f[11]) + int(f[12])) * TICK_S for pid, f in stats.items() if f}


def cores_seconds() -> tuple[float, float]:
    """Return the seconds of all cores that the host gave to others, and all their seconds, since the start."""
    text = Path("/proc/stat").read_text(encoding="ascii")
    ticks = [int(number) for number in text.split("\n", 1)[0].split()[1:9]]
    return ticks[-1] * TICK_S, sum(ticks) * TICK_S


def memory_mb(pids: Iterable[int]) -> float:
    """Return the proportional set size of processes together: a page that several share counts once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


def command_of(pid: int) -> str:
    """Return a process's command line, for a person."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name in parentheses: state, parent, …; empty for who has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []
