"""Alarms: configure, describe, set, enable."""

from __future__ import annotations

import datetime as dt
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from farero.aws.services.cloudwatch import pages
from farero.aws.wire.messages import AwsError
from farero.base.errors import Invalid, NotFound
from farero.records.alarms import Alarm, Verdict
from farero.records.tag import Tag
from farero.telemetry.alarms import rules
from farero.telemetry.alarms.texts import period_of
from farero.telemetry.metrics.statistics import statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from farero.base.context import Context
    from farero.telemetry.alarms.keeper import Alarms
    from farero.telemetry.metrics.queries import MetricQueries

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_NOT_CONFIG = {"AlarmName", "ActionsEnabled", "Tags"}
_ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
#: Comparisons with a band instead of a threshold.
_BANDED = {
    "GreaterThanUpperThreshold", "LessThanLowerThreshold", "LessThanLowerOrGreaterThanUpperThreshold",
}  # fmt: skip
_DAY = 86_400
#: How much of the past the queries of a new alarm are tried on.
_TRIED = dt.timedelta(minutes=5)
_SEARCH = re.compile(r"\bSEARCH\s*\(", re.IGNORECASE)


class AlarmFamily:
    """The operations on alarms."""

    def __init__(self, alarms: Alarms, queries: MetricQueries) -> None:
        self._alarms = alarms
        self._queries = queries

    def put_metric_alarm(self, ctx: Context, req: Value) -> Value:
        """Create an alarm on a metric or an expression, or configure it anew."""
        self._check(req, ctx.now)
        self._alarms.put(_alarm(ctx, req, "MetricAlarm"), _tags(req.get("Tags", ())))
        return {}

    def put_composite_alarm(self, ctx: Context, req: Value) -> Value:
        """Create an alarm on the states of others, or configure it anew."""
        _check_suppression(req)
        try:
            self._alarms.put(_alarm(ctx, req, "CompositeAlarm"), _tags(req.get("Tags", ())))
        except NotFound as error:
            raise _invalid(str(error)) from error
        return {}

    def describe_alarms(self, ctx: Context, req: Value) -> Value:
        """Return alarms by name, prefix, state or action, by page."""
        _ = ctx
        wanted, describe = self._wanted(req)
        skip, count = pages.offset(req.get("NextToken", "")), req.get("MaxRecords", 50)
        page = wanted[skip : skip + count]
        answer: Value = {"MetricAlarms": [], "CompositeAlarms": []}
        for alarm in page:
            answer[f"{alarm.kind}s"].append(describe(alarm))
        if len(wanted) > skip + count:
            answer["NextToken"] = pages.token(skip + count)
        return answer

    def describe_alarms_for_metric(self, ctx: Context, req: Value) -> Value:
        """Return the alarms on one metric."""
        _ = ctx
        names = ("Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "Unit")
        wanted = {name: req[name] for name in names if name in req}
        dimensions = _pairs(req.get("Dimensions", []))
        found = [
            _described(alarm)
            for alarm in self._alarms.list()
            if all(alarm.config.get(name) == value for name, value in wanted.items())
            and _pairs(alarm.config.get("Dimensions", [])) == dimensions
        ]
        return {"MetricAlarms": found}

    def describe_alarm_history(self, ctx: Context, req: Value) -> Value:
        """Return what happened to alarms, newest first unless asked otherwise."""
        _ = ctx
        skip, count = pages.offset(req.get("NextToken", "")), req.get("MaxRecords", 100)
        found = self._alarms.history(
            alarm=req.get("AlarmName"),
            kinds=req.get("AlarmTypes") or _kinds_of_history(req),
            item_kind=req.get("HistoryItemType"),
            start=req.get("StartDate"),
            end=req.get("EndDate"),
            is_ascending=req.get("ScanBy") == "TimestampAscending",
            offset=skip,
            limit=count + 1,
        )
        answer: Value = {
            "AlarmHistoryItems": [
                {
                    "AlarmName": one.alarm,
                    "AlarmType": one.alarm_kind,
                    "Timestamp": one.at,
                    "HistoryItemType": one.kind,
                    "HistorySummary": one.summary,
                    "HistoryData": one.data,
                }
                for one in found[:count]
            ]
        }
        if len(found) > count:
            answer["NextToken"] = pages.token(skip + count)
        return answer

    def delete_alarms(self, ctx: Context, req: Value) -> Value:
        """Delete alarms, all or none."""
        _ = ctx
        self._alarms.delete(req["AlarmNames"])
        return {}

    def set_alarm_state(self, ctx: Context, req: Value) -> Value:
        """Put an alarm into a state until its next evaluation, actions included."""
        _ = ctx
        verdict = Verdict(
            state=req["StateValue"],
            reason=req["StateReason"],
            reason_data=_reason_data(req.get("StateReasonData", "{}")),
        )
        self._alarms.set_state(req["AlarmName"], verdict)
        return {}

    def enable_alarm_actions(self, ctx: Context, req: Value) -> Value:
        """Let alarms act on changes."""
        _ = ctx
        self._alarms.enable_actions(req["AlarmNames"], enabled=True)
        return {}

    def disable_alarm_actions(self, ctx: Context, req: Value) -> Value:
        """Keep alarms from acting on changes."""
        _ = ctx
        self._alarms.enable_actions(req["AlarmNames"], enabled=False)
        return {}

    def list_tags_for_resource(self, ctx: Context, req: Value) -> Value:
        """Return the tags of an alarm."""
        _ = ctx
        with _resource():
            found = self._alarms.tags(req["ResourceARN"])
        return {"Tags": [{"Key": tag.key, "Value": tag.value} for tag in found]}

    def tag_resource(self, ctx: Context, req: Value) -> Value:
        """Add tags to an alarm."""
        _ = ctx
        with _resource():
            self._alarms.tag(req["ResourceARN"], _tags(req["Tags"]))
        return {}

    def untag_resource(self, ctx: Context, req: Value) -> Value:
        """Take tags from an alarm."""
        _ = ctx
        with _resource():
            self._alarms.untag(req["ResourceARN"], req["TagKeys"])
        return {}

    def _wanted(self, req: Value) -> tuple[list[Alarm], Callable[[Alarm], Value]]:
        """Return the alarms that DescribeAlarms asks for, and how much of each."""
        alarms = self._alarms.list()
        for name in ("ParentsOfAlarmName", "ChildrenOfAlarmName"):
            if name in req:
                if others := req.keys() - {name, "MaxRecords", "NextToken"}:
                    raise _invalid(f"{min(others)} cannot be specified together with {name}.")
                return _related(alarms, req[name], of_parents=name.startswith("Parents"))
        if "AlarmNames" in req and "AlarmNamePrefix" in req:
            raise _invalid("AlarmNames and AlarmNamePrefix cannot be specified together.")
        kinds = req.get("AlarmTypes") or ["MetricAlarm"]
        names: list[str] | None = req.get("AlarmNames")
        return [
            alarm
            for alarm in alarms
            if alarm.kind in kinds
            and (not names or alarm.name in names)
            and alarm.name.startswith(req.get("AlarmNamePrefix", ""))
            and req.get("StateValue", alarm.state) == alarm.state
            and _has_action(alarm, req.get("ActionPrefix", ""))
        ], _described

    def _check(self, req: Value, now: dt.datetime) -> None:
        _check_threshold(req)
        if ("Metrics" in req) == ("MetricName" in req):
            raise AwsError(
                "ValidationError", "Exactly one of MetricName and Metrics must be specified.", 400
            )
        if "Metrics" in req:
            self._queries.check(req["Metrics"])
            if any(_SEARCH.search(one.get("Expression", "")) for one in req["Metrics"]):
                raise _invalid("SEARCH is not supported on Metric Alarms")
            band = req.get("ThresholdMetricId")
            shown = [one["Id"] for one in req["Metrics"] if one.get("ReturnData", True)]
            if len(shown) - (band in shown) != 1:
                raise AwsError(
                    "ValidationError",
                    "Exactly one element of the metrics list should return data.",
                    400,
                )
            self._check_series([one for one in req["Metrics"] if one["Id"] != band], now)
        else:
            if ("Statistic" in req) == ("ExtendedStatistic" in req):
                raise AwsError(
                    "ValidationError",
                    "Exactly one of Statistic and ExtendedStatistic must be specified.",
                    400,
                )
            if "Namespace" not in req or "Period" not in req:
                raise AwsError(
                    "MissingParameter", "The parameters Namespace and Period are required.", 400
                )
            statistic(req.get("Statistic") or req["ExtendedStatistic"])
        _check_periods(req)

    def _check_series(self, queries: Sequence[Value], now: dt.datetime) -> None:
        """Raise AwsError for queries that name what is not there, or that give several series."""
        try:
            found = self._queries.evaluate(queries, start=now - _TRIED, end=now)
        except Invalid as error:
            raise _invalid(str(error)) from error
        if len(found) > 1:
            raise _invalid(f"The metrics list must give a single time series, not {len(found)}.")


def _check_threshold(req: Value) -> None:
    """Raise AwsError unless there is a threshold, or a band, as the comparison needs it."""
    band = req.get("ThresholdMetricId")
    is_banded = req["ComparisonOperator"] in _BANDED
    if is_banded != (band is not None) or (band is not None and "Threshold" in req):
        raise _invalid(
            "ThresholdMetricId must be specified, and Threshold must not, if and only if the alarm compares with an "
            "anomaly detection band."
        )
    if not is_banded:
        if "Threshold" not in req:
            raise AwsError("MissingParameter", "The parameter Threshold is required.", 400)
        return
    found = [one for one in req.get("Metrics", ()) if one["Id"] == band]
    if not found or "ANOMALY_DETECTION_BAND" not in found[0].get("Expression", "").upper():
        raise _invalid("ThresholdMetricId must be the id of an ANOMALY_DETECTION_BAND expression.")
    if not found[0].get("ReturnData", True):
        raise _invalid(f"{band} must return data.")


def _check_periods(req: Value) -> None:
    period, count = period_of(req), req["EvaluationPeriods"]
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise Invalid("Period must be 10, 20, 30 or a multiple of 60")
    longest = 7 * _DAY if period >= 3600 else _DAY
    if period * count > longest:
        raise AwsError(
            "ValidationError",
            "Metrics cannot be checked across more than "
            f"{'seven days' if longest > _DAY else 'a day'} (EvaluationPeriods * Period must be <= {longest}).",
            400,
        )
    if not 1 <= req.get("DatapointsToAlarm", count) <= count:
        raise AwsError(
            "ValidationError", "DatapointsToAlarm must be between 1 and EvaluationPeriods.", 400
        )
    if req.get("TreatMissingData", "missing") not in (
        "missing",
        "ignore",
        "breaching",
        "notBreaching",
    ):
        raise AwsError(
            "ValidationError",
            f"{req['TreatMissingData']} is not a supported value for TreatMissingData parameter.",
            400,
        )


def _alarm(ctx: Context, req: Value, kind: Any) -> Alarm:
    name: str = req["AlarmName"]
    return Alarm(
        name=name,
        arn=f"arn:aws:cloudwatch:{ctx.region}:{ctx.account}:alarm:{name}",
        kind=kind,
        config={key: value for key, value in req.items() if key not in _NOT_CONFIG},
        actions_enabled=req.get("ActionsEnabled", True),
        configured_at=ctx.now,
        updated_at=ctx.now,
        transitioned_at=ctx.now,
    )


def _described(alarm: Alarm) -> Value:
    found: Value = {name: [] for name in _ACTIONS}
    if alarm.kind == "MetricAlarm" and "Metrics" not in alarm.config:
        found["Dimensions"] = []
    found |= {
        **alarm.config,
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_at,
        "ActionsEnabled": alarm.actions_enabled,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.updated_at,
        "StateTransitionedTimestamp": alarm.transitioned_at,
    }
    if alarm.reason_data:
        found["StateReasonData"] = alarm.reason_data
    if alarm.suppressed_by:
        found["ActionsSuppressedBy"] = alarm.suppressed_by
        found["ActionsSuppressedReason"] = alarm.suppressed_reason
    return found


def _related(
    alarms: Sequence[Alarm], name: str, *, of_parents: bool
) -> tuple[list[Alarm], Callable[[Alarm], Value]]:
    """Return the composites that ask about an alarm, or the alarms that a composite asks about; a few facts of each."""
    rules_of = {
        one.name: rules.parse(one.config["AlarmRule"]).children
        for one in alarms
        if one.kind == "CompositeAlarm"
    }
    if name not in {one.name for one in alarms}:
        raise AwsError("ResourceNotFound", f"Alarm [{name}] does not exist", 404)
    if of_parents:
        found = [one for one in alarms if name in rules_of.get(one.name, ())]
        return found, lambda one: {"AlarmName": one.name, "AlarmArn": one.arn}
    if name not in rules_of:
        raise _invalid(f"{name} is not a composite alarm.")
    return [one for one in alarms if one.name in rules_of[name]], lambda one: {
        "AlarmName": one.name,
        "AlarmArn": one.arn,
        "StateValue": one.state,
        "StateUpdatedTimestamp": one.updated_at,
    }


def _reason_data(text: str) -> Value:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AwsError("InvalidFormat", "StateReasonData must be a JSON object.", 400)
    return cast("Value", found)


def _check_suppression(req: Value) -> None:
    periods = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
    has_suppressor = "ActionsSuppressor" in req
    for name in periods:
        if has_suppressor and name not in req:
            raise _invalid(f"{name} is required when ActionsSuppressor is specified.")
        if name in req and not has_suppressor:
            raise _invalid(f"{name} can only be specified with ActionsSuppressor.")
        if req.get(name, 0) < 0:
            raise _invalid(f"{name} must not be negative.")


def _kinds_of_history(req: Value) -> tuple[str, ...]:
    """Return what DescribeAlarmHistory tells of when it is not said: of one alarm all, else of metric alarms."""
    return ("MetricAlarm", "CompositeAlarm") if "AlarmName" in req else ("MetricAlarm",)


def _tags(given: Sequence[Value]) -> list[Tag]:
    return [Tag(key=one["Key"], value=one["Value"]) for one in given]


@contextmanager
def _resource() -> Generator[None]:
    """Name what is not there as the operations on tags do."""
    try:
        yield
    except NotFound as error:
        raise AwsError("ResourceNotFoundException", str(error), 404) from error


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationError", text, 400)


def _has_action(alarm: Alarm, prefix: str) -> bool:
    if not prefix:
        return True
    return any(one.startswith(prefix) for name in _ACTIONS for one in alarm.config.get(name, ()))


def _pairs(given: Sequence[Value]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in given}
