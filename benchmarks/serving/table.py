"""From windows to the tables of docs/performance.md: medians with their spread, ratios with the floor each shall reach.

Pure: no server, no clock. A ratio is taken within each round, where both sides were measured minutes apart, and the
median of the rounds is shown with the least and the greatest.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BEGIN, END = "<!-- serving: begin, written by make bench-serving -->", "<!-- serving: end -->"
OURS, ACCELERATED = "farero", "farero-accelerated"
#: Answers without predicting; no peer.
HELLO = "hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One window of one round."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    #: Share of the cores' time that the host gave to other guests meanwhile.
    stolen: float = 0.0


@dataclass(slots=True)
class Results:
    """All that was measured, by model, server and, for windows, connections; one value a round, in order."""

    points: dict[tuple[str, str, int], list[Point]] = field(default_factory=dict)
    #: Seconds from start to the first right answer.
    starts: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    #: Megabytes (PSS) of all processes, after the windows.
    memory: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    #: CPU µs a request at most connections, by model, server and what a process is.
    roles: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    #: What was measured beside servers, by name.
    single: dict[str, list[float]] = field(default_factory=dict)
    #: What failed, in words.
    failures: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def values(self, work: str, server: str, connections: int, of: str) -> list[float]:
        """Return one figure of a server for all rounds."""
        return [getattr(point, of) for point in self.points.get((work, server, connections), [])]

    def peers(self, work: str) -> list[str]:
        """Return who else served a model."""
        known = {server for name, server, _ in self.points if name == work}
        return sorted(known - {OURS, ACCELERATED, HELLO})

    def best(self, work: str, connections: int) -> str | None:
        """Return the peer with most requests a second."""
        rates = {peer: self.values(work, peer, connections, "rate") for peer in self.peers(work)}
        known = {peer: statistics.median(values) for peer, values in rates.items() if values}
        return max(known, key=known.__getitem__) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line of the table of goals."""

    what: str
    #: `at least 3.5`, `at most 0.5`
    floor: str
    #: Empty where one side was not measured.
    values: list[float]
    is_met: bool


def verdicts(results: Results) -> list[Verdict]:
    """Hold what was measured against what it shall reach."""
    made = [
        *_against(
            results, "a", OURS, 64, {"best": 3.5, "fastapi": 8, "litserve": 15, "bentoml": 15}
        ),
        *_against(results, "a", OURS, 16, {"best": 4.5}),
        _quicker(results),
        *_against(results, "a", ACCELERATED, 64, {"best": 4, "fastapi": 15, HELLO: 1.1}),
        *_against(results, "a", ACCELERATED, 16, {"best": 8}),
        *_against(results, "b", OURS, 64, {"best": 3.2}),
        *_against(results, "b", OURS, 16, {"best": 4.9}),
        *_against(results, "c", OURS, 16, {"best": 1.8}),
        *_against(results, "c", OURS, 64, {"best": 2}),
        *_against(results, "c", ACCELERATED, 16, {"best": 2.5}),
    ]
    for server in (OURS, ACCELERATED):
        points = results.points.get(("a", server, 64), [])
        made.append(_at_most(f"a, {_name(results, server)}, 64 connections: p99 / p50", 3,
                             [point.p99_ms / point.p50_ms for point in points]))  # fmt: skip
    made.append(
        _at_most(
            "signature, capture and metrics together, µs of CPU",
            20,
            results.single.get("steps_us", []),
        )
    )
    ours, theirs = results.memory.get(("a", OURS), []), results.memory.get(("a", "fastapi"), [])
    made.append(
        _at_most("memory of the platform and one endpoint / FastAPI", 0.7, _ratios(ours, theirs))
    )
    quickest = _quickest(results)
    named = f" ({_name(results, quickest)})" if quickest else ""
    theirs = results.starts.get(("a", quickest or ""), [])
    made.append(_at_most(f"CreateEndpoint to the first answer / start of the quickest peer{named}", 0.6,
                         _ratios(results.starts.get(("a", OURS), []), theirs)))  # fmt: skip
    one = results.single.get("endpoints_1_cpu_us", [])
    for many in (10, 100):
        values = _ratios(results.single.get(f"endpoints_{many}_cpu_us", []), one)
        made.append(_at_most(f"CPU a request with {many} endpoints / with 1", 1.1, values))
    one = results.single.get("gateways_1_cpu_us", [])
    for many in (2, 4):
        values = _ratios(results.single.get(f"gateways_{many}_cpu_us", []), one)
        made.append(_at_most(f"CPU a request with {many} gateways / with 1", 1.1, values))
    made.append(
        _at_most("an idle endpoint more, MB", 30, results.single.get("idle_endpoint_mb", []))
    )
    return made


def _against(
    results: Results, work: str, server: str, connections: int, floors: Mapping[str, float]
) -> Iterable[Verdict]:
    ours = results.values(work, server, connections, "rate")
    for wanted, floor in floors.items():
        other = results.best(work, connections) if wanted == "best" else wanted
        theirs = results.values(work, other, connections, "rate") if other else []
        named = _name(results, other) if other else ""
        if wanted == "best":
            named = f"the best peer ({named})" if named else "the best peer"
        values = _ratios(ours, theirs)
        yield Verdict(
            what=f"{work}, {_name(results, server)}, {connections} connections: req/s / {named}",
            floor=f"at least {floor:g}",
            values=values,
            is_met=bool(values) and statistics.median(values) >= floor,
        )


def _quicker(results: Results) -> Verdict:
    ours, theirs = (results.values("a", server, 1, "p50_ms") for server in (OURS, "fastapi"))
    what = f"a, {_name(results, OURS)}, 1 connection: p50 / {_name(results, 'fastapi')}"
    return _at_most(what, 0.5, _ratios(ours, theirs))


def _quickest(results: Results) -> str | None:
    known = {
        server: statistics.median(values)
        for (work, server), values in results.starts.items()
        if work == "a" and values and server not in (OURS, ACCELERATED, HELLO)
    }
    return min(known, key=known.__getitem__) if known else None


def _at_most(what: str, limit: float, values: list[float]) -> Verdict:
    is_met = bool(values) and statistics.median(values) <= limit
    return Verdict(what=what, floor=f"at most {limit:g}", values=values, is_met=is_met)


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Round by round; where one side has fewer rounds, what both have."""
    return [one / other for one, other in zip(ours, theirs, strict=False) if other]


def _name(results: Results, server: str) -> str:
    return results.labels.get(server, server).partition(",")[0].partition(" (")[0]


def middle(values: list[float], show: Callable[[float], str]) -> str:
    """Write a median, with least and greatest where there are several; `-` for none."""
    if not values:
        return "-"
    text = show(statistics.median(values))
    if len(values) == 1:
        return text
    return f"{text} [{show(min(values))}..{show(max(values))}]"


def number(value: float) -> str:
    """Write a number with three digits that count, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def goals(results: Results) -> list[str]:
    """Return the table of goals."""
    lines = ["| what | shall be | median [least..greatest] of the rounds | |", "|---|---|---|---|"]
    for one in verdicts(results):
        mark = "not measured" if not one.values else "yes" if one.is_met else "**no**"
        lines.append(f"| {one.what} | {one.floor} | {middle(one.values, number)} | {mark} |")
    return lines


def servers(results: Results, work: str) -> list[str]:
    """Return the table of one model: a line a server, quickest at 64 connections first."""
    counts = sorted({count for name, _, count in results.points if name == work})
    heads = [f"{count} conn.: req/s (p50 / p99 ms)" for count in counts]
    most = counts[-1] if counts else 0
    lines = [
        "| "
        + " | ".join(["server", *heads, f"CPU µs a request at {most}", "MB", "start s"])
        + " |",
        "|" + "---|" * (len(heads) + 4),
    ]
    names = {server for name, server, _ in results.points if name == work}
    rate = {n: statistics.median(results.values(work, n, most, "rate") or [0.0]) for n in names}
    for server in sorted(names, key=rate.__getitem__, reverse=True):
        cells = [results.labels.get(server, server)]
        for count in counts:
            points = results.points.get((work, server, count), [])
            if not points:
                cells.append("-")
                continue
            p50, p99 = (
                statistics.median(getattr(p, of) for p in points) for of in ("p50_ms", "p99_ms")
            )
            rates = middle([point.rate for point in points], lambda value: f"{value:,.0f}")
            cells.append(f"{rates} ({number(p50)} / {number(p99)})")
        cells.append(
            middle(results.values(work, server, most, "cpu_us"), lambda value: f"{value:,.0f}")
        )
        cells.append(middle(results.memory.get((work, server), []), lambda value: f"{value:,.0f}"))
        cells.append(middle(results.starts.get((work, server), []), number))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def roles(results: Results) -> list[str]:
    """Return the table of what our processes take."""
    names = sorted({role for _, _, role in results.roles})
    lines = ["| CPU µs a request | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for work, server in dict.fromkeys((work, server) for work, server, _ in results.roles):
        cells = [middle(results.roles.get((work, server, role), []), number) for role in names]
        lines.append(f"| {work}, {_name(results, server)} | " + " | ".join(cells) + " |")
    return lines


def put_between(page: str, section: str) -> str:
    """Return the page with what stands between the markers replaced. Raises ValueError where they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{section.strip()}\n{END}{after}"
