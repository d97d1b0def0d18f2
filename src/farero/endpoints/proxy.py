"""The hop from gateway to replica: choose one, send, retry once if it dies, wait for it to come back.

Which replica: of those with an open connection the one with the fewest requests in flight, in turn among equals.
A replica that died keeps its place and its socket path, so the gateway finds it again by itself: it tries to connect
while requests wait (at most `RESPAWN_WAIT_S`; promise P3 of the reliability page).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from farero.base.errors import LimitExceeded, NotReady
from farero.endpoints import memory_notes
from farero.endpoints.frames import FramedConnection, ReplicaLost, Reply
from farero.endpoints.hops import Hop, connect
from farero.endpoints.serverless_metrics import Use
from farero.endpoints.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from farero.base.clock import Clock
    from farero.endpoints.frames import Waiting
    from farero.endpoints.router import ReplicaRoute, VariantRoute
    from farero.endpoints.waking import Slots

#: How long a request waits for a replica to come back before it is refused.
RESPAWN_WAIT_S = 10.0
#: Pause between two tries to reach replicas of which none answers.
CONNECT_PAUSE_S = 0.005
#: How long a waiting request goes without a look at the routes.
LOOK_AGAIN_S = 0.25
#: Time for a local socket to take a connection.
CONNECT_TIMEOUT_S = 2.0
#: After so many lost replicas a request is given up: it may be what they died of.
MOST_DEATHS = 2
#: How long before its death is noticed a replica's end for its memory may have been noted.
NOTED_BEFORE_S = 1.0
NONE_CAME_BACK = (
    "The model process died while it worked on this request, and no replica of endpoint {} has come back since; "
    "the log of the endpoint says why."
)
#: Most requests of one gateway for one endpoint's variant, waiting ones included.
MOST_IN_FLIGHT = 2000


class InvocationTimedOut(Exception):  # noqa: N818 - an event
    """The replica did not answer in time."""


class ReplicaDied(Exception):  # noqa: N818 - an event
    """The request was sent twice and both times the replica died before it answered; says why where that is known.

    The first time may have been a request that was refused as nothing came back, and that its program sent again.
    """


class Proxy:
    """All connections of one gateway to replicas."""

    def __init__(  # noqa: PLR0913 - times, and the parts of serverless endpoints
        self,
        *,
        clock: Clock,
        timeout_s: float = 60.0,
        respawn_wait_s: float = RESPAWN_WAIT_S,
        serverless_wait_s: float = RESPAWN_WAIT_S,
        wake: Callable[[str, str], None] | None = None,
        slots: Slots | None = None,
    ) -> None:
        """wake: has a serverless variant get a replica; called for as long as a request waits for one.

        slots: where MaxConcurrency is counted together with other gateways; None if there are none.
        """
        #: Called after every batch of answers to what `try_send` sent.
        self.on_settled: Callable[[], None] = _nothing
        self._clock = clock
        self._timeout_s = timeout_s
        self._respawn_wait_s = respawn_wait_s
        self._serverless_wait_s = serverless_wait_s
        self._wake = wake
        self._slots = slots
        #: Variants whose replicas one request looks out for, so that others need not.
        self._watched: set[tuple[str, str]] = set()
        self._uses: dict[tuple[str, str], Use] = {}
        #: Serverless variants that have had a request.
        self._limited: set[tuple[str, str]] = set()
        #: Requests of serverless variants that have ended since `take_load`.
        self._ended: dict[tuple[str, str], int] = {}
        #: Set and replaced each time a connection opens or is given up.
        self._opened = asyncio.Event()
        self._hops: dict[str, Hop] = {}
        self._in_flight: dict[tuple[str, str], int] = {}
        #: The most of them since `take_peaks`.
        self._peaks: dict[tuple[str, str], int] = {}
        self._turn = 0
        self._suspects = Suspects()

    async def invoke(
        self,
        endpoint: str,
        find_variant: Callable[[], Awaitable[VariantRoute]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> tuple[VariantRoute, Reply]:
        """Send one request and return who answered, and what.

        find_variant: returns where to send it; asked again for a retry, because routes may have changed.

        Raises NotReady if no replica can be reached for `respawn_wait_s`, LimitExceeded if too many requests are
        under way, InvocationTimedOut, or ReplicaDied.
        """
        variant = await find_variant()
        self._begin(endpoint, variant)
        try:
            return await self._send(endpoint, variant, find_variant, headers, body)
        finally:
            self.end(endpoint, variant)

    def try_send(
        self, endpoint: str, variant: VariantRoute, head: bytes, body: bytes, waiting: Waiting
    ) -> str | None:
        """Send one request at once and return the replica's id; None, with nothing done, if it would have to wait.

        The answer goes to `waiting`. The request counts as under way until `end`, or until `retry` has returned.
        """
        key = (endpoint, variant.name)
        count = self._in_flight.get(key, 0)
        limit = variant.max_concurrency
        if count >= MOST_IN_FLIGHT or (limit is not None and (count >= limit or self._slots)):
            return None  # a place among all gateways may be refused: that is for `invoke` to say
        connection, name = self._only_one(variant)
        if connection is None or not connection.is_ready:
            found = self._choose(variant, None)
            if found is None or not found[0].is_ready:
                return None
            connection, name = found
        self._count_one_more(key, variant, count)
        connection.send(head, body, waiting)
        return name

    async def retry(  # noqa: PLR0913, PLR0917 - as `invoke`, and what came before
        self,
        endpoint: str,
        variant: VariantRoute,
        find_variant: Callable[[], Awaitable[VariantRoute]],
        headers: Mapping[str, str],
        body: bytes,
        lost: str,
    ) -> tuple[VariantRoute, Reply]:
        """Go on as `invoke` does with a request that `try_send` sent to the replica `lost`, which died."""
        try:
            return await self._send(endpoint, variant, find_variant, headers, body, lost=lost)
        finally:
            self.end(endpoint, variant)

    def end(self, endpoint: str, variant: VariantRoute, count: int = 1) -> None:
        """Count requests as over."""
        key = (endpoint, variant.name)
        if variant.max_concurrency is not None:
            self._ended[key] = self._ended.get(key, 0) + count
            if self._slots is not None:
                for _ in range(count):
                    self._slots.release(endpoint, variant.name)
        left = self._in_flight[key] - count
        if left:
            self._in_flight[key] = left
        else:
            del self._in_flight[key]

    def _begin(self, endpoint: str, variant: VariantRoute) -> None:
        key = (endpoint, variant.name)
        count, limit = self._in_flight.get(key, 0), variant.max_concurrency
        if limit is not None and count >= limit:
            raise _is_full(endpoint, count)
        if count >= MOST_IN_FLIGHT:
            raise NotReady(
                "endpoint", endpoint, f"Endpoint {endpoint} has {count} requests waiting."
            )
        if limit is not None and self._slots and not self._slots.take(*key, limit):
            raise _is_full(endpoint, limit)
        self._count_one_more(key, variant, count)

    def _count_one_more(self, key: tuple[str, str], variant: VariantRoute, count: int) -> None:
        self._in_flight[key] = count + 1
        if count >= self._peaks.get(key, 0):
            self._peaks[key] = count + 1
        if (limit := variant.max_concurrency) is not None:
            self._limited.add(key)
            use = self._uses.get(key)
            if use is None or (use.most, use.provisioned) != (limit, variant.provisioned):
                use = self._uses[key] = Use(limit, variant.provisioned)
            use.count(count + 1)

    def take_peaks(self) -> dict[tuple[str, str], int]:
        """Return the most requests at a time since the last call, by endpoint and variant; any thread may call."""
        taken, self._peaks = self._peaks, dict(self._in_flight)
        return taken

    def take_uses(self) -> dict[tuple[str, str], Use]:
        """Return how far serverless variants were used since the last call; any thread may call."""
        taken, self._uses = self._uses, {}
        for key, count in self._in_flight.copy().items():
            if (use := taken.get(key)) is not None:
                self._uses.setdefault(key, Use(use.most, use.provisioned, peak=count))
        return taken

    def take_load(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return what is under way and has ended since the last call, of serverless variants that have a replica."""
        ended, self._ended = self._ended, {}
        self._limited &= self._in_flight.keys()  # who comes again is counted again
        keys = ended.keys() | self._limited
        return {
            key: (self._in_flight.get(key, 0), ended.get(key, 0)) for key in keys - self._watched
        }

    def connect(self, replicas: Iterable[ReplicaRoute]) -> None:
        """Reach out for replicas before a request needs them, so that the next ones are spread over all."""
        for replica in replicas:
            self._keep_connecting(replica)

    def close(self) -> None:
        """Close every connection."""
        for hop in self._hops.values():
            hop.close()
        self._hops.clear()

    def forget_others(self, replica_ids: Iterable[str]) -> None:
        """Close idle connections to replicas that are not among `replica_ids`."""
        for stale in set(self._hops) - set(replica_ids):
            if not self._hops[stale].is_busy:
                self._hops.pop(stale).close()

    async def _send(  # noqa: PLR0913 - as `retry`
        self,
        endpoint: str,
        variant: VariantRoute,
        find_variant: Callable[[], Awaitable[VariantRoute]],
        headers: Mapping[str, str],
        body: bytes,
        *,
        lost: str | None = None,
    ) -> tuple[VariantRoute, Reply]:
        began = self._clock.now().timestamp()
        deaths = 0
        if lost is not None:
            began -= NOTED_BEFORE_S
            deaths = self._count_death(endpoint, body)
        while deaths < MOST_DEATHS:
            if lost is not None:
                variant = await find_variant()
            try:
                connection, lost = await self._connection(
                    endpoint, variant, find_variant, avoid=lost
                )
            except NotReady as error:
                if not deaths:
                    raise
                self._suspects.add(endpoint, body, self._clock.monotonic())
                raise NotReady("endpoint", endpoint, NONE_CAME_BACK.format(endpoint)) from error
            try:
                return variant, await connection.request("/invocations", headers, body)
            except TimeoutError as error:
                raise InvocationTimedOut from error
            except ReplicaLost:
                deaths += self._count_death(endpoint, body) if not deaths else 1
        hop = self._hops.get(lost) if lost is not None else None
        raise ReplicaDied(memory_notes.read(hop.socket_path, since=began) if hop else "")

    def _count_death(self, endpoint: str, body: bytes) -> int:
        """Return how many replicas a request has lost, now that it lost one: two if it came before and was refused."""
        return 1 + self._suspects.take(endpoint, body, self._clock.monotonic())

    async def _connection(
        self,
        endpoint: str,
        variant: VariantRoute,
        find_variant: Callable[[], Awaitable[VariantRoute]],
        *,
        avoid: str | None,
    ) -> tuple[FramedConnection, str]:
        """Return an open connection and its replica's id; wait for one up to the respawn limit."""
        found = self._choose(variant, avoid)
        if found is not None:
            return found
        is_serverless = variant.max_concurrency is not None
        wait_s = self._serverless_wait_s if is_serverless else self._respawn_wait_s
        deadline = self._clock.monotonic() + wait_s
        key = (endpoint, variant.name)
        is_first = is_serverless and key not in self._watched
        if is_first:
            self._watched.add(key)
        try:
            return await self._wait_for_connection(
                endpoint, variant, find_variant, avoid=avoid, deadline=deadline, looks=is_first
            )
        finally:
            if is_first:
                self._watched.discard(key)

    async def _wait_for_connection(  # noqa: PLR0913 - a part of `_connection`
        self,
        endpoint: str,
        variant: VariantRoute,
        find_variant: Callable[[], Awaitable[VariantRoute]],
        *,
        avoid: str | None,
        deadline: float,
        looks: bool,
    ) -> tuple[FramedConnection, str]:
        """looks: look at the routes all the time: a replica of a variant that had none may be there in milliseconds."""
        while True:
            opened = self._opened
            if self._wake is not None and variant.max_concurrency is not None:
                self._wake(endpoint, variant.name)
            for replica in variant.replicas:
                self._keep_connecting(replica)
            # The one that died under this request may serve again; another one is better.
            found = self._choose(variant, avoid) or self._choose(variant, None)
            if found is not None:
                return found
            if self._clock.monotonic() >= deadline:
                raise NotReady(
                    "endpoint", endpoint, f"No replica of endpoint {endpoint} can be reached."
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_PAUSE_S if looks else LOOK_AGAIN_S):
                    await opened.wait()
            variant = await find_variant()

    def _only_one(self, variant: VariantRoute) -> tuple[FramedConnection | None, str]:
        """Return connection and id of a variant's only replica; None leaves the choice to `_choose`."""
        if len(variant.replicas) != 1:
            return None, ""
        name = variant.replicas[0].id
        hop = self._hops.get(name)
        return (None if hop is None else hop.connection), name

    def _choose(
        self, variant: VariantRoute, avoid: str | None
    ) -> tuple[FramedConnection, str] | None:
        """Return the least busy open connection, in turn among equals, and see to those that are closed.

        None if there is none, or if a replica was never seen: it is connected first, so that it gets its share.
        """
        best: tuple[FramedConnection, str] | None = None
        replicas = variant.replicas
        count = len(replicas)
        self._turn += 1
        for index in range(count):
            replica = replicas[(self._turn + index) % count]
            hop = self._hops.get(replica.id)
            if hop is None:
                return None
            connection = hop.connection
            if connection is None or not connection.is_open:
                self._keep_connecting(replica)
            elif replica.id != avoid and (best is None or connection.in_flight < best[0].in_flight):
                best = (connection, replica.id)
        return best

    def _keep_connecting(self, replica: ReplicaRoute) -> None:
        """Let one task try to reach the replica until it does, or for as long as a request would wait."""
        hop = self._hops.get(replica.id)
        if hop is None:
            hop = self._hops[replica.id] = Hop(replica.socket_path)
        if not hop.is_open and (hop.task is None or hop.task.done()):
            hop.task = asyncio.create_task(self._connect(hop))

    async def _connect(self, hop: Hop) -> None:
        deadline = self._clock.monotonic() + self._respawn_wait_s
        while self._clock.monotonic() < deadline:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    hop.connection = await connect(hop.socket_path, self._new_connection)
            except (OSError, ReplicaLost):  # TimeoutError is an OSError
                await asyncio.sleep(CONNECT_PAUSE_S)
            else:
                break
        self._opened.set()
        self._opened = asyncio.Event()

    def _new_connection(self) -> FramedConnection:
        return FramedConnection(
            self._timeout_s,
            monotonic=self._clock.monotonic,
            settle=lambda: self.on_settled(),  # noqa: PLW0108 - set later than the first connection, perhaps
        )


def _is_full(endpoint: str, count: int) -> LimitExceeded:
    return LimitExceeded(
        f"Endpoint {endpoint} already handles {count} requests, as many as its MaxConcurrency allows."
    )


def _nothing() -> None:
    """Nobody waits for the end of a batch."""
