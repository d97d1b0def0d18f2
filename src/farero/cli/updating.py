"""`farero deploy --canary 10% --bake 5m --rollback-on 'errors>1%'`: how an update goes over, and what takes it back."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.base.clock import SystemClock
from farero.base.errors import Invalid
from farero.cli import alarm_words as words
from farero.cli.output import WRONG_USAGE, fail
from farero.cli.session import guarded, is_aws

if TYPE_CHECKING:
    from farero.cli.output import Step

EXAMPLE = "farero deploy MODEL --update --canary 10% --bake 5m --rollback-on 'errors>1%,p99>200ms'"
BAKE_S = 300
#: SageMaker's bounds: half of the requests for a canary, a twentieth to half of the fleet for a batch, an hour for a
#: wait.
MOST_PERCENT, LEAST_BATCH_PERCENT, LONGEST_BAKE_S = 50, 5, 3600
PERIOD_S = 60
#: Until an endpoint is in service, besides what is waited on purpose.
WAIT_S = 600.0
_SHARE = re.compile(r"(\d+)\s*%?")
_CONDITION = re.compile(r"\s*([\w/]+?)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What was asked for."""

    #: Percent of the requests that the new version gets first; None for all of them.
    canary: int | None
    #: Percent of the fleet that is replaced at a time; None for all of it.
    rolling: int | None
    #: Seconds that each share is watched.
    bake_s: int
    #: What takes the update back: word, comparison, and what PutMetricAlarm is told of both.
    conditions: tuple[tuple[str, str, words.Watched], ...]
    #: Alarms that there are already.
    alarms: tuple[str, ...]

    @property
    def waits_s(self) -> float:
        """Seconds that are waited in all."""
        if self.rolling is not None:
            return self.bake_s * math.ceil(100 / self.rolling)
        return self.bake_s * (1 if self.canary is None else 2)

    def metric_alarms(self, endpoint: str, config: str) -> list[dict[str, Any]]:
        """Return what PutMetricAlarm is told, each of the new version's own requests."""
        of = {"EndpointName": endpoint, "VariantName": "AllTraffic", "EndpointConfigName": config}
        dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
        return [
            {
                "AlarmName": f"{endpoint}-{word}-rollback", "Namespace": watched.namespace,
                "MetricName": watched.metric, "Dimensions": dimensions, "Period": PERIOD_S,
                "EvaluationPeriods": 1, "Threshold": watched.threshold,
                "ComparisonOperator": words.COMPARISONS[symbol],
                "TreatMissingData": "notBreaching", **watched.statistic,
            }
            for word, symbol, watched in self.conditions
        ]  # fmt: skip

    def deployment(self, alarms: list[str]) -> dict[str, Any]:
        """Return the DeploymentConfig."""
        watched = {"Alarms": [{"AlarmName": name} for name in alarms]}
        return self._policy() | ({"AutoRollbackConfiguration": watched} if alarms else {})

    def _policy(self) -> dict[str, Any]:
        if self.rolling is not None:
            batch = {"Type": "CAPACITY_PERCENT", "Value": self.rolling}
            rolling = {"MaximumBatchSize": batch, "WaitIntervalInSeconds": self.bake_s}
            return {"RollingUpdatePolicy": rolling}
        routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        if self.canary is not None:
            size = {"Type": "CAPACITY_PERCENT", "Value": self.canary}
            routing = {
                "Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": self.bake_s,
            }  # fmt: skip
        policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": self.bake_s}
        return {"BlueGreenUpdatePolicy": policy}


def read(canary: str, bake: str, rollback_on: str, rolling: str = "") -> Rollout | None:
    """Return what the options ask for; None if none is given. Raises Invalid with what may be written instead."""
    if not (canary or rolling or bake or rollback_on):
        return None
    if canary and rolling:
        raise Invalid("an update has a canary or goes in batches; give --canary or --rolling")
    conditions: list[tuple[str, str, words.Watched]] = []
    alarms: list[str] = []
    for part in filter(None, map(str.strip, rollback_on.split(","))):
        found = _CONDITION.fullmatch(part)
        if found is None:
            alarms.append(part)
            continue
        word, symbol, value = found.groups()
        watched = words.watched(word, value, comparison=symbol, period_s=PERIOD_S)
        if watched.namespace != words.INVOCATIONS or "/" in word:
            raise Invalid(
                f"'{word}' is not measured for each version; write errors, 4xx, 5xx, latency, p99 or requests, "
                "or the name of an alarm"
            )
        conditions.append((word.lower(), symbol, watched))
    return Rollout(
        canary=_percent(canary, "canary", 1), rolling=_percent(rolling, "batch", LEAST_BATCH_PERCENT),
        bake_s=_bake_s(bake), conditions=tuple(conditions), alarms=tuple(alarms),
    )  # fmt: skip


def _percent(text: str, what: str, least: int) -> int | None:
    if not text:
        return None
    found = _SHARE.fullmatch(text)
    percent = int(found[1]) if found else 0
    if not least <= percent <= MOST_PERCENT:
        raise Invalid(f"'{text}' is no {what}; write {least}% to {MOST_PERCENT}%")
    return percent


def _bake_s(text: str) -> int:
    if not text:
        return BAKE_S
    seconds = words.span(text)
    if seconds is None or seconds > LONGEST_BAKE_S:
        raise Invalid(f"'{text}' is no time to watch; write 30s, 5m, or 1h at most")
    return seconds


def asked(
    canary: str, rolling: str, bake: str, rollback_on: str, *, is_serverless: bool
) -> Rollout | None:
    """Return what `read` does; end with what is wrong."""
    try:
        rollout = read(canary, bake, rollback_on, rolling)
    except Invalid as error:
        fail("E-OPTION", str(error), where="farero deploy", fix=EXAMPLE, status=WRONG_USAGE)
    if rollout is not None and is_serverless:
        fail("E-OPTION", "serverless endpoints change all at once", where="--serverless",
             fix="leave --canary, --rolling, --bake and --rollback-on out", status=WRONG_USAGE)  # fmt: skip
    return rollout


def check(rollout: Rollout | None, endpoint: str, *, exists: bool) -> None:
    """End if there is nothing that could be updated so."""
    if rollout is not None and not exists:
        fail("E-OPTION", f"there is no endpoint {endpoint} to update",
             where="--canary, --rolling, --bake, --rollback-on",
             fix="leave them out for the first version", status=WRONG_USAGE)  # fmt: skip


def how(cloudwatch: Any, rollout: Rollout, endpoint: str, config: str) -> dict[str, Any]:
    """Put the alarms of a rollout's conditions, in no state yet; return what else UpdateEndpoint is told."""
    names = list(rollout.alarms)
    for alarm in rollout.metric_alarms(endpoint, config):
        # What an earlier version did must not speak against this one.
        anew = {"StateValue": "INSUFFICIENT_DATA", "StateReason": f"{config} is on its way"}
        guarded(lambda alarm=alarm: cloudwatch.put_metric_alarm(**alarm))
        guarded(lambda alarm=alarm, anew=anew: cloudwatch.set_alarm_state(
            AlarmName=alarm["AlarmName"], **anew))  # fmt: skip
        names.append(alarm["AlarmName"])
    return {"DeploymentConfig": rollout.deployment(names)}


def wait_in_service(
    sagemaker: Any, endpoint: str, config: str, waiting: Step, *, waits_s: float = 0.0
) -> dict[str, Any]:
    """Wait until an endpoint serves `config`, and say what it says; end with its failure if it does not get there.

    waits_s: seconds that its update waits on purpose.
    """
    limit_s = WAIT_S + waits_s
    deadline = time.monotonic() + limit_s
    pause = 1.0 if is_aws() else 0.05
    while time.monotonic() < deadline:
        described = guarded(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))
        state = described["EndpointStatus"]
        if state == "Failed" or (
            state == "InService" and described["EndpointConfigName"] != config
        ):
            fail("E-DEPLOY", described.get("FailureReason", "the endpoint failed without a reason"),
                 where=f"endpoint {endpoint}", fix=f"farero logs {endpoint}")  # fmt: skip
        if state == "InService":
            waiting.note(state)
            return described
        waiting.show(progress(described))
        SystemClock().sleep(pause)
    fail(
        "E-DEPLOY",
        f"endpoint {endpoint} was not InService after {limit_s:.0f} s",
        fix=f"farero logs {endpoint}",
    )


def progress(described: dict[str, Any]) -> str:
    """Say what part of the requests a new version has."""
    pending = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    said = [
        one.get("StatusMessage", "") for each in pending for one in each.get("VariantStatus", [])
    ]
    return next(iter(said), "")
