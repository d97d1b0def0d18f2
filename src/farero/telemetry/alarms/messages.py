"""What an alarm tells when its state changes: SNS's message, EventBridge's detail, the rows of its history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from farero.telemetry.alarms.texts import moment, period_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from farero.records.alarms import Alarm

Json = dict[str, Any]

#: Long names of regions, as SNS messages have them.
REGIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
    "af-south-1": "Africa (Cape Town)",
    "ap-east-1": "Asia Pacific (Hong Kong)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
    "ap-northeast-3": "Asia Pacific (Osaka)",
    "ap-south-1": "Asia Pacific (Mumbai)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ca-central-1": "Canada (Central)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-north-1": "EU (Stockholm)",
    "eu-south-1": "EU (Milan)",
    "eu-south-2": "EU (Spain)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "eu-west-3": "EU (Paris)",
    "me-south-1": "Middle East (Bahrain)",
    "sa-east-1": "South America (Sao Paulo)",
}
ACTIONS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}


def subject(alarm: Alarm) -> str:
    """Return SNS's subject: `ALARM: "name" in US East (N. Virginia)`."""
    text = f'{alarm.state}: "{alarm.name}" in {_region(alarm)}'
    return text if len(text) <= 100 else f"{text[:97]}..."


def notification(alarm: Alarm, *, old_state: str) -> str:
    """Return the JSON that goes to a topic."""
    config = alarm.config
    message: Json = {
        "AlarmName": alarm.name,
        "AlarmDescription": config.get("AlarmDescription"),
        "AWSAccountId": alarm.arn.split(":")[4],
        "AlarmConfigurationUpdatedTimestamp": moment(alarm.configured_at),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": moment(alarm.transitioned_at),
        "Region": _region(alarm),
        "AlarmArn": alarm.arn,
        "OldStateValue": old_state,
        **{name: list(config.get(name, ())) for name in ("OKActions", "AlarmActions")},
        "InsufficientDataActions": list(config.get("InsufficientDataActions", ())),
    }
    if alarm.kind == "CompositeAlarm":
        message["AlarmRule"] = config["AlarmRule"]
    else:
        message["Trigger"] = trigger(config)
    return json.dumps(message, ensure_ascii=False)


def trigger(config: Mapping[str, Any]) -> Json:
    """Return what the alarm watches, in the spelling of SNS messages."""
    answer: Json = {}
    if "MetricName" in config:
        answer["MetricName"] = config["MetricName"]
        answer["Namespace"] = config["Namespace"]
        if "ExtendedStatistic" in config:
            answer["StatisticType"] = "ExtendedStatistic"
            answer["ExtendedStatistic"] = config["ExtendedStatistic"]
        else:
            answer["StatisticType"] = "Statistic"
            answer["Statistic"] = config["Statistic"].upper()
        answer["Unit"] = config.get("Unit")
        answer["Dimensions"] = _dimensions(config.get("Dimensions", ()))
    answer |= {
        "Period": period_of(config),
        "EvaluationPeriods": config["EvaluationPeriods"],
        "DatapointsToAlarm": config.get("DatapointsToAlarm", config["EvaluationPeriods"]),
        "ComparisonOperator": config["ComparisonOperator"],
    }
    if "ThresholdMetricId" in config:
        answer["ThresholdMetricId"] = config["ThresholdMetricId"]
    else:
        answer["Threshold"] = float(config["Threshold"])
    answer["TreatMissingData"] = config.get("TreatMissingData", "missing")
    answer["EvaluateLowSampleCountPercentile"] = config.get("EvaluateLowSampleCountPercentile", "")
    if "Metrics" in config:
        answer["Metrics"] = [_query(one) for one in config["Metrics"]]
    return answer


def event_detail(before: Alarm, after: Alarm) -> Json:
    """Return the detail of `CloudWatch Alarm State Change`."""
    config = after.config
    configuration: Json = {}
    if description := config.get("AlarmDescription"):
        configuration["description"] = description
    if after.kind == "CompositeAlarm":
        configuration["alarmRule"] = config["AlarmRule"]
        for name in (
            "ActionsSuppressor",
            "ActionsSuppressorWaitPeriod",
            "ActionsSuppressorExtensionPeriod",
        ):
            if name in config:
                configuration[name[0].lower() + name[1:]] = config[name]
    else:
        configuration["metrics"] = _event_metrics(config)
    return {
        "alarmName": after.name,
        "state": _event_state(after),
        "previousState": _event_state(before),
        "configuration": configuration,
    }


def state_history(before: Alarm, after: Alarm) -> tuple[str, str]:
    """Return summary and data of the history row of a state change."""
    data = {
        "version": "1.0",
        "oldState": _history_state(before),
        "newState": _history_state(after),
    }
    return f"Alarm updated from {before.state} to {after.state}", json.dumps(data)


def action_history(
    alarm: Alarm, action: str, *, old_state: str, error: str = ""
) -> tuple[str, str]:
    """Return summary and data of the history row of an action. error: why nobody took it."""
    data: Json = {
        "actionState": "Failed" if error else "Succeeded",
        "notificationResource": action,
    }
    if action.startswith("arn:aws:sns:"):
        data["publishedMessage"] = notification(alarm, old_state=old_state)
    if error:
        data["error"] = error
        return f'Failed to execute action {action}. Received error: "{error}"', json.dumps(data)
    return f"Successfully executed action {action}", json.dumps(data)


def not_taken(service: str) -> str:
    """Return why an action for a service without a room came to nothing."""
    return f"there is nothing here yet that takes '{service or 'unknown'}'"


def lambda_event(before: Alarm, after: Alarm, now: dt.datetime) -> str:
    """Return the event that a function is called with, as JSON."""
    _, _, _, region, account, *_ = after.arn.split(":")
    detail = event_detail(before, after)
    event: Json = {
        "source": "aws.cloudwatch",
        "alarmArn": after.arn,
        "accountId": account,
        "time": moment(now),
        "region": region,
        "alarmData": {
            "alarmName": detail["alarmName"],
            "state": detail["state"],
            "previousState": detail["previousState"],
            "configuration": detail["configuration"],
        },
    }
    return json.dumps(event, ensure_ascii=False)


def _event_state(alarm: Alarm) -> Json:
    state: Json = {"value": alarm.state, "reason": alarm.reason}
    if alarm.reason_data:
        state["reasonData"] = alarm.reason_data
    state["timestamp"] = moment(alarm.updated_at)
    if alarm.suppressed_by:
        state["actionsSuppressedBy"] = alarm.suppressed_by
        state["actionsSuppressedReason"] = alarm.suppressed_reason
    return state


def _history_state(alarm: Alarm) -> Json:
    state: Json = {"stateValue": alarm.state, "stateReason": alarm.reason}
    if alarm.reason_data:
        state["stateReasonData"] = json.loads(alarm.reason_data)
    return state


def _event_metrics(config: Mapping[str, Any]) -> list[Json]:
    if "Metrics" not in config:
        metric = {
            "namespace": config["Namespace"],
            "name": config["MetricName"],
            "dimensions": {d["Name"]: d["Value"] for d in config.get("Dimensions", ())},
        }
        stat = config.get("Statistic") or config.get("ExtendedStatistic")
        return [
            {
                "id": "m1",
                "metricStat": {"metric": metric, "period": config["Period"], "stat": stat},
                "returnData": True,
            }
        ]
    answer: list[Json] = []
    for one in config["Metrics"]:
        entry: Json = {"id": one["Id"]}
        if "MetricStat" in one:
            stat = one["MetricStat"]
            metric = stat["Metric"]
            entry["metricStat"] = {
                "metric": {
                    "namespace": metric["Namespace"],
                    "name": metric["MetricName"],
                    "dimensions": {d["Name"]: d["Value"] for d in metric.get("Dimensions", ())},
                },
                "period": stat["Period"],
                "stat": stat["Stat"],
            }
        else:
            entry["expression"] = one["Expression"]
        if "Label" in one:
            entry["label"] = one["Label"]
        entry["returnData"] = one.get("ReturnData", True)
        answer.append(entry)
    return answer


def _query(one: Mapping[str, Any]) -> Json:
    answer: Json = {}
    if "Expression" in one:
        answer["Expression"] = one["Expression"]
    answer["Id"] = one["Id"]
    if "Label" in one:
        answer["Label"] = one["Label"]
    if "MetricStat" in one:
        stat = one["MetricStat"]
        metric = stat["Metric"]
        answer["MetricStat"] = {
            "Metric": {
                "Dimensions": _dimensions(metric.get("Dimensions", ())),
                "MetricName": metric["MetricName"],
                "Namespace": metric["Namespace"],
            },
            "Period": stat["Period"],
            "Stat": stat["Stat"],
        }
        if "Unit" in stat:
            answer["MetricStat"]["Unit"] = stat["Unit"]
    answer["ReturnData"] = one.get("ReturnData", True)
    return answer


def _dimensions(given: Any) -> list[Json]:
    return [{"value": one["Value"], "name": one["Name"]} for one in given]


def _region(alarm: Alarm) -> str:
    region = alarm.arn.split(":")[3]
    return REGIONS.get(region, region)
