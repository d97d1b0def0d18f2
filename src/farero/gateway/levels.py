"""How things stand, for `/metrics`: a handful of short queries and a look at two folders."""

from __future__ import annotations

import shutil
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from farero.records.endpoint import EndpointStatus, ReplicaState
from farero.records.notify import DeliveryState
from farero.store import deliveries as delivery_rows
from farero.store import endpoints as endpoint_rows
from farero.store import work as work_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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

    Level = tuple[tuple[str, Labels], float]


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
    return found


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
