"""Alarms and dashboards: made, looked at, tried and deleted in the console, over a real platform."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from farero.console.texts import EN, ES

if TYPE_CHECKING:
    from tests.console.conftest import Person, Stage

BODY: dict[str, Any] = {
    "start": "-PT1H",
    "widgets": [
        {"type": "text", "x": 0, "y": 0, "width": 24, "height": 2, "properties": {"markdown": "# Hello <b>you</b>"}},
        {"type": "metric", "x": 0, "y": 2, "width": 12, "height": 6, "properties": {
            "view": "singleValue", "title": "Orders now", "stat": "Sum", "period": 60,
            "metrics": [["Kiosk", "Orders", {"label": "sold", "region": "eu-west-1"}]]}},
        {"type": "metric", "x": 12, "y": 2, "width": 12, "height": 6, "properties": {"metrics": [["Kiosk"]]}},
        {"type": "metric", "x": 0, "y": 8, "width": 12, "height": 6, "properties": {
            "title": "By search", "view": "table",
            "metrics": [[{"expression": "SEARCH('{Kiosk} Orders', 'Sum', 60)"}]]}},
        {"type": "metric", "x": 12, "y": 8, "width": 12, "height": 6, "properties": {
            "title": "Over time", "metrics": [["Kiosk", "Orders"]]}},
        {"type": "alarm", "x": 0, "y": 14, "width": 12, "height": 4, "properties": {"alarms": [
            "arn:aws:cloudwatch:us-east-1:123456789012:alarm:sold out"]}},
        {"type": "log", "x": 12, "y": 14, "width": 12, "height": 4, "properties": {
            "query": "SOURCE '/kiosk' | stats count(*) as lines by level | sort level", "view": "table"}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def kiosk(stage: Stage) -> None:
    cloudwatch, logs = stage.client("cloudwatch"), stage.client("logs")
    # Half an hour ago, where no alarm looks any more: the states that tests set then stay until they are seen.
    sold = {"MetricName": "Orders", "Value": 4321, "Timestamp": time.time() - 1800}
    cloudwatch.put_metric_data(Namespace="Kiosk", MetricData=[sold])
    cloudwatch.put_metric_alarm(
        AlarmName="quiet", Namespace="Kiosk", MetricName="Nothing", Statistic="Sum", Period=60, EvaluationPeriods=2,
        Threshold=1, ComparisonOperator="LessThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    cloudwatch.put_metric_alarm(
        AlarmName="sold out", Namespace="Kiosk", MetricName="Orders", Statistic="Sum", Period=60, EvaluationPeriods=2,
        Threshold=1, ComparisonOperator="LessThanThreshold", TreatMissingData="ignore", AlarmDescription="Buy more",
    )  # fmt: skip
    cloudwatch.put_composite_alarm(
        AlarmName="shop", AlarmRule='ALARM("sold out") OR ALARM("quiet")'
    )
    logs.create_log_group(logGroupName="/kiosk")
    logs.create_log_stream(logGroupName="/kiosk", logStreamName="one")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + i, "message": json.dumps({"level": "warm"})} for i in range(3)]
    logs.put_log_events(logGroupName="/kiosk", logStreamName="one", logEvents=events)


@pytest.mark.usefixtures("kiosk")
def test_dashboard_is_made_drawn_and_deleted(stage: Stage, told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/dashboards")
        person.field(EN["name"]).value = "no name"
        person.press(EN["save"])
        await person.sees(EN["wrong_name"])
        person.field(EN["name"]).value = "kiosk"
        person.field(EN["dashboard_body"]).value = "[]"
        person.press(EN["save"])
        await person.sees(EN["dashboard_bad"])
        person.field(EN["dashboard_body"]).value = json.dumps(BODY)
        person.press(EN["save"])
        await person.sees("/widgets/2/properties/metrics/0: Invalid metric field")
        kept = stage.client("cloudwatch").get_dashboard(DashboardName="kiosk")["DashboardBody"]
        assert json.loads(kept) == BODY

        await person.open("/dashboards/kiosk")
        await person.sees("Hello <b>you</b>")
        await person.sees("4,321")
        await person.sees("properties/metrics/0: Invalid metric field")
        await person.sees(EN["ignored_region"])
        assert "sold out" in person.texts
        await person.sees("warm")
        charts = [one for one in person.elements if one.props.get("role") == "img"]
        assert [one.props["aria-label"].split(":")[0] for one in charts] == ["Over time"]
        chosen = [one.text for one in person.elements if one.props.get("aria-current") == "true"]
        assert chosen == ["1h"]

        person.press(EN["edit"])
        person.field(EN["dashboard_body"]).value = json.dumps({"widgets": []})
        person.press(EN["save"])
        await person.until(
            lambda: (
                stage.client("cloudwatch").get_dashboard(DashboardName="kiosk")["DashboardBody"]
                == '{"widgets": []}'
            )
        )
        await person.until(lambda: "4,321" not in person.texts and EN["delete"] in person.texts)
        person.press(EN["delete"])
        await person.sees(EN["ask_delete"].format(name="kiosk"))
        person.press(EN["delete"], -1)
        await person.until(
            lambda: (
                not stage.client("cloudwatch").list_dashboards(DashboardNamePrefix="kiosk")[
                    "DashboardEntries"
                ]
            )
        )
        await person.sees(EN["new_dashboard"])
        await person.open("/dashboards/kiosk", language="es")
        await person.sees(ES["dashboard_gone"])

    told_by(story)


@pytest.mark.usefixtures("kiosk")
def test_alarms_are_filtered_by_state_and_text(stage: Stage, told_by: Any) -> None:
    cloudwatch = stage.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName="quiet", StateValue="OK", StateReason="full shelf")

    async def story(person: Person) -> None:
        await person.open("/alarms?state=OK&text=SHELF")
        await person.sees("quiet")
        assert "shop" not in person.texts
        await person.open("/alarms?text=nothing-like-it")
        await person.sees(EN["empty"])
        await person.open("/alarms?text=shop", language="es")
        await person.sees(ES["composite"])

    told_by(story)


@pytest.mark.usefixtures("kiosk")
def test_alarm_is_told_in_words_tried_and_switched_off(stage: Stage, told_by: Any) -> None:
    cloudwatch = stage.client("cloudwatch")

    def alarm() -> dict[str, Any]:
        return cloudwatch.describe_alarms(AlarmNames=["sold out"])["MetricAlarms"][0]

    async def story(person: Person) -> None:
        await person.open(f"/alarms/{quote('sold out')}?range=1h")
        await person.sees("Buy more")
        await person.sees("ALARM when Sum Kiosk Orders is < 1 in 2 of 2 periods of 1 min.")
        await person.sees(EN["missing_ignore"])
        await person.sees('Alarm "sold out" created')
        (chart,) = [one for one in person.elements if one.props.get("role") == "img"]
        assert "4,321" in chart.props["aria-label"]
        person.press(EN["test_alarm"])
        person.press(EN["test_to"].format(state="ALARM"))
        await person.until(lambda: alarm()["StateValue"] == "ALARM")
        await person.sees("Alarm updated from")
        await person.sees(EN["manual"])
        person.press(EN["turn_off"])
        await person.sees(EN["actions_off"])
        assert not alarm()["ActionsEnabled"]
        person.press(EN["turn_on"])
        await person.sees(EN["actions_on"])

        await person.open("/alarms/shop")
        await person.sees('In ALARM while this holds: ALARM("sold out") OR ALARM("quiet")')
        await person.open("/alarms/nobody%20knows/it")
        await person.sees(EN["alarm_gone"])

    told_by(story)


def test_alarm_is_made_by_the_form_and_deleted(stage: Stage, told_by: Any) -> None:
    cloudwatch = stage.client("cloudwatch")

    async def story(person: Person) -> None:
        await person.open("/alarms")
        person.press(EN["create"])
        await person.sees(EN["wrong_field"].format(field=EN["name"]))
        person.field(EN["name"]).value = "too slow/echo"
        person.field(EN["endpoint"]).value = "echo"
        person.field(EN["variant"]).value = "blue"
        person.field(EN["figure"]).value = "p90"
        person.field(EN["value"]).value = 80
        person.press(EN["create"])
        await person.until(
            lambda: cloudwatch.describe_alarms(AlarmNames=["too slow/echo"])["MetricAlarms"]
        )
        made = cloudwatch.describe_alarms(AlarmNames=["too slow/echo"])["MetricAlarms"][0]
        assert (made["ExtendedStatistic"], made["Threshold"], made["DatapointsToAlarm"]) == (
            "p90",
            80_000,
            3,
        )
        assert {"Name": "VariantName", "Value": "blue"} in made["Dimensions"]
        await person.open("/alarms/too%20slow/echo")
        await person.sees("> 80 ms in 3 of 5 periods of 1 min.")
        person.press(EN["delete"])
        person.press(EN["delete"], -1)
        await person.until(
            lambda: not cloudwatch.describe_alarms(AlarmNames=["too slow/echo"])["MetricAlarms"]
        )

    told_by(story)


def test_deliveries_are_chosen_by_what_became_of_them(stage: Stage, told_by: Any) -> None:
    sns, sqs = stage.client("sns"), stage.client("sqs")
    topic = sns.create_topic(Name="counter")["TopicArn"]
    queue = sqs.create_queue(QueueName="counter")["QueueUrl"]
    named = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=named)["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Subject="the bell", Message="rings")

    async def story(person: Person) -> None:
        await person.open("/alarms?deliveries=delivered")
        await person.sees("the bell")
        assert EN["delivered"] in person.texts
        await person.open("/alarms?deliveries=dead")
        await person.sees(f"{EN['dead']}: ")
        assert "the bell" not in person.texts

    told_by(story)
