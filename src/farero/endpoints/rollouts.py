"""How requests go over from the old fleet to the new one: all at once, by a canary, in steps or in batches; purely.

Follows SageMaker's deployment guardrails. A fleet on its way in gets a share of the endpoint's requests, which rises
step by step while alarms are watched; if one goes into ALARM, the old fleet has all of them again. Shares are taken of
the requests, not of the instances: a canary of 10 % works with one instance too.

Blue/green has both fleets whole. A rolling update starts the new one and ends the old one batch by batch, so that
there is one batch beyond a fleet, rounded up; on the way back the old one is made whole again in batches of its own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid
from farero.endpoints import fleets
from farero.records.endpoint import EndpointStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from farero.records.endpoint import Endpoint, Fleet

#: Between two looks at the alarms of a rollout.
LOOK_EVERY = dt.timedelta(milliseconds=200)
#: What SageMaker allows: a canary of at most half, steps of a tenth to a half, batches of a twentieth to a half.
MOST_AT_ONCE, LEAST_STEP, LEAST_BATCH = 0.5, 0.1, 0.05
#: Nothing is left of what rounding takes from a sum of steps.
NEARLY_ALL = 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What a DeploymentConfig asks for."""

    #: Shares of the requests that the new fleet gets one after the other; the last is 1.
    shares: tuple[float, ...] = (1.0,)
    #: Seconds that are waited after each.
    waits_s: tuple[int, ...] = (0,)
    #: Whether the replicas come and go with the requests, batch by batch.
    is_rolling: bool = False
    #: What part of the old fleet's replicas is started at once on the way back of a rolling update.
    back: float = 1.0
    #: Seconds after which an update that has not come to its end is taken back; None for no limit.
    limit_s: int | None = None
    #: Names of the alarms that take it back.
    alarms: tuple[str, ...] = ()

    def wait(self, share: float) -> dt.timedelta:
        """Return how long a share is watched before the next."""
        return dt.timedelta(seconds=self.waits_s[self.shares.index(share)])

    def after(self, share: float) -> float:
        """Return the next larger share."""
        return next(one for one in self.shares if one > share)

    def begin(self, fleet: Fleet) -> Fleet:
        """Return a new fleet as it sets out."""
        return dataclasses.replace(fleet, part=self.shares[0] if self.is_rolling else 1.0)


def read(
    deployment: Mapping[str, Any] | None, fleet: Fleet, current: Fleet | None = None
) -> Rollout:
    """Return what a DeploymentConfig asks for with this fleet. Raises Invalid for what is not to be had.

    current: the fleet that is to give way, where that is to be checked too.
    """
    if not deployment:
        return Rollout()
    if "RollingUpdatePolicy" in deployment and "BlueGreenUpdatePolicy" in deployment:
        raise Invalid(
            "A DeploymentConfig has a BlueGreenUpdatePolicy or a RollingUpdatePolicy, not both."
        )
    if any(one.serverless for some in (fleet, current) if some for one in some.variants):
        raise Invalid("DeploymentConfig is not for serverless endpoints: they change all at once.")
    alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    instances = sum(variant.desired_count for variant in fleet.variants)
    rolling = deployment.get("RollingUpdatePolicy")
    policy = deployment.get("BlueGreenUpdatePolicy", {}) if rolling is None else rolling
    shares, waits_s = (_steps if rolling is None else _batches)(policy, instances)
    back = policy.get("RollbackMaximumBatchSize")
    limit_s = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit_s is not None and sum(waits_s) > limit_s:
        raise Invalid(
            f"The waits of this DeploymentConfig take {sum(waits_s)} s together, more than its "
            f"MaximumExecutionTimeoutInSeconds of {limit_s}."
        )
    names = tuple(alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm)
    return Rollout(
        shares=shares,
        waits_s=waits_s,
        is_rolling=rolling is not None,
        back=1.0 if back is None else _share(back, "RollbackMaximumBatchSize", instances, 1.0),
        limit_s=limit_s,
        alarms=names,
    )


def _steps(policy: Mapping[str, Any], instances: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    bake_s = policy.get("TerminationWaitInSeconds", 0)
    routing = policy.get("TrafficRoutingConfiguration", {})
    kind, wait_s = routing.get("Type", "ALL_AT_ONCE"), routing.get("WaitIntervalInSeconds", 0)
    if kind == "CANARY":
        share = _asked(routing, "CanarySize", instances)
        return (share, 1.0), (wait_s, bake_s)
    if kind == "LINEAR":
        shares = _up_to_all(_asked(routing, "LinearStepSize", instances, LEAST_STEP))
        return shares, (*(wait_s for _ in shares[1:]), wait_s + bake_s)
    return (1.0,), (bake_s,)


def _batches(
    policy: Mapping[str, Any], instances: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    batch = _share(
        policy["MaximumBatchSize"], "MaximumBatchSize", instances, MOST_AT_ONCE, LEAST_BATCH
    )
    shares = _up_to_all(batch)
    return shares, (policy["WaitIntervalInSeconds"],) * len(shares)


def _up_to_all(step: float) -> tuple[float, ...]:
    shares: list[float] = []
    while (share := step * (len(shares) + 1)) < NEARLY_ALL:
        shares.append(share)
    return (*shares, 1.0)


def _asked(routing: Mapping[str, Any], name: str, instances: int, least: float = 0.0) -> float:
    """Return what part of the fleet a member of TrafficRoutingConfiguration is."""
    size = routing.get(name)
    if size is None:
        raise Invalid(f"TrafficRoutingConfiguration of type {routing['Type']} needs {name}.")
    return _share(size, name, instances, MOST_AT_ONCE, least)


def _share(
    size: Mapping[str, Any], name: str, instances: int, most: float, least: float = 0.0
) -> float:
    """Return what part of the fleet a CapacitySize is."""
    whole = instances if size["Type"] == "INSTANCE_COUNT" else 100
    share = size["Value"] / whole if whole else 1.0
    unit = f" of {instances} instances" if size["Type"] == "INSTANCE_COUNT" else " %"
    if share > most:
        raise Invalid(f"{name} of {size['Value']}{unit} is more than {most:.0%} of the capacity.")
    if share < least:
        raise Invalid(f"{name} of {size['Value']}{unit} is less than {least:.0%} of the capacity.")
    return share


def go_on(
    endpoint: Endpoint, *, is_ready: bool, ringing: Collection[str], now: dt.datetime
) -> Endpoint:
    """Return what becomes of an endpoint with a fleet on its way in; itself if there is nothing to do yet.

    is_ready: whether all replicas answer that the new fleet shall have by now. ringing: those of its alarms that are
    in ALARM.
    """
    fleet = endpoint.pending
    assert fleet is not None
    rollout = read(endpoint.deployment, fleet)
    if ringing and (is_ready or fleet.share):
        return take_back(endpoint, _is_ringing(fleet, sorted(ringing), _gets(endpoint)))
    if rollout.limit_s is not None and now >= fleet.began_at + dt.timedelta(
        seconds=rollout.limit_s
    ):
        return take_back(
            endpoint,
            f'The update to endpoint config "{fleet.config_name}" has taken longer than its '
            f"MaximumExecutionTimeoutInSeconds of {rollout.limit_s}; the old fleet {_gets(endpoint)} all requests.",
        )
    if not is_ready or (
        fleet.shifted_at is not None and now < fleet.shifted_at + rollout.wait(fleet.share)
    ):
        return endpoint
    if fleet.share < fleet.part:
        share = fleet.part if rollout.is_rolling else rollout.after(fleet.share)
        fleet = dataclasses.replace(fleet, share=share, shifted_at=now)
        if fleet.share < 1 or rollout.waits_s[-1]:
            return dataclasses.replace(endpoint, pending=fleet)
    elif fleet.part < 1:
        return _with(endpoint, 1 - fleet.share, part=rollout.after(fleet.share))
    return dataclasses.replace(
        endpoint, status=EndpointStatus.IN_SERVICE, current=fleets.settle(fleet), pending=None
    )


def take_back(endpoint: Endpoint, reason: str) -> Endpoint:
    """Return an endpoint whose old fleet gets all requests again: at once if it is whole, else as it becomes so.

    If that cannot be either, it gets them all at once with what it has.
    """
    old, new = endpoint.current, endpoint.pending
    assert old is not None
    assert new is not None
    is_second = endpoint.status is EndpointStatus.ROLLING_BACK
    reason = f"{endpoint.failure_reason} {reason}" if is_second else reason
    endpoint = dataclasses.replace(
        endpoint, status=EndpointStatus.ROLLING_BACK, failure_reason=reason
    )
    return _alone(endpoint) if is_second or old.part == 1 else go_back(endpoint)


def go_back(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint on its way back whose old fleet has all the replicas that it shall have by now."""
    old, new = endpoint.current, endpoint.pending
    assert old is not None
    assert new is not None
    if old.part == 1:
        return _alone(endpoint)
    part, share = old.part + read(endpoint.deployment, new).back, 1 - old.part
    return _with(endpoint, part if part < NEARLY_ALL else 1.0, part=share, share=share)


def _with(endpoint: Endpoint, old_part: float, **new: float) -> Endpoint:
    """Return an endpoint with another part of its old fleet, and other parts or shares of the new one."""
    assert endpoint.current is not None
    assert endpoint.pending is not None
    return dataclasses.replace(
        endpoint,
        current=dataclasses.replace(endpoint.current, part=old_part),
        pending=dataclasses.replace(endpoint.pending, **new),
    )


def _alone(endpoint: Endpoint) -> Endpoint:
    assert endpoint.current is not None
    return dataclasses.replace(
        endpoint, current=dataclasses.replace(endpoint.current, part=1.0), pending=None
    )


def next_look(endpoint: Endpoint, now: dt.datetime) -> dt.datetime | None:
    """Return when an endpoint with a fleet on its way in is to be looked at for that; None for no such moment."""
    fleet = endpoint.pending
    if fleet is None or endpoint.status is EndpointStatus.ROLLING_BACK:
        return None
    rollout = read(endpoint.deployment, fleet)
    found = [now + LOOK_EVERY] if rollout.alarms and fleet.share else []
    if fleet.shifted_at is not None:
        found.append(fleet.shifted_at + rollout.wait(fleet.share))
    if rollout.limit_s is not None:
        found.append(fleet.began_at + dt.timedelta(seconds=rollout.limit_s))
    return min((moment for moment in found if moment > now), default=None)


def _gets(endpoint: Endpoint) -> str:
    """Return the verb: an old fleet that is whole has all requests as soon as the update is taken back."""
    return "has" if endpoint.current is not None and endpoint.current.part == 1 else "gets"


def _is_ringing(fleet: Fleet, names: list[str], gets: str) -> str:
    alarms = ", ".join(f'"{name}"' for name in names)
    subject = f"Alarm {alarms} was" if len(names) == 1 else f"Alarms {alarms} were"
    return (
        f'{subject} in ALARM while the fleet of endpoint config "{fleet.config_name}" had {fleet.share:.0%} of the '
        f"requests; the old fleet {gets} all of them again."
    )
