"""Where a request goes: a snapshot of all routes in memory, renewed when the routing version has changed.

The hot path reads no SQL. What changes routes lets a stamp file grow by a byte after its commit; a router compares
the file's size with that at its last look before each request (a stat of about a microsecond), so a caller that has
seen InService never meets an older route.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid, NotFound
from farero.records.endpoint import EndpointStatus, ReplicaState
from farero.store import endpoints as rows
from farero.store import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from farero.endpoints.capture import CaptureTarget
    from farero.records.endpoint import Endpoint, Fleet, Replica, Variant
    from farero.store.engine import Store

_STARTING = ReplicaState.STARTING
_ROUTED = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRoute:
    """One place to send a request to."""

    id: str
    socket_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRoute:
    """One production variant."""

    name: str
    weight: float
    #: What part of the endpoint's requests its fleet gets; below 1 while two of them serve.
    share: float = 1.0
    replicas: tuple[ReplicaRoute, ...]
    #: Name of the endpoint's config; a dimension of its metrics.
    config_name: str = ""
    #: Most requests at a time; None for no limit of the caller's.
    max_concurrency: int | None = None
    #: Replicas of a serverless variant that are always there.
    provisioned: int = 0
    capture: CaptureTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRoute:
    """One endpoint that is in service."""

    name: str
    variants: tuple[VariantRoute, ...]
    #: Running sums of the weights, for the draw.
    sums: tuple[float, ...]
    is_serverless: bool = False


class RoutingStamp:
    """A file whose growth says that routes have changed."""

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        #: Held open: to ask by name for its size takes three times as long.
        self._fd = -1

    def touch(self) -> None:
        """Tell every router to look at the store again; after the commit, not before."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, b".")
        finally:
            os.close(file)

    def read(self) -> int:
        """Return a number that differs after each touch; 0 before the first."""
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return os.lseek(self._fd, 0, os.SEEK_END)  # its size; makes no other numbers
        except OSError:
            return 0

    def renew(self) -> None:
        """Let go of a file that has lost its name; once in a while."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self.close()

    def close(self) -> None:
        """Let go of the file; it is opened again when it is asked for."""
        if self._fd >= 0:
            gone, self._fd = self._fd, -1  # in this order: another thread may ask meanwhile
            os.close(gone)


class Router:
    """The routing table of one gateway."""

    def __init__(
        self,
        store: Store,
        stamp: RoutingStamp,
        *,
        capture_of: Callable[[str, Fleet, str], CaptureTarget | None] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._stamp = stamp
        self._capture_of = capture_of
        self._draw = draw
        self._table: Mapping[str, EndpointRoute] = {}
        self._version = -1
        self._seen = -1
        self._lock = threading.Lock()
        #: The look at the store that is under way, and the stamp of those who wait for it.
        self._looking: asyncio.Task[bool] | None = None
        self._looking_for = -1

    def refresh(self) -> bool:
        """Load the routes if they have changed; say whether they had. Blocks on SQL; one thread at a time looks."""
        with self._lock:  # an older look must not overwrite what a newer one has found
            return self._refresh()

    def _refresh(self) -> bool:
        self._stamp.renew()
        seen = self._stamp.read()
        with self._store.read() as db:
            version = versions.get(db, versions.ROUTING)
            if version == self._version:
                self._seen = seen
                return False
            endpoints, replicas = rows.routed(db), rows.list_replicas(db)
        self._table = {
            endpoint.name: self._route(endpoint, replicas)
            for endpoint in endpoints
            if endpoint.status in _ROUTED and endpoint.routed
        }
        self._version, self._seen = version, seen
        return True

    async def get(self, name: str) -> EndpointRoute:
        """Return the route of an endpoint. Raises NotFound if it is not in service."""
        if (stamp := self._stamp.read()) != self._seen:
            await self._look(stamp)
        route = self._table.get(name)
        if route is None:
            raise NotFound("endpoint", name)
        return route

    async def _look(self, stamp: int) -> None:
        """See to it that the table is as new as a stamp; all who wait for the same one share one look at the store."""
        looking = self._looking
        if looking is None or looking.done() or self._looking_for != stamp:
            looking = asyncio.create_task(asyncio.to_thread(self.refresh))
            self._looking, self._looking_for = looking, stamp
        await asyncio.shield(looking)  # one of them may go away

    def find_now(self, name: str) -> EndpointRoute | None:
        """Return the route of an endpoint, or None if it is not in service or the store must be asked first."""
        return self._table.get(name) if self._stamp.read() == self._seen else None

    def pick(self, route: EndpointRoute, target: str | None = None) -> VariantRoute:
        """Choose a variant: the one that was asked for, or one at random by weight.

        Raises Invalid for a target that the endpoint does not have.
        """
        if target is not None:
            found = [variant for variant in route.variants if variant.name == target]
            if not found:
                raise Invalid(f"Variant {target} of endpoint {route.name} not found")
            is_newer = len(found) > 1 and self._draw() >= found[0].share
            return found[1 if is_newer else 0]
        if len(route.variants) == 1:
            return route.variants[0]
        return pick_by_weight(route, self._draw())

    def replicas(self, endpoint: str, variant: str) -> tuple[ReplicaRoute, ...]:
        """Return where requests of a variant may go, as this gateway saw it last; nothing for one that is not there."""
        route = self._table.get(endpoint)
        found = [one for one in (route.variants if route else ()) if one.name == variant]
        return tuple(replica for one in found for replica in one.replicas)

    def names(self) -> list[str]:
        """Return the endpoints in service, as this gateway sees them."""
        return sorted(self._table)

    def variants(self) -> set[tuple[str, str]]:
        """Return endpoint and name of every variant in service."""
        return {(name, one.name) for name, route in self._table.items() for one in route.variants}

    def replica_ids(self) -> set[str]:
        """Return every replica that may get requests."""
        variants = (variant for route in self._table.values() for variant in route.variants)
        return {replica.id for variant in variants for replica in variant.replicas}

    def _route(self, endpoint: Endpoint, replicas: Sequence[Replica]) -> EndpointRoute:
        fleets, capture_of = endpoint.routed, self._capture_of
        variants = tuple(
            VariantRoute(
                name=variant.name,
                weight=_weight(fleet, variant, share),
                share=share,
                replicas=_replicas_of(endpoint.name, fleet, variant, replicas),
                config_name=fleet.config_name,
                max_concurrency=(variant.serverless or {}).get("MaxConcurrency"),
                provisioned=(variant.serverless or {}).get("ProvisionedConcurrency", 0),
                capture=capture_of(endpoint.name, fleet, variant.name) if capture_of else None,
            )
            for fleet, share in fleets
            for variant in fleet.variants
        )
        return EndpointRoute(
            name=endpoint.name,
            variants=variants,
            sums=tuple(itertools.accumulate(variant.weight for variant in variants)),
            is_serverless=any(
                variant.serverless for fleet, _ in fleets for variant in fleet.variants
            ),
        )


def pick_by_weight(route: EndpointRoute, draw: float) -> VariantRoute:
    """Return the variant in whose share `draw`, from 0 up to but without 1, falls; weight 0 gets nothing."""
    if len(route.variants) == 1:
        return route.variants[0]
    point = draw * route.sums[-1]
    for variant, upper in zip(route.variants, route.sums, strict=True):
        if point < upper:
            return variant
    return next(v for v in reversed(route.variants) if v.weight > 0)


def _weight(fleet: Fleet, variant: Variant, share: float) -> float:
    """Return a variant's weight among all that are routed; share: what part of the requests its fleet gets."""
    # What is on its way in has nothing current yet.
    weights = {
        v.name: v.desired_weight if fleet.share else v.current_weight for v in fleet.variants
    }
    if share == 1:
        return weights[variant.name]
    return share * weights[variant.name] / (sum(weights.values()) or 1.0)


def _replicas_of(
    endpoint: str, fleet: Fleet, variant: Variant, replicas: Sequence[Replica]
) -> tuple[ReplicaRoute, ...]:
    """Return what may be sent requests; of a serverless variant also what only starts: requests wait for it."""
    return tuple(
        ReplicaRoute(id=replica.id, socket_path=replica.socket_path)
        for replica in replicas
        if replica.endpoint == endpoint
        and replica.variant == variant.name
        and replica.generation == fleet.generation
        and (replica.ready_at is not None or (variant.serverless and replica.state is _STARTING))
        and replica.state is not ReplicaState.DRAINING
    )
