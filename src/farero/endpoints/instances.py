"""Which metrics a replica's CPU, memory, disk and start are: "SageMaker AI endpoint metrics" in CloudWatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.records.metrics import Datum, Metric
from farero.store import endpoints as rows
from farero.telemetry.resources import CPU, DISK, MEMORY, Subject

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from farero.records.endpoint import Endpoint, Replica, Variant
    from farero.store.engine import Store

NAMESPACE = "/aws/sagemaker/Endpoints"


def find_in(store: Store) -> Callable[[Sequence[str]], dict[str, Subject]]:
    """Return a function: names of processes → the variants whose replicas they are."""

    def find(names: Sequence[str]) -> dict[str, Subject]:
        wanted = set(names)
        with store.read() as db:
            found = [one for one in rows.list_replicas(db) if one.process_name in wanted]
            endpoints = {one.name: one for one in rows.routed(db)} if found else {}
        return {one.process_name: _subject(one, endpoints.get(one.endpoint)) for one in found}

    return find


def setup_time(replica: Replica, variant: Variant, now: dt.datetime) -> Datum | None:
    """Return ModelSetupTime for a replica that has become ready: only serverless variants have one."""
    if variant.serverless is None or replica.started_at is None:
        return None
    dimensions = {"EndpointName": replica.endpoint, "VariantName": replica.variant}
    took_us = max(0.0, (now - replica.started_at).total_seconds() * 1e6)
    metric = Metric.of("AWS/SageMaker", "ModelSetupTime", dimensions)
    return Datum(metric=metric, at=now, values=(took_us,), unit="Microseconds")


def _subject(replica: Replica, endpoint: Endpoint | None) -> Subject:
    # A serverless endpoint has no instances whose processors and disks were somebody's.
    is_serverless = any(
        variant.name == replica.variant and variant.serverless is not None
        for fleet in ((endpoint.current, endpoint.pending) if endpoint else ())
        if fleet is not None and fleet.generation == replica.generation
        for variant in fleet.variants
    )
    return Subject(
        NAMESPACE,
        {"EndpointName": replica.endpoint, "VariantName": replica.variant},
        (MEMORY,) if is_serverless else (CPU, MEMORY, DISK),
    )
