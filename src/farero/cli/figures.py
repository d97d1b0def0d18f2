"""The last hour of endpoints for `farero ls` and `show`: one GetMetricData, on Farero and on AWS alike."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from farero.base.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR = dt.timedelta(hours=1)
TITLES = ("REQUESTS/H", "ERRORS", "P50", "P99")
SEARCH = "SEARCH('{{AWS/SageMaker,EndpointName,VariantName}} MetricName=\"{}\"{}', '{}', {})"
LABEL = "${PROP('Dim.EndpointName')}/${PROP('Dim.VariantName')}"
#: Ids → metric and statistic.
ASKED = {
    "requests": ("Invocations", "Sum"),
    "errors": ("InvocationModelErrors", "Sum"),
    "p50": ("ModelLatency", "p50"),
    "p99": ("ModelLatency", "p99"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One hour; the times are microseconds until the model's answer, None without any."""

    requests: float = 0.0
    #: Requests that were not answered with 2xx.
    errors: float = 0.0
    p50: float | None = None
    p99: float | None = None

    @property
    def cells(self) -> list[str]:
        """Return the figures as people read them, in the order of TITLES; dashes where there were no requests."""
        if not self.requests:
            return ["-"] * len(TITLES)
        share = f"{100 * self.errors / self.requests:.3g} %"
        return [f"{self.requests:.0f}", share, duration(self.p50), duration(self.p99)]

    @property
    def as_json(self) -> dict[str, float | None]:
        """Return the figures under plain names."""
        rate = self.errors / self.requests if self.requests else None
        return {
            "requests": self.requests,
            "error_rate": rate,
            "p50_us": self.p50,
            "p99_us": self.p99,
        }


def last_hour(cloudwatch: Any, endpoint: str = "") -> dict[tuple[str, str], Figures]:
    """Return the last hour by endpoint and variant, of one endpoint or of all; nothing if it may not be seen."""
    end = SystemClock().now().replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    period = spanning_period(end - HOUR, end)
    only = f' EndpointName="{endpoint}"' if endpoint else ""
    queries = [
        {"Id": id, "Expression": SEARCH.format(metric, only, stat, period), "Label": LABEL}
        for id, (metric, stat) in ASKED.items()  # noqa: A001 - CloudWatch's name
    ]
    found: dict[tuple[str, str], dict[str, float]] = {}
    try:
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=end - HOUR, EndTime=end
        )
        for result in (one for page in pages for one in page["MetricDataResults"]):
            name, _, variant = result["Label"].partition("/")
            for value in result["Values"]:
                found.setdefault((name, variant), {})[result["Id"]] = value
    except ClientError:  # a key without a right to metrics may still list endpoints
        return {}
    return {key: Figures(**values) for key, values in found.items()}


def worst(some: Iterable[Figures]) -> Figures:
    """Return all requests and errors, and the times of the slowest variant."""
    found = list(some)
    return Figures(
        requests=sum(one.requests for one in found),
        errors=sum(one.errors for one in found),
        p50=max((one.p50 for one in found if one.p50 is not None), default=None),
        p99=max((one.p99 for one in found if one.p99 is not None), default=None),
    )


def spanning_period(start: dt.datetime, end: dt.datetime) -> int:
    """Return a period, in seconds, one of which holds all from start to end: only so is there one percentile of it.

    CloudWatch's periods begin at multiples of their length since 1970.
    """
    first, last = int(start.timestamp()), int(end.timestamp()) - 1
    least = (last - first) // 60 + 1
    return next(n * 60 for n in itertools.count(least) if first // (n * 60) == last // (n * 60))


def duration(microseconds: float | None) -> str:
    """Return a latency as people read it."""
    if microseconds is None:
        return "-"
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3g} s"
    return f"{microseconds / 1e3:.3g} ms"
