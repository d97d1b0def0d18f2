"""How requests go over from the old fleet to the new one: all at once, by a canary or in steps; purely.

Follows SageMaker's deployment guardrails. A fleet on its way in gets a share of the endpoint's requests, which rises
step by step while alarms are watched; if one goes into ALARM, the old fleet has all of them again. Shares are taken of
the requests, not of the instances: a canary of 10 % works with one instance too.
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
#: What SageMaker allows: a canary of at most half, steps of a tenth to a half.
MOST_AT_ONCE, LEAST_STEP = 0.5, 0.1
#: Nothing is left of what rounding takes from a sum of steps.
NEARLY_ALL = 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What a DeploymentConfig asks for."""

    #: Shares of the requests that the new fleet gets one after the other; the last is 1.
    shares: tuple[float, ...] = (1.0,)
    #: Seconds that are waited after each.
    waits_s: tuple[int, ...] = (0,)
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


def read(
    deployment: Mapping[str, Any] | None, fleet: Fleet, current: Fleet | None = None
) -> Rollout:
    """Return what a DeploymentConfig asks for with this fleet. Raises Invalid for what is not to be had.

    current: the fleet that is to give way, where that is to be checked too.
    """
    if not deployment:
        return Rollout()
    if "RollingUpdatePolicy" in deployment:
        raise Invalid(
            "RollingUpdatePolicy is not there yet; a BlueGreenUpdatePolicy with LINEAR moves requests in steps too."
        )
    if any(one.serverless for some in (fleet, current) if some for one in some.variants):
        raise Invalid("DeploymentConfig is not for serverless endpoints: they change all at once.")
    alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    policy = deployment.get("BlueGreenUpdatePolicy", {})
    shares, waits_s = _steps(policy, sum(variant.desired_count for variant in fleet.variants))
    limit_s = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit_s is not None and sum(waits_s) > limit_s:
        raise Invalid(
            f"The waits of this DeploymentConfig take {sum(waits_s)} s together, more than its "
            f"MaximumExecutionTimeoutInSeconds of {limit_s}."
        )
    names = tuple(alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm)
    return Rollout(shares=shares, waits_s=waits_s, limit_s=limit_s, alarms=names)


def _steps(policy: Mapping[str, Any], instances: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    bake_s = policy.get("TerminationWaitInSeconds", 0)
    routing = policy.get("TrafficRoutingConfiguration", {})
    kind, wait_s = routing.get("Type", "ALL_AT_ONCE"), routing.get("WaitIntervalInSeconds", 0)
    if kind == "CANARY":
        share = _share(routing, "CanarySize", instances)
        return (share, 1.0), (wait_s, bake_s)
    if kind == "LINEAR":
        step = _share(routing, "LinearStepSize", instances)
        if step < LEAST_STEP:
            raise Invalid(f"LinearStepSize must be at least {LEAST_STEP:.0%} of the capacity.")
        shares: list[float] = []
        while (share := step * (len(shares) + 1)) < NEARLY_ALL:
            shares.append(share)
        return (*shares, 1.0), (*(wait_s for _ in shares), wait_s + bake_s)
    return (1.0,), (bake_s,)


def _share(routing: Mapping[str, Any], name: str, instances: int) -> float:
    """Return what part of the fleet a CapacitySize is."""
    size = routing.get(name)
    if size is None:
        raise Invalid(f"TrafficRoutingConfiguration of type {routing['Type']} needs {name}.")
    whole = instances if size["Type"] == "INSTANCE_COUNT" else 100
    share = size["Value"] / whole
    if share > MOST_AT_ONCE:
        unit = f" of {instances} instances" if size["Type"] == "INSTANCE_COUNT" else " %"
        raise Invalid(
            f"{name} of {size['Value']}{unit} is more than {MOST_AT_ONCE:.0%} of the capacity."
        )
    return share


def go_on(
    endpoint: Endpoint, *, is_ready: bool, ringing: Collection[str], now: dt.datetime
) -> Endpoint:
    """Return what becomes of an endpoint with a fleet on its way in; itself if there is nothing to do yet.

    is_ready: whether all replicas of the new fleet answer. ringing: those of its alarms that are in ALARM.
    """
    fleet = endpoint.pending
    assert fleet is not None
    rollout = read(endpoint.deployment, fleet)
    if ringing and (is_ready or fleet.share):
        return _take_back(endpoint, _is_ringing(fleet, sorted(ringing)))
    if rollout.limit_s is not None and now >= fleet.began_at + dt.timedelta(
        seconds=rollout.limit_s
    ):
        return _take_back(
            endpoint,
            f'The update to endpoint config "{fleet.config_name}" has taken longer than its '
            f"MaximumExecutionTimeoutInSeconds of {rollout.limit_s}; the old fleet has all requests.",
        )
    if not is_ready or (
        fleet.shifted_at is not None and now < fleet.shifted_at + rollout.wait(fleet.share)
    ):
        return endpoint
    if fleet.share < 1:
        fleet = dataclasses.replace(fleet, share=rollout.after(fleet.share), shifted_at=now)
        if fleet.share < 1 or rollout.waits_s[-1]:
            return dataclasses.replace(endpoint, pending=fleet)
    return dataclasses.replace(
        endpoint, status=EndpointStatus.IN_SERVICE, current=fleets.settle(fleet), pending=None
    )


def next_look(endpoint: Endpoint, now: dt.datetime) -> dt.datetime | None:
    """Return when an endpoint with a fleet on its way in is to be looked at for that; None for no such moment."""
    fleet = endpoint.pending
    if fleet is None:
        return None
    rollout = read(endpoint.deployment, fleet)
    found = [now + LOOK_EVERY] if rollout.alarms and fleet.share else []
    if fleet.shifted_at is not None:
        found.append(fleet.shifted_at + rollout.wait(fleet.share))
    if rollout.limit_s is not None:
        found.append(fleet.began_at + dt.timedelta(seconds=rollout.limit_s))
    return min((moment for moment in found if moment > now), default=None)


def _take_back(endpoint: Endpoint, reason: str) -> Endpoint:
    return dataclasses.replace(
        endpoint, status=EndpointStatus.ROLLING_BACK, pending=None, failure_reason=reason
    )


def _is_ringing(fleet: Fleet, names: list[str]) -> str:
    alarms = ", ".join(f'"{name}"' for name in names)
    subject = f"Alarm {alarms} was" if len(names) == 1 else f"Alarms {alarms} were"
    return (
        f'{subject} in ALARM while the fleet of endpoint config "{fleet.config_name}" had {fleet.share:.0%} of the '
        "requests; the old fleet has all of them again."
    )
