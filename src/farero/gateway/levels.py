"""How things stand, for `/metrics`: a handful of short queries and a look at two folders."""

from __future__ import annotations

import shutil
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from farero.endpoints.instances import NAMESPACE
from farero.records.endpoint import EndpointStatus, ReplicaState
from farero.records.notify import DeliveryState
from farero.store import deliveries as delivery_rows
from farero.store import endpoints as endpoint_rows
from farero.store import metrics as metric_rows
from farero.store import work as work_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from typing import Protocol

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.endpoint import Endpoint, Fleet, Replica
    from farero.store.engine import Store
    from farero.telemetry.totals import Labels

    class Parts(Protocol):
        """What of the app is read here."""

        settings: Settings
        clock: Clock
        store: Store
        telemetry: Store

    Level = tuple[tuple[str, Labels], float]


#: A figure that is older says nothing about now.
RECENT_S = 180
_SHARES = {
    "CPUUtilization": "farero_cpu_utilization_ratio",
    "MemoryUtilization": "farero_memory_utilization_ratio",
    "DiskUtilization": "farero_disk_utilization_ratio",
}


def variants(store: Store) -> set[Labels]:
    """Return the labels of every variant that exists, in service or on its way."""
    with store.read() as db:
        endpoints = endpoint_rows.routed(db)
    return {
        _labels(endpoint, variant.name)
        for endpoint in endpoints
        for fleet in (endpoint.current, endpoint.pending)
        if fleet is not None
        for variant in fleet.variants
    }


def levels(parts: Parts) -> dict[tuple[str, Labels], float]:
    """Return every level by its name and labels."""
    now = parts.clock.now()
    with parts.store.read() as db:
        endpoints, replicas = endpoint_rows.routed(db), endpoint_rows.list_replicas(db)
        items, next_due = work_rows.counts(db), work_rows.next_due(db)
        deliveries = delivery_rows.counts(db)
    found: dict[tuple[str, Labels], float] = dict(_endpoints(endpoints, replicas))
    for kind, count in items.items():
        found["farero_work_items", (("kind", kind),)] = count
    waited = (now - next_due).total_seconds() if next_due else 0.0
    found["farero_work_overdue_seconds", ()] = max(0.0, waited)
    for state in (DeliveryState.PENDING, DeliveryState.DEAD):
        found["farero_deliveries", (("state", state.value),)] = deliveries[state.value]
    found.update(_spool(parts.settings.spool_dir / "capture", now.timestamp()))
    disk = shutil.disk_usage(parts.settings.data_dir)
    found["farero_disk_free_bytes", ()] = disk.free
    found["farero_disk_size_bytes", ()] = disk.total
    found["farero_build_info", (("version", _version()),)] = 1
    found.update(_shares(parts.telemetry, set(found), int(now.timestamp())))
    return found


def _shares(telemetry: Store, shown: Collection[tuple[str, Labels]], now: int) -> Iterator[Level]:
    """Return what the replicas of each variant take of the machine, by its newest minute."""
    with telemetry.read() as db:
        rows = metric_rows.latest(db, namespace=NAMESPACE, tier=60, since=now - RECENT_S)
    for metric, _, percent in rows:
        dimensions = dict(metric.dimensions)
        if metric.name not in _SHARES or dimensions.keys() != {"EndpointName", "VariantName"}:
            continue
        labels = (("endpoint", dimensions["EndpointName"]), ("variant", dimensions["VariantName"]))
        if ("farero_replicas_wanted", labels) in shown:
            yield (_SHARES[metric.name], labels), percent / 100


def _endpoints(endpoints: Sequence[Endpoint], replicas: Sequence[Replica]) -> Iterator[Level]:
    for status in EndpointStatus:
        count = sum(endpoint.status is status for endpoint in endpoints)
        yield ("farero_endpoints", (("status", status.value),)), count
    ready: dict[tuple[str, str, int], int] = {}
    for one in replicas:
        if one.state is ReplicaState.READY:
            key = (one.endpoint, one.variant, one.generation)
            ready[key] = ready.get(key, 0) + 1
    for endpoint in endpoints:
        fleet: Fleet | None = endpoint.current or endpoint.pending
        for variant in fleet.variants if fleet else ():
            labels = _labels(endpoint, variant.name)
            assert fleet is not None
            answering = ready.get((endpoint.name, variant.name, fleet.generation), 0)
            yield ("farero_replicas_wanted", labels), variant.desired_count
            yield ("farero_replicas_ready", labels), answering


def _spool(folder: Path, now: float) -> Iterator[Level]:
    size, oldest = 0, now
    for path in folder.glob("*/*.jsonl"):
        try:
            found = path.stat()
        except FileNotFoundError:  # published meanwhile
            continue
        size += found.st_size
        oldest = min(oldest, found.st_mtime)
    yield ("farero_capture_spool_bytes", ()), size
    yield ("farero_capture_spool_oldest_seconds", ()), now - oldest


@cache
def _version() -> str:
    return version("farero")


def _labels(endpoint: Endpoint, variant: str) -> Labels:
    return (("endpoint", endpoint.name), ("variant", variant))
