"""CloudWatch's metrics of serverless variants: how much of their concurrency is used, what exceeds the provisioned.

Names and meanings: "Monitor a serverless endpoint" (metrics for on-demand and for provisioned concurrency).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.records.metrics import Datum, Metric

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

NAMESPACE = "AWS/SageMaker"


@dataclass(slots=True)
class Use:
    """What one gateway has seen of one serverless variant in one span."""

    #: MaxConcurrency.
    most: int
    #: ProvisionedConcurrency, 0 for none.
    provisioned: int
    #: Most requests at a time.
    peak: int = 0
    requests: int = 0
    #: Requests that came when as many as provisioned were under way.
    spilled: int = 0

    def count(self, under_way: int) -> None:
        """Note a request that has begun; under_way: how many there are with it."""
        self.requests += 1
        self.peak = max(self.peak, under_way)
        self.spilled += under_way > self.provisioned


def data(uses: Mapping[tuple[str, str], Use], at: dt.datetime) -> Iterator[Datum]:
    """Return the metrics of a span that ends at `at`."""
    for (endpoint, variant), use in uses.items():
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        for name, unit, value in _values(use):
            metric = Metric.of(NAMESPACE, name, dimensions)
            yield Datum(metric=metric, at=at, values=(value,), unit=unit)


def _values(use: Use) -> Iterator[tuple[str, str, float]]:
    yield "ServerlessConcurrentExecutionsUtilization", "None", use.peak / use.most
    if not use.provisioned:
        return
    within = min(use.peak, use.provisioned)
    yield "ServerlessProvisionedConcurrencyExecutions", "Count", float(within)
    yield "ServerlessProvisionedConcurrencyUtilization", "None", within / use.provisioned
    handled = use.requests - use.spilled
    yield "ServerlessProvisionedConcurrencyInvocations", "Count", float(handled)
    yield "ServerlessProvisionedConcurrencySpilloverInvocations", "Count", float(use.spilled)
