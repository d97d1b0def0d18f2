"""EventBridge: buses, rules on them, and who is told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Literal

DEFAULT_BUS = "default"
RuleState = Literal["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBus:
    """Where events come in."""

    name: str
    arn: str
    #: None for the default bus, which nobody made.
    created_at: dt.datetime | None = None
    #: Description, KmsKeyIdentifier, DeadLetterConfig and LogConfig as they were given.
    given: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which events go to the rule's targets, or when the rule makes one itself."""

    bus: str
    name: str
    arn: str
    #: EventPattern as it was given; "" without one.
    pattern: str = ""
    #: ScheduleExpression; "" without one.
    schedule: str = ""
    state: RuleState = "ENABLED"
    description: str = ""
    role_arn: str = ""
    #: What a rate is counted from.
    began_at: dt.datetime
    #: When the schedule is due.
    next_at: dt.datetime | None = None

    @property
    def is_enabled(self) -> bool:
        """Say whether the rule does anything."""
        return self.state != "DISABLED"

    @property
    def listens(self) -> bool:
        """Say whether the rule wants to hear of events."""
        return self.is_enabled and bool(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a rule tells."""

    bus: str
    rule: str
    id: str
    #: Names the target to deliveries.
    uid: str
    arn: str
    #: As PutTargets was given it: Input, InputPath, InputTransformer, DeadLetterConfig, RetryPolicy, …
    given: dict[str, Any]

    @property
    def service(self) -> str:
        """Service in the ARN, e.g. `sqs`, `sns`, `logs` or `lambda`."""
        return self.arn.split(":")[2]

    @property
    def dead_letter_arn(self) -> str:
        """Queue for what the target does not take; "" without one."""
        config: dict[str, str] = self.given.get("DeadLetterConfig") or {}
        return config.get("Arn", "")

    @property
    def most_retries(self) -> int:
        """Tries after the first."""
        return self._policy().get("MaximumRetryAttempts", 185)

    @property
    def longest_age(self) -> dt.timedelta:
        """Age of an event from which it is not tried again."""
        return dt.timedelta(seconds=self._policy().get("MaximumEventAgeInSeconds", 86_400))

    def _policy(self) -> dict[str, int]:
        return self.given.get("RetryPolicy") or {}
