"""Looks after one replica: start it, see it become ready, notice its death, start it again later, end it.

Every step can be repeated after a crash at any point: the row is written before the process is started, and a process
is started once per name. What takes long (fetching a model, making a Python) is a work item of its own,
`endpoint.prepare`, so that replicas which serve are looked after meanwhile.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from farero.endpoints import failures, instances
from farero.endpoints.engines import Engines
from farero.endpoints.failures import DEATHS_WITHIN_S, MOST_DEATHS, Failure, StartFailed
from farero.endpoints.heartbeats import Heartbeats
from farero.endpoints.preparing import Prepared
from farero.endpoints.replicas import STOP_GRACE_S, ping
from farero.records.endpoint import EndpointStatus, ReplicaState, log_group, log_stream
from farero.store import endpoints as rows
from farero.store import versions
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.compute.base import Compute
    from farero.endpoints.preparing import Preparer
    from farero.endpoints.replicas import Replicas
    from farero.endpoints.router import RoutingStamp
    from farero.endpoints.serverless import Demand
    from farero.records.compute import ProcessStatus, Zygote
    from farero.records.endpoint import Endpoint, Replica, Variant
    from farero.records.metrics import Datum
    from farero.store.engine import Store

log = logging.getLogger(__name__)

PREPARE = "endpoint.prepare"
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0


class LogShipper(Protocol):
    """What a replica needs of `telemetry/ship.py`."""

    def follow(self, path: Path, group: str, stream: str) -> None:
        """Turn what is appended to `path` into events."""
        ...

    def finish(self, path: Path) -> None:
        """Turn what is left into events and stop following."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What looking after endpoints takes."""

    store: Store
    clock: Clock
    compute: Compute
    preparer: Preparer
    replicas: Replicas
    shipper: LogShipper
    stamp: RoutingStamp
    #: How many replicas serverless variants need.
    demand: Demand
    #: Wakes the worker after an item was put.
    poke: Callable[[], None]
    #: Takes figures that are stored some time later; never blocks.
    measured: Callable[[Datum], object]

    def put(self, kind: str, key: str, due: dt.datetime) -> None:
        """Ask for `kind` to be done for `key` at `due`."""
        with self.store.begin() as db:
            items.put(db, kind, key, due=due)
        if items.is_soon(due, self.clock.now()):
            self.poke()


class GaveUp(Exception):  # noqa: N818 - ends a look at a fleet
    """A fleet that is not in service yet cannot be made to work."""

    def __init__(self, replica: Replica, failure: Failure) -> None:
        self.replica = replica
        self.failure = failure
        super().__init__(str(failure))


class Upkeep:
    """Does for a replica what can be done now, and never waits."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._store, self._clock, self._compute = place.store, place.clock, place.compute
        self._replicas = place.replicas
        self._heartbeats = Heartbeats(place.clock)
        self._engines = Engines(place.store, place.replicas)
        #: By the same key as `_prepared`: the engine, where it is not the framework itself.
        self._marks: dict[str, str] = {}
        #: By what the variant asks for, so that no two endpoints can be mixed up; on disk it outlives a restart.
        self._prepared: dict[str, Prepared | Failure] = {}

    def close(self) -> None:
        """Close what is kept open to replicas."""
        self._heartbeats.close()

    def look_after(self, endpoint: Endpoint, replica: Replica) -> Replica | None:
        """Do what this replica needs now; return it as it is then, None if it is gone. Raises GaveUp."""
        match replica.state:
            case ReplicaState.WAITING:
                return self._start(endpoint, replica)
            case ReplicaState.STARTING | ReplicaState.READY:
                status = self._compute.status(replica.process_name)
                if status.state == "running":
                    return self._check_health(endpoint, replica)
                return self._bury(endpoint, replica, status)
            case ReplicaState.DRAINING:
                if replica.stop_after is not None and replica.stop_after > self._clock.now():
                    return replica
                return self.stop(replica, grace_s=STOP_GRACE_S)

    def stop(self, replica: Replica, *, grace_s: float) -> Replica | None:
        """Take one step towards a replica's end; None once nothing is left of it."""
        self._heartbeats.forget(replica.process_name)
        status = self._compute.status(replica.process_name)
        if status.state == "running":
            if not replica.stop_sent:
                self._compute.stop(replica.process_name, grace_s=grace_s)
                replica = dataclasses.replace(replica, stop_sent=True)
                self._save(replica)
            return replica
        self._compute.forget(replica.process_name)
        self._place.shipper.finish(self._replicas.log_path(replica))
        self._replicas.clear(replica)
        with self._store.begin() as db:
            rows.delete_replica(db, replica.id)
        return None

    def prepare(self, endpoint: Endpoint, variant: Variant, replicas: list[Replica]) -> None:
        """Fetch and make what a variant needs; may take minutes the first time.

        replicas: those that wait for it; their logs tell how it goes.
        """
        key = _fingerprint(variant)
        if key in self._prepared:
            return
        try:
            found = self._place.preparer.prepare(
                variant, lambda line: self._tell(endpoint, replicas, line)
            )
        except StartFailed as error:
            found = error.failure
        self._prepared[key] = found

    def sweep(self) -> None:
        """Remove models that no endpoint has and no replica looks into, and logs of replicas that are long gone."""
        with self._store.read() as db:
            endpoints, replicas = rows.routed(db), rows.list_replicas(db)
        fleets = [fleet for one in endpoints for fleet in (one.current, one.pending) if fleet]
        variants = [variant for fleet in fleets for variant in fleet.variants]
        for key in self._prepared.keys() - set(map(_fingerprint, variants)):
            self._prepared.pop(key, None)
            self._marks.pop(key, None)
        in_use = self._replicas.folders_in_use()
        now = self._clock.now()
        if gone := self._place.preparer.sweep(variants, in_use, now):
            log.info("removed files of unused models", extra={"folders": gone})
        if gone := self._replicas.sweep_logs({replica.id for replica in replicas}, now):
            log.info("removed logs of replicas that ended long ago", extra={"files": gone})

    def is_prepared(self, variant: Variant) -> bool:
        """Say whether all that replicas of a variant need is there, or is known not to be had."""
        return _fingerprint(variant) in self._prepared

    def zygote(self, variant: Variant) -> Zygote | None:
        """Return what replicas of a variant are forked from; None for nothing or while that is not known."""
        found = self._prepared.get(_fingerprint(variant))
        return self._replicas.zygote(found) if isinstance(found, Prepared) else None

    def runs(self, variant: Variant) -> str:
        """Return what really runs behind a variant's image, "" while that is not known."""
        key = _fingerprint(variant)
        found = self._prepared.get(key)
        return found.runs + self._marks.get(key, "") if isinstance(found, Prepared) else ""

    def _start(self, endpoint: Endpoint, replica: Replica) -> Replica:
        now = self._clock.now()
        if replica.start_after is not None and replica.start_after > now:
            return replica
        variant = variant_of(endpoint, replica)
        prepared = self._prepared.get(_fingerprint(variant))
        if isinstance(prepared, Prepared) and not prepared.is_there:
            self._prepared.pop(_fingerprint(variant), None)
            prepared = None
        if prepared is None:
            key = f"{endpoint.name}/{replica.generation}/{replica.variant}"
            self._place.put(PREPARE, key, now)
            return replica
        if isinstance(prepared, Failure):
            self._prepared.pop(_fingerprint(variant), None)
            return self._fail(endpoint, replica, prepared)
        replica = dataclasses.replace(
            replica, state=ReplicaState.STARTING, attempt=replica.attempt + 1, started_at=now
        )
        self._replicas.lay_out(replica, prepared)
        # Requests wait for a serverless one: gateways knock at its door from now on.
        self._save(replica, routes=variant.serverless is not None and _is_routed(endpoint, replica))
        for line in prepared.warnings if replica.attempt == 1 else ():
            self._replicas.say(replica, line)
        self._follow(replica)
        self._compute.start(self._replicas.spec(endpoint, variant, replica, prepared))
        return replica

    def _check_health(self, endpoint: Endpoint, replica: Replica) -> Replica:
        if replica.state is ReplicaState.READY:
            return self._check_pulse(endpoint, replica)
        status = ping(replica.socket_path)
        now = self._clock.now()
        if status == 200 and self._is_too_large(endpoint, replica):
            return replica  # about to be ended for its memory: it shall not be in service before
        if status == 200:
            is_first = replica.ready_at is None
            replica = dataclasses.replace(
                replica, state=ReplicaState.READY, ready_at=replica.ready_at or now
            )
            self._save(replica, routes=is_first and _is_routed(endpoint, replica))
            variant = variant_of(endpoint, replica)
            self._marks[_fingerprint(variant)] = self._engines.note(endpoint, variant, replica)
            if (took := instances.setup_time(replica, variant, now)) is not None:
                self._place.measured(took)
            return replica
        allowed = variant_of(endpoint, replica).startup_timeout_s
        if replica.started_at is None or (now - replica.started_at).total_seconds() < allowed:
            return replica
        self._compute.stop(replica.process_name, grace_s=0)
        if status is None:
            return self._fail(endpoint, replica, failures.ping_timed_out(allowed))
        return self._fail(endpoint, replica, failures.ping_refused(status, allowed))

    def _is_too_large(self, endpoint: Endpoint, replica: Replica) -> bool:
        """Say whether a serverless replica takes more memory than it may, as the supervisor sees at its next look."""
        if variant_of(endpoint, replica).serverless is None:
            return False
        used = self._compute.usage(replica.process_name)
        return any(one.memory_bytes > one.memory_limit_bytes for one in used)

    def _check_pulse(self, endpoint: Endpoint, replica: Replica) -> Replica:
        """Replace a replica in service that is there and answers nothing."""
        silence_s = self._silence_s(replica)
        if silence_s < self._replicas.longest_silence_s:
            return replica
        self._heartbeats.forget(replica.process_name)
        self._compute.stop(replica.process_name, grace_s=0)
        return self._fail(endpoint, replica, failures.went_silent(silence_s))

    def is_silent(self, replica: Replica) -> bool:
        """Ask a replica in service whether it is well; say whether it has not answered for too long."""
        return self._silence_s(replica) >= self._replicas.longest_silence_s

    def _silence_s(self, replica: Replica) -> float:
        return self._heartbeats.silence_s(replica.process_name, replica.socket_path)

    def _bury(self, endpoint: Endpoint, replica: Replica, status: ProcessStatus) -> Replica:
        """Note a death and when to start again; a process lost with the platform is started at once."""
        self._compute.forget(replica.process_name)
        self._heartbeats.forget(replica.process_name)
        if status.state == "unknown":
            return self._rest(endpoint, replica, self._clock.now())
        lines = self._replicas.last_lines(replica)
        report, has_served = self._replicas.report(replica), replica.state is ReplicaState.READY
        failure = failures.from_exit(status, report, lines, has_served=has_served)
        return self._fail(endpoint, replica, failure)

    def _fail(self, endpoint: Endpoint, replica: Replica, failure: Failure) -> Replica:
        """Count a failure; give the fleet up if it is not in service yet and this cannot get better."""
        now = self._clock.now()
        is_on_trial = _is_on_trial(endpoint, replica)
        deaths = (*replica.deaths, now)
        if replica.ready_at is not None or not is_on_trial:  # a start that fails may take any time
            since = now - dt.timedelta(seconds=DEATHS_WITHIN_S)
            deaths = tuple(moment for moment in deaths if moment > since)
        facts = {"endpoint": endpoint.name, "replica": replica.id, "cause": failure.cause}
        log.warning("replica failed", extra=facts | {"failures": len(deaths)})
        if replica.state is ReplicaState.READY:
            self._replicas.say(replica, f"[farero] {failure}")
        if is_on_trial:
            if failure.is_final:
                raise GaveUp(replica, failure)
            if len(deaths) >= MOST_DEATHS:
                span = (now - deaths[0]).total_seconds()
                many = failures.repeated(failure, len(deaths), span)
                if replica.ready_at is not None:
                    many = failures.crash_loop(len(deaths), span, failure)
                raise GaveUp(replica, many)
        pause = backoff(len(deaths), has_served=replica.state is ReplicaState.READY)
        return self._rest(endpoint, dataclasses.replace(replica, deaths=deaths), now + pause)

    def _rest(self, endpoint: Endpoint, replica: Replica, until: dt.datetime) -> Replica:
        replica = dataclasses.replace(
            replica, state=ReplicaState.WAITING, start_after=until, started_at=None
        )
        self._save(replica)
        return self._start(endpoint, replica)

    def _tell(self, endpoint: Endpoint, replicas: list[Replica], line: str) -> None:
        """Show progress in the log of each replica that waits for it."""
        log.info("preparing", extra={"endpoint": endpoint.name, "step": line})
        for replica in replicas:
            self._replicas.say(replica, f"[farero] {line}")
            self._follow(replica)

    def _follow(self, replica: Replica) -> None:
        path = self._replicas.log_path(replica)
        self._place.shipper.follow(path, log_group(replica.endpoint), log_stream(replica))

    def _save(self, replica: Replica, *, routes: bool = False) -> None:
        with self._store.begin() as db:
            rows.update_replica(db, replica)
            if routes:
                versions.raise_routing(db)
        if routes:
            self._place.stamp.touch()


def variant_of(endpoint: Endpoint, replica: Replica) -> Variant:
    """Return the variant that a replica belongs to. Raises LookupError if there is none any more."""
    for fleet in (endpoint.current, endpoint.pending):
        if fleet is not None and fleet.generation == replica.generation:
            return next(v for v in fleet.variants if v.name == replica.variant)
    raise LookupError(f"replica {replica.id} belongs to no fleet of endpoint {endpoint.name}")


def backoff(deaths: int, *, has_served: bool) -> dt.timedelta:
    """Return the pause before the next start: none after the first death of one that served, then doubling."""
    if deaths <= 1 and has_served:
        return dt.timedelta(0)
    seconds = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(deaths - 1, 10))
    return dt.timedelta(seconds=seconds)


def _is_routed(endpoint: Endpoint, replica: Replica) -> bool:
    return any(fleet.generation == replica.generation for fleet, _ in endpoint.routed)


def _is_on_trial(endpoint: Endpoint, replica: Replica) -> bool:
    """Say whether a replica's failures decide about a change that is under way."""
    if endpoint.status is EndpointStatus.ROLLING_BACK and replica.ready_at is None:
        return endpoint.pending is not None  # the old fleet is to be made whole again
    if endpoint.pending is not None:
        return endpoint.pending.generation == replica.generation
    return endpoint.status is EndpointStatus.UPDATING and replica.ready_at is None


def _fingerprint(variant: Variant) -> str:
    return msgspec.json.encode([variant.container, variant.data]).decode()
