"""Figures as text for Prometheus: its own format 0.0.4, or OpenMetrics 1.0. Pure.

Formats: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics specification, 1.0.0.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from farero.telemetry.totals import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero.telemetry.totals import Figures, Histogram, Labels

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_COUNTER, _GAUGE, _HISTOGRAM = "counter", "gauge", "histogram"


class Family(NamedTuple):
    """All series of one name."""

    name: str
    kind: str
    help: str
    #: The name's last word, where it is a unit.
    unit: str = ""


FAMILIES = (
    Family(
        "farero_invocations_total",
        _COUNTER,
        "Requests that reached a variant (CloudWatch's Invocations).",
    ),
    Family(
        "farero_invocation_4xx_errors_total",
        _COUNTER,
        "Requests answered with 4xx (Invocation4XXErrors).",
    ),
    Family(
        "farero_invocation_5xx_errors_total",
        _COUNTER,
        "Requests answered with 5xx or not at all (Invocation5XXErrors).",
    ),
    Family(
        "farero_invocation_model_errors_total",
        _COUNTER,
        "Requests without a 2xx answer (InvocationModelErrors).",
    ),
    Family(
        "farero_invocations_throttled_total",
        _COUNTER,
        "Requests refused as one too many; they are no invocations.",
    ),
    Family(
        "farero_metrics_lost_total",
        _COUNTER,
        "Requests that were answered but could not be counted.",
    ),
    Family(
        "farero_model_latency_seconds",
        _HISTOGRAM,
        "Time until a model's answer (ModelLatency).",
        "seconds",
    ),
    Family(
        "farero_overhead_latency_seconds",
        _HISTOGRAM,
        "Time of a request outside its model (OverheadLatency).",
        "seconds",
    ),
    Family(
        "farero_concurrent_requests",
        _GAUGE,
        "Most requests at a time in the last second (ConcurrentRequestsPerModel).",
    ),
    Family("farero_replicas_wanted", _GAUGE, "Replicas that a variant shall have."),
    Family("farero_replicas_ready", _GAUGE, "Replicas that answer requests."),
    Family(
        "farero_cpu_utilization_ratio",
        _GAUGE,
        "Cores a replica keeps busy, on average (CPUUtilization / 100).",
        "ratio",
    ),
    Family(
        "farero_memory_utilization_ratio",
        _GAUGE,
        "Share of the memory a replica may have, on average (MemoryUtilization / 100).",
        "ratio",
    ),
    Family(
        "farero_disk_utilization_ratio",
        _GAUGE,
        "Share of the disk that is full (DiskUtilization / 100).",
        "ratio",
    ),
    Family("farero_endpoints", _GAUGE, "Endpoints by status."),
    Family("farero_work_items", _GAUGE, "Work that waits in the queue, by kind."),
    Family(
        "farero_work_overdue_seconds",
        _GAUGE,
        "How long the oldest work that is due has waited.",
        "seconds",
    ),
    Family("farero_deliveries", _GAUGE, "Notifications on their way (pending) or given up (dead)."),
    Family(
        "farero_capture_spool_bytes",
        _GAUGE,
        "Captured records that have not left the spool.",
        "bytes",
    ),
    Family(
        "farero_capture_spool_oldest_seconds",
        _GAUGE,
        "How long the oldest file of the spool has rested.",
        "seconds",
    ),
    Family(
        "farero_disk_free_bytes",
        _GAUGE,
        "Space that is free where the data directory lies.",
        "bytes",
    ),
    Family(
        "farero_disk_size_bytes", _GAUGE, "Space there is where the data directory lies.", "bytes"
    ),
    Family("farero_build_info", _GAUGE, "The version that runs; always 1."),
)


def expose(figures: Figures, *, is_openmetrics: bool) -> bytes:
    """Return the page; figures whose name is in no family come last, without a word of help."""
    samples: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    for (name, labels), histogram in sorted(figures.histograms.items(), key=_place):
        kinds[name] = _HISTOGRAM
        samples.setdefault(name, []).extend(_buckets(name, labels, histogram))
    for kind, values in ((_COUNTER, figures.counters), (_GAUGE, figures.gauges)):
        for (name, labels), value in sorted(values.items(), key=_place):
            kinds[name] = kind
            samples.setdefault(name, []).append(_line(name, labels, value))
    known = {family.name for family in FAMILIES}
    others = [Family(name, kinds[name], "") for name in sorted(samples.keys() - known)]
    lines: list[str] = []
    for family in (*FAMILIES, *others):
        if family.name in samples:
            lines += _head(family, is_openmetrics=is_openmetrics)
            lines += samples[family.name]
    if is_openmetrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _head(family: Family, *, is_openmetrics: bool) -> Iterator[str]:
    name = family.name.removesuffix("_total") if is_openmetrics else family.name
    yield f"# TYPE {name} {family.kind}"
    if is_openmetrics and family.unit:
        yield f"# UNIT {name} {family.unit}"
    if family.help:
        text = family.help.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {name} {text}"


def _buckets(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    bounds = [*(repr(bound) for bound in BUCKETS), "+Inf"]
    sums = list(accumulate(histogram.counts))
    for bound, count in zip(bounds, sums, strict=True):
        yield _line(f"{name}_bucket", (*labels, ("le", bound)), count)
    yield _line(f"{name}_sum", labels, histogram.total)
    yield _line(f"{name}_count", labels, sums[-1])


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{name}{{{shown}}} {number}" if shown else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _place(item: tuple[tuple[str, Labels], object]) -> tuple[str, Labels]:
    return item[0]
