"""Subscription filters: matching events are sent on to a function, a topic or a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.logs.names import read_offset, wrap

if TYPE_CHECKING:
    from farero.aws.services.logs.names import Value
    from farero.base.context import Context
    from farero.records.logs import Subscription
    from farero.telemetry.subscriptions import Subscriptions as Domain


class Subscriptions:
    """Operations on subscription filters."""

    def __init__(self, subscriptions: Domain) -> None:
        self._subscriptions = subscriptions

    def put_subscription_filter(self, ctx: Context, req: Value) -> Value:
        """Add or replace a subscription of a group. Besides Lambda, an SNS topic or an SQS queue can be named."""
        _ = ctx
        self._subscriptions.put(
            req["logGroupName"],
            req["filterName"],
            pattern=req["filterPattern"],
            destination=req["destinationArn"],
            role=req.get("roleArn", ""),
            distribution=req.get("distribution", "ByLogStream"),
        )
        return {}

    def delete_subscription_filter(self, ctx: Context, req: Value) -> Value:
        """Remove a subscription of a group."""
        _ = ctx
        self._subscriptions.delete(req["logGroupName"], req["filterName"])
        return {}

    def describe_subscription_filters(self, ctx: Context, req: Value) -> Value:
        """List the subscriptions of a group."""
        _ = ctx
        prefix = req.get("filterNamePrefix", "")
        found = [
            one
            for one in self._subscriptions.list(req["logGroupName"])
            if one.name.startswith(prefix)
        ]
        start = read_offset(req["nextToken"]) if "nextToken" in req else 0
        limit: int = req.get("limit", 50)
        page = [_subscription(one) for one in found[start : start + limit]]
        answer: Value = {"subscriptionFilters": page}
        if len(found) > start + limit:
            answer["nextToken"] = wrap(str(start + limit))
        return answer


def _subscription(found: Subscription) -> Value:
    answer: Value = {
        "filterName": found.name,
        "logGroupName": found.group,
        "filterPattern": found.pattern,
        "destinationArn": found.destination,
        "distribution": found.distribution,
        "applyOnTransformedLogs": False,
        "creationTime": int(found.created_at.timestamp() * 1000),
    }
    if found.role:
        answer["roleArn"] = found.role
    return answer
