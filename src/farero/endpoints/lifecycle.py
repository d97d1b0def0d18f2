"""Moves endpoints from what was asked for to what runs.

A turn looks at every replica of one endpoint, does for each what can be done without waiting (`upkeep.py`), and then
decides about the endpoint: in service, failed, rolled back, gone. It asks for its next turn when it has to wait; a
process that ends or becomes ready wakes it at once. Endpoints at rest are looked at together (`rounds.py`).

An update is blue/green: the old fleet serves until each replica of the new one is ready, then one transaction gives the
new fleet all requests, or as many as its rollout says (`rollouts.py`), and in the end the old one drains. If the new
fleet never gets there, the old one has not noticed. A rolling update has the fleets change places batch by batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING

from farero.base.errors import NotReady
from farero.endpoints import events, failures, fleets, rollouts
from farero.endpoints.commands import KIND
from farero.endpoints.once import Once
from farero.endpoints.rounds import Rounds, is_at_rest, wanted
from farero.endpoints.turns import next_turn
from farero.endpoints.upkeep import PREPARE, GaveUp, Upkeep
from farero.records.endpoint import EndpointStatus, Fleet, Replica, ReplicaState, process_prefix
from farero.store import alarms as alarm_rows
from farero.store import endpoints as rows
from farero.store import tags as tag_rows
from farero.store import versions
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.endpoints.upkeep import Workplace
    from farero.records.compute import Zygote
    from farero.records.endpoint import Endpoint, Variant
    from farero.records.work import WorkItem

log = logging.getLogger(__name__)

#: Between two looks at processes that were told to end.
STOP_AGAIN = dt.timedelta(milliseconds=200)
#: Gateways have long forgotten a draining replica when it is told to end.
DRAIN = dt.timedelta(seconds=1)
#: Replicas of an endpoint that is deleted get this long for what they are doing.
DELETE_GRACE_S = 5.0


class EndpointLifecycle:
    """The handlers of `endpoint.reconcile`, `endpoint.prepare` and `endpoint.rounds`."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._store, self._clock, self._compute = place.store, place.clock, place.compute
        self._upkeep = Upkeep(place)
        self._rounds = Rounds(place, self._upkeep, self._count)
        self._once = Once()
        #: What the replicas of each endpoint are forked from.
        self._zygotes: dict[str, tuple[Zygote, ...]] = {}

    def close(self) -> None:
        """Close what is kept open to replicas; nobody may be at work any more."""
        self._upkeep.close()

    def reconcile(self, item: WorkItem) -> None:
        """Take one turn for the endpoint `item.key`."""
        self._once.do(f"{KIND} {item.key}", lambda: self._turn(item.key))

    def wake(self, key: str) -> None:
        """Note what a gateway asks for, `<endpoint>/<variant>/<replicas>`, and take a turn at once.

        No work item: whoever asks goes on asking until it has what it needs.
        """
        name, variant, replicas = key.split("/")
        self._place.demand.ask(name, variant, int(replicas))
        self._once.do(f"{KIND} {name}", lambda: self._turn(name))

    def prepare(self, item: WorkItem) -> None:
        """Fetch and make what one variant needs; `item.key` is `<endpoint>/<generation>/<variant>`."""
        self._once.do(f"{item.kind} {item.key}", lambda: self._prepare(item.key))

    def rounds(self, _item: WorkItem) -> None:
        """Look at all endpoints at rest."""
        self._rounds.take()

    def resume(self) -> int:
        """Give every endpoint a turn; for the start of the worker."""
        with self._store.begin() as db:
            names = rows.names(db)
            for name in names:
                items.put(db, KIND, name, due=self._clock.now())
        return len(names)

    def sweep(self) -> None:
        """Remove models that no endpoint has and no replica looks into, and logs of replicas that are long gone."""
        self._upkeep.sweep()

    def _turn(self, name: str) -> None:
        with self._store.read() as db:
            endpoint, replicas = rows.find(db, name), rows.list_replicas(db, name)
        if endpoint is None:
            return
        if endpoint.status in (EndpointStatus.DELETING, EndpointStatus.FAILED):
            self._zygotes[name] = ()
            self._clear_away(endpoint, replicas)
            return
        replicas = self._match(endpoint, replicas)
        try:
            looked = [self._upkeep.look_after(endpoint, replica) for replica in replicas]
        except GaveUp as error:
            self._give_up(endpoint, error)
            return
        replicas = [replica for replica in looked if replica is not None]
        self._zygotes[name] = self._ready_to_fork(endpoint)
        if self._settle(endpoint, replicas):
            return
        if is_at_rest(endpoint, replicas):
            with self._store.begin() as db:
                self._rounds.put(db)
        else:
            now = self._clock.now()
            has_room = endpoint.pending is not None and len(replicas) < len(looked)
            due = now if has_room else next_turn(endpoint, replicas, self._place.demand, now)
            self._place.put(KIND, name, due)

    def _match(self, endpoint: Endpoint, replicas: list[Replica]) -> list[Replica]:
        """Write rows for replicas that are missing, and let surplus ones drain; return all."""
        now = self._clock.now()
        new: list[Replica] = []
        surplus: list[Replica] = [r for r in replicas if r.state is not ReplicaState.DRAINING]
        for fleet, variant in wanted(endpoint):
            have = [
                replica
                for replica in surplus
                if (replica.generation, replica.variant) == (fleet.generation, variant.name)
            ]
            # Of too many the ones that are not ready go first, then the youngest.
            have.sort(
                key=lambda replica: (replica.state is not ReplicaState.READY, replica.created_at)
            )
            count = self._count(endpoint, fleet, variant, len(have))
            kept = have[:count]
            if variant.serverless:  # somebody waits for those that start
                kept += [r for r in have[count:] if r.state is ReplicaState.STARTING]
            surplus = [r for r in surplus if r not in kept]
            new += [
                self._place.replicas.new(endpoint.name, variant.name, fleet.generation, now)
                for _ in range(count - len(have))
            ]
        if _awaits_room(endpoint, replicas, surplus):
            new = [one for one in new if one.generation != endpoint.generation]
        drained = {replica.id: _drain(replica, now) for replica in surplus}
        if new or drained:
            with self._store.begin() as db:
                for replica in new:
                    rows.insert_replica(db, replica)
                for replica in drained.values():
                    rows.update_replica(db, replica)
                if drained:
                    versions.raise_routing(db)
        if drained:
            self._place.stamp.touch()
        return [drained.get(replica.id, replica) for replica in replicas] + new

    def _count(self, endpoint: Endpoint, fleet: Fleet, variant: Variant, have: int) -> int:
        """Return how many replicas a variant shall have now."""
        if variant.serverless is None:
            return fleets.size(fleet, variant.desired_count)
        if fleet is endpoint.pending:  # it has to show that it works
            return max(1, variant.serverless.get("ProvisionedConcurrency", 0))
        return self._place.demand.count(endpoint.name, fleet.generation, variant, have)

    def _ready_to_fork(self, endpoint: Endpoint) -> tuple[Zygote, ...]:
        """Return what replicas are forked from; have that made known which a sleeping variant's first would need."""
        found: list[Zygote] = []
        for fleet, variant in wanted(endpoint):
            zygote = self._upkeep.zygote(variant)
            if zygote is not None:
                found.append(zygote)
            elif variant.serverless and not self._upkeep.is_prepared(variant):
                key = f"{endpoint.name}/{fleet.generation}/{variant.name}"
                self._place.put(PREPARE, key, self._clock.now())
        return tuple(found)

    def keep_zygotes(self) -> None:
        """Have what replicas are forked from ready, and let go of what no endpoint needs."""
        with self._store.read() as db:
            names = rows.names(db)
        for gone in self._zygotes.keys() - set(names):
            self._zygotes.pop(gone, None)
        if not self._zygotes.keys() >= set(names):  # this worker has only just begun
            return
        found = {one.name: one for some in list(self._zygotes.values()) for one in some}
        with contextlib.suppress(NotReady):  # the supervisor has gone, and what it kept with it
            self._compute.keep(found.values())

    def _settle(self, endpoint: Endpoint, replicas: list[Replica]) -> bool:
        """Finish what is under way if the replicas allow it; True if the endpoint was changed."""
        if endpoint.status is EndpointStatus.ROLLING_BACK:
            return self._roll_back(endpoint, replicas)
        fleet = endpoint.pending or endpoint.current
        if endpoint.status is EndpointStatus.IN_SERVICE or fleet is None:
            return False
        if endpoint.current is not None and endpoint.pending is not None:
            return self._roll_out(endpoint, endpoint.pending, replicas)
        if not _is_ready(fleet, replicas, is_pending=fleet is endpoint.pending):
            return False
        fleet = self._resolve(fleets.settle(fleet))
        self._write(
            endpoint,
            lambda seen: dataclasses.replace(
                seen, status=EndpointStatus.IN_SERVICE, current=fleet, pending=None
            ),
            routes=True,
        )
        self._log("endpoint in service", endpoint, fleet)
        return True

    def _roll_out(self, endpoint: Endpoint, fleet: Fleet, replicas: list[Replica]) -> bool:
        """Give the new fleet more of the requests, or none any more; True if the endpoint was changed."""
        now, alarms = self._clock.now(), rollouts.read(endpoint.deployment, fleet).alarms
        with self._store.read() as db:
            found = alarm_rows.find_some(db, alarms) if alarms else {}
        ringing = [name for name, alarm in found.items() if alarm.state == "ALARM"]
        is_ready = _is_ready(fleet, replicas, is_pending=True)

        def change(seen: Endpoint) -> Endpoint:
            seen = dataclasses.replace(seen, pending=self._resolve(fleet) if is_ready else fleet)
            return rollouts.go_on(seen, is_ready=is_ready, ringing=ringing, now=now)

        changed = change(endpoint)
        if _standing(changed) == _standing(endpoint):
            return False
        self._write(endpoint, change, routes=True)
        if changed.status is EndpointStatus.ROLLING_BACK:
            facts = {"endpoint": endpoint.name, "reason": changed.failure_reason}
            log.warning("update taken back", extra=facts)
        elif changed.pending is None:
            self._log("endpoint in service", endpoint, fleet)
        elif changed.pending.share != fleet.share:
            facts = {"endpoint": endpoint.name, "config": fleet.config_name}
            log.info("requests shifted", extra=facts | {"share": changed.pending.share})
        return True

    def _roll_back(self, endpoint: Endpoint, replicas: list[Replica]) -> bool:
        """Give the old fleet what it can take of the requests again; in service once nothing is left of the new one."""
        old = endpoint.current
        if old is not None and endpoint.pending is not None:
            if not _is_ready(old, replicas, is_pending=True):
                return False
            self._write(endpoint, rollouts.go_back, routes=True)
            return True
        if any(replica.generation > (old.generation if old else 0) for replica in replicas):
            return False
        self._write(endpoint, lambda seen: _at(seen, EndpointStatus.IN_SERVICE))
        return True

    def _log(self, event: str, endpoint: Endpoint, fleet: Fleet) -> None:
        seconds = (self._clock.now() - endpoint.modified_at).total_seconds()
        log.info(
            event,
            extra={"endpoint": endpoint.name, "config": fleet.config_name, "seconds": seconds},
        )

    def _give_up(self, endpoint: Endpoint, error: GaveUp) -> None:
        replicas, failure = self._place.replicas, error.failure
        lines = replicas.last_lines(error.replica)
        reason = failures.failure_reason(failure, error.replica.variant, lines)
        replicas.say(error.replica, f"[farero] {failure}")

        def decide(seen: Endpoint) -> Endpoint:
            if seen.pending is not None and seen.current is not None:
                return rollouts.take_back(seen, reason)
            seen = dataclasses.replace(seen, failure_reason=reason)
            if seen.current is None:
                return _at(seen, EndpointStatus.FAILED)
            kept = fleets.give_way(seen.current)
            return _at(dataclasses.replace(seen, current=kept), EndpointStatus.IN_SERVICE)

        self._write(endpoint, decide, routes=bool(endpoint.pending and endpoint.pending.share))
        log.warning("endpoint failed", extra={"endpoint": endpoint.name, "cause": failure.cause})

    def _write(
        self, seen: Endpoint, change: Callable[[Endpoint], Endpoint], *, routes: bool = False
    ) -> None:
        """Write what was decided about the endpoint as it was seen, unless a caller changed it meanwhile."""
        now = self._clock.now()
        with self._store.begin() as db:
            items.put(db, KIND, seen.name, due=now)
            endpoint = rows.find_locked(db, seen.name)
            if endpoint is not None and endpoint.revision == seen.revision:
                changed = dataclasses.replace(change(endpoint), modified_at=now)
                rows.update(db, changed)
                if changed.status is not endpoint.status:
                    events.tell_endpoint(db, changed, now)
                if routes:
                    versions.raise_routing(db)
        if routes:
            self._place.stamp.touch()
        self._place.poke()

    def _clear_away(self, endpoint: Endpoint, replicas: list[Replica]) -> None:
        left = [
            replica
            for replica in replicas
            if self._upkeep.stop(replica, grace_s=DELETE_GRACE_S) is not None
        ]
        if left:
            self._place.put(KIND, endpoint.name, self._clock.now() + STOP_AGAIN)
            return
        if endpoint.status is EndpointStatus.FAILED:
            return
        for status in self._compute.list(process_prefix(endpoint.name)):
            self._compute.stop(status.name, grace_s=0)
        with self._store.begin() as db:
            rows.delete(db, endpoint.name)
            tag_rows.remove_all(db, endpoint.arn)
            events.tell_endpoint(db, endpoint, self._clock.now(), is_gone=True)
        self._place.demand.forget(endpoint.name)
        log.info("endpoint deleted", extra={"endpoint": endpoint.name})

    def _prepare(self, key: str) -> None:
        name, generation, variant = key.split("/", 2)
        with self._store.read() as db:
            endpoint, replicas = rows.find(db, name), rows.list_replicas(db, name)
        waiting = [
            replica
            for replica in replicas
            if (replica.generation, replica.variant) == (int(generation), variant)
            and replica.state is ReplicaState.WAITING
        ]
        found = next(
            (
                one
                for fleet, one in (wanted(endpoint) if endpoint else ())
                if (fleet.generation, one.name) == (int(generation), variant)
            ),
            None,
        )
        if endpoint is not None and found is not None and (waiting or found.serverless):
            self._upkeep.prepare(endpoint, found, waiting)
            self._place.put(KIND, name, self._clock.now())

    def _resolve(self, fleet: Fleet) -> Fleet:
        """Note what really runs behind each image."""
        now = self._clock.now()
        variants = tuple(
            dataclasses.replace(
                variant,
                runs=self._upkeep.runs(variant) or variant.runs,
                resolved_at=variant.resolved_at or now,
            )
            for variant in fleet.variants
        )
        return dataclasses.replace(fleet, variants=variants)


def _is_ready(fleet: Fleet, replicas: list[Replica], *, is_pending: bool) -> bool:
    ready = [
        replica.variant
        for replica in replicas
        if replica.generation == fleet.generation and replica.state is ReplicaState.READY
    ]
    return all(
        ready.count(variant.name) >= fleets.size(fleet, variant.desired_count)
        for variant in fleet.variants
        if is_pending or not variant.serverless  # one that has served may sleep
    )


def _awaits_room(endpoint: Endpoint, replicas: list[Replica], surplus: list[Replica]) -> bool:
    """Say whether a rolling update's next batch is to be started once the old one before it has ended."""
    is_rolling = endpoint.current is not None and endpoint.current.part < 1
    if endpoint.status is not EndpointStatus.UPDATING or not is_rolling:
        return False
    return bool(surplus) or any(one.state is ReplicaState.DRAINING for one in replicas)


def _standing(endpoint: Endpoint) -> tuple[object, ...]:
    """Return what a look at a rollout may change."""
    fleet = endpoint.pending
    return endpoint.status, fleet and (fleet.share, fleet.part)


def _at(endpoint: Endpoint, status: EndpointStatus) -> Endpoint:
    return dataclasses.replace(endpoint, status=status)


def _drain(replica: Replica, now: dt.datetime) -> Replica:
    has_served = replica.ready_at is not None
    return dataclasses.replace(
        replica, state=ReplicaState.DRAINING, stop_after=now + DRAIN if has_served else now
    )
