"""An alarm in words, its graph's queries, its states over time, and what the form puts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from farero.console.texts import EN, ES
from farero.console.widgets import alarms
from farero.console.widgets.alarms import Form

FORM = Form(
    name="slow", endpoint="iris", variant="AllTraffic", figure="p99", operator=">", value=200, least=3, of=5,
    period=60, topic="arn:aws:sns:us-east-1:1:ops",
)  # fmt: skip
BAND: dict[str, Any] = {
    "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "ad1",
    "Metrics": [
        {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Average"}},
        {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": False},
    ],
}  # fmt: skip


def change(minute: int, old: str, new: str) -> dict[str, Any]:
    data = {"oldState": {"stateValue": old}, "newState": {"stateValue": new}}
    return {
        "Timestamp": datetime(2026, 1, 1, 0, minute, tzinfo=UTC),
        "HistoryItemType": "StateUpdate",
        "HistoryData": json.dumps(data),
    }


def at(minute: int) -> float:
    return datetime(2026, 1, 1, 0, minute, tzinfo=UTC).timestamp() * 1000


def test_words_in_both_languages():
    alarm = alarms.wanted(FORM)
    what = "p99 AWS/SageMaker ModelLatency (EndpointName iris, VariantName AllTraffic)"
    assert what in alarms.in_words(alarm, EN)[0]
    assert "> 200 ms" in alarms.in_words(alarm, EN)[0]
    assert "3" in alarms.in_words(alarm, EN)[0]
    assert "1 min" in alarms.in_words(alarm, EN)[0]
    assert alarms.in_words(alarm, EN)[1] == EN["missing_notBreaching"]
    assert alarms.in_words(alarm, ES)[1] == ES["missing_notBreaching"]
    assert EN["above_band"] in alarms.in_words(BAND, EN)[0]
    assert "ALARM(a)" in alarms.in_words({"AlarmRule": "ALARM(a)"}, ES)[0]


def test_graph_asks_what_the_alarm_watches():
    (query,) = alarms.queries(alarms.wanted(FORM), 300)
    assert query["MetricStat"]["Period"] == 300
    assert query["MetricStat"]["Stat"] == "p99"
    first, band = alarms.queries(BAND, 60)
    assert band["ReturnData"] is True
    assert first["MetricStat"]["Period"] == 60
    assert BAND["Metrics"][1]["ReturnData"] is False
    assert alarms.queries({"AlarmRule": "ALARM(a)"}, 60) == []


def test_states_over_time():
    history = [change(30, "ALARM", "OK"), change(20, "OK", "ALARM"), {"HistoryItemType": "Action"}]
    assert alarms.shades(history, "OK", at(10), at(50)) == [
        (at(10), at(20), "OK"), (at(20), at(30), "ALARM"), (at(30), at(50), "OK"),
    ]  # fmt: skip
    assert alarms.shades(history, "OK", at(25), at(28)) == [(at(25), at(28), "ALARM")]
    assert alarms.shades(history, "OK", at(40), at(50)) == [(at(40), at(50), "OK")]
    assert alarms.shades(history, "OK", at(1), at(5)) == [(at(1), at(5), "OK")]
    assert alarms.shades([], "ALARM", at(1), at(5)) == [(at(1), at(5), "ALARM")]
    born = {
        **change(25, "OK", "OK"),
        "HistoryItemType": "ConfigurationUpdate",
        "HistorySummary": 'Alarm "a" created',
    }
    assert alarms.shades([born, change(30, "INSUFFICIENT_DATA", "OK")], "OK", at(10), at(50)) == [
        (at(25), at(30), "INSUFFICIENT_DATA"), (at(30), at(50), "OK"),
    ]  # fmt: skip
    broken = {**change(3, "OK", "ALARM"), "HistoryData": "<b>"}
    assert alarms.shades([broken], "OK", at(1), at(5)) == [(at(1), at(5), "OK")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"), ({"name": "ñ"}, "name"), ({"endpoint": ""}, "endpoint"), ({"figure": "x"}, "figure"), ({"operator": "="}, "operator"),
        ({"least": 6}, "m_of_n"), ({"least": 0}, "m_of_n"),
    ],
)  # fmt: skip
def test_form_says_which_field_is_wrong(changed: dict[str, Any], field: str):
    with pytest.raises(ValueError, match=field):
        alarms.wanted(replace(FORM, **changed))


def test_too_few_requests_break_without_data():
    assert (
        alarms.wanted(replace(FORM, figure="requests", operator="<"))["TreatMissingData"]
        == "breaching"
    )
    assert alarms.wanted(replace(FORM, topic=""))["AlarmActions"] == []
