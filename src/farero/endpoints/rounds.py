"""Looks after all endpoints at rest together: one work item, one look at the store, one question to the supervisor.

An endpoint at rest needs nothing unless a process answers nothing more, or has ended without a word. There may be
hundreds of them, whose items alone would keep a processor busy. Who is found to need something gets a turn of its own
(`lifecycle.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING

from farero.endpoints.commands import KIND
from farero.records.endpoint import EndpointStatus, ReplicaState, process_prefix
from farero.store import endpoints as rows
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from farero.endpoints.upkeep import Upkeep, Workplace
    from farero.records.endpoint import Endpoint, Fleet, Replica, Variant

ROUNDS = "endpoint.rounds"
#: There is one item for all endpoints.
KEY = "all"
#: Between two rounds, unless several are needed sooner to notice who answers nothing.
LONGEST_PAUSE = dt.timedelta(seconds=15)
SHORTEST_PAUSE = dt.timedelta(seconds=5)


class Rounds:
    """The handler of `endpoint.rounds`."""

    def __init__(
        self,
        place: Workplace,
        upkeep: Upkeep,
        count: Callable[[Endpoint, Fleet, Variant, int], int],
    ) -> None:
        """count: returns how many replicas a variant shall have that has so many."""
        self._place = place
        self._upkeep = upkeep
        self._count = count

    def put(self, db: Connection) -> None:
        """Have the next round taken in time, in the caller's transaction."""
        silence = dt.timedelta(seconds=self._place.replicas.longest_silence_s)
        pause = max(SHORTEST_PAUSE, min(LONGEST_PAUSE, silence / 4))
        items.put(db, ROUNDS, KEY, due=self._place.clock.now() + pause)

    def take(self) -> None:
        """Look at every endpoint at rest, and give a turn to those that need one."""
        with self._place.store.read() as db:
            endpoints, replicas = rows.routed(db), rows.list_replicas(db)
        replicas_of: defaultdict[str, list[Replica]] = defaultdict(list)
        for replica in replicas:
            replicas_of[replica.endpoint].append(replica)
        resting = [one for one in endpoints if is_at_rest(one, replicas_of[one.name])]
        if not resting:
            return
        found = self._place.compute.list(process_prefix())
        running = {process.name for process in found if process.state == "running"}
        calls = [
            one.name for one in resting if self._needs_a_turn(one, replicas_of[one.name], running)
        ]
        now = self._place.clock.now()
        with self._place.store.begin() as db:
            for name in calls:
                items.put(db, KIND, name, due=now)
            self.put(db)
        if calls:
            self._place.poke()

    def _needs_a_turn(
        self, endpoint: Endpoint, replicas: list[Replica], running: Collection[str]
    ) -> bool:
        for fleet, variant in wanted(endpoint):
            mine = (fleet.generation, variant.name)
            have = sum((replica.generation, replica.variant) == mine for replica in replicas)
            if self._count(endpoint, fleet, variant, have) != have:
                return True
        # Each is asked, whatever the others say: what is not asked for long cannot be told from what does not answer.
        silent = [one for one in replicas if self._upkeep.is_silent(one)]
        return bool(silent) or any(one.process_name not in running for one in replicas)


def is_at_rest(endpoint: Endpoint, replicas: list[Replica]) -> bool:
    """Say whether nothing is under way and nothing is to be expected: all replicas serve and none may sleep, or all do.

    What sleeps is woken at once (`EndpointLifecycle.wake`), not by a look.
    """
    may_sleep = any(variant.serverless for _, variant in wanted(endpoint))
    return (
        endpoint.status is EndpointStatus.IN_SERVICE
        and all(replica.state is ReplicaState.READY for replica in replicas)
        and not (replicas and may_sleep)
    )


def wanted(endpoint: Endpoint) -> list[tuple[Fleet, Variant]]:
    """Return every variant of an endpoint that shall have replicas, with its fleet."""
    found = (endpoint.current, endpoint.pending)
    return [(fleet, v) for fleet in found if fleet is not None for v in fleet.variants]
