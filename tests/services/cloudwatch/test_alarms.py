"""Alarms by real boto3 clients: values go in, states change, topics are told, history remembers; and dashboards."""

import datetime as dt
import json

import pytest
from botocore.exceptions import ClientError

from farero.records.work import WorkItem
from farero.telemetry.alarms.keeper import EVALUATE, TURN

DIMENSIONS = [{"Name": "EndpointName", "Value": "price"}]


@pytest.fixture
def cloudwatch(cloud):
    return cloud.client("cloudwatch")


@pytest.fixture
def queue(cloud):
    """A queue that hears what the topic says; reads (subject, message) pairs."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    class Queue:
        topic_arn = topic

        def told(self):
            cloud.run()
            found = []
            while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                for one in messages:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
                    body = json.loads(one["Body"])
                    found.append((body["Subject"], json.loads(body["Message"])))
            return found

    return Queue()


def put_alarm(client, name="fails", **changes):
    asked = {
        "AlarmName": name, "Namespace": "Shop", "MetricName": "Errors", "Dimensions": DIMENSIONS,
        "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    client.put_metric_alarm(**{k: v for k, v in (asked | changes).items() if v is not None})


def put_value(client, value, *, minutes_ago=1.5):
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes_ago)
    client.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": "Errors", "Dimensions": DIMENSIONS, "Value": value, "Timestamp": at}
        ],
    )


def evaluate(cloud, name="fails"):
    """Do what the worker does when the alarm's time has come."""
    item = WorkItem(kind=EVALUATE, key=name, due=cloud.app.clock.now(), attempts=0, version=1)
    cloud.app.alarms.evaluate(item)


def described(client, name="fails"):
    found = client.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    [alarm] = found["MetricAlarms"] + found["CompositeAlarms"]
    return alarm


def test_an_alarm_goes_off_tells_and_recovers(cloud, cloudwatch, queue):
    put_alarm(
        cloudwatch, AlarmActions=[queue.topic_arn], OKActions=[queue.topic_arn], TreatMissingData="notBreaching"
    )  # fmt: skip
    new = described(cloudwatch)
    put_value(cloudwatch, 6)
    evaluate(cloud)
    alarm = described(cloudwatch)
    told = queue.told()
    put_value(cloudwatch, -6)
    evaluate(cloud)

    assert (new["StateValue"], new["StateReason"]) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"].startswith(
        "Threshold Crossed: 1 out of the last 1 datapoints [6.0 ("
    )
    assert json.loads(alarm["StateReasonData"])["threshold"] == 5.0
    [(subject, message)] = told
    assert subject == 'ALARM: "fails" in US East (N. Virginia)'
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert message["Trigger"]["Dimensions"] == [{"value": "price", "name": "EndpointName"}]
    assert message["Trigger"]["Statistic"] == "SUM"
    assert described(cloudwatch)["StateValue"] == "OK"
    assert [m["NewStateValue"] for _, m in queue.told()] == ["OK"]
    kinds = [
        (one["HistoryItemType"], one["HistorySummary"])
        for one in cloudwatch.describe_alarm_history(AlarmName="fails", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    ]  # fmt: skip
    assert kinds == [
        ("ConfigurationUpdate", 'Alarm "fails" created'),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("Action", f"Successfully executed action {queue.topic_arn}"),
        ("StateUpdate", "Alarm updated from ALARM to OK"),
        ("Action", f"Successfully executed action {queue.topic_arn}"),
    ]


def test_without_a_change_nothing_is_told_twice(cloud, cloudwatch, queue):
    put_alarm(cloudwatch, AlarmActions=[queue.topic_arn])
    put_value(cloudwatch, 6)
    for _ in range(3):
        evaluate(cloud)

    assert len(queue.told()) == 1


def test_disabled_actions_are_silent_and_the_state_changes_all_the_same(cloud, cloudwatch, queue):
    put_alarm(cloudwatch, AlarmActions=[queue.topic_arn])
    cloudwatch.disable_alarm_actions(AlarmNames=["fails", "none"])
    cloudwatch.set_alarm_state(AlarmName="fails", StateValue="ALARM", StateReason="trial")
    silent = queue.told()
    cloudwatch.enable_alarm_actions(AlarmNames=["fails"])
    cloudwatch.set_alarm_state(AlarmName="fails", StateValue="OK", StateReason="trial")
    cloudwatch.set_alarm_state(AlarmName="fails", StateValue="ALARM", StateReason="trial")

    assert silent == []
    assert described(cloudwatch)["StateReason"] == "trial"
    assert [m["NewStateReason"] for _, m in queue.told()] == ["trial"]


def test_another_configuration_keeps_the_state(cloudwatch):
    put_alarm(cloudwatch)
    cloudwatch.set_alarm_state(AlarmName="fails", StateValue="ALARM", StateReason="trial")
    put_alarm(cloudwatch, Threshold=7)

    alarm = described(cloudwatch)

    assert (alarm["StateValue"], alarm["Threshold"]) == ("ALARM", 7.0)


def test_an_alarm_on_metric_math(cloud, cloudwatch):
    stat = {
        "Metric": {"Namespace": "Shop", "MetricName": "Errors", "Dimensions": DIMENSIONS},
        "Period": 60,
        "Stat": "Sum",
    }
    put_alarm(
        cloudwatch, Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None,
        Metrics=[
            {"Id": "e", "MetricStat": stat, "ReturnData": False}, {"Id": "double", "Expression": "e * 2", "ReturnData": True},
        ],
    )  # fmt: skip
    put_value(cloudwatch, 3)
    evaluate(cloud)

    assert described(cloudwatch)["StateValue"] == "ALARM"


def put_math(client, expression, name="fails"):
    """Put an alarm on an expression of two metrics, `a` and `b`, of which nothing is known yet."""
    stats = [
        {"Id": one, "ReturnData": False, "MetricStat": {
            "Metric": {"Namespace": "Shop", "MetricName": one}, "Period": 60, "Stat": "Sum",
        }}
        for one in "ab"
    ]  # fmt: skip
    put_alarm(
        client, name, Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None,
        Metrics=[*stats, {"Id": "e", "Expression": expression}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("MAX(SEARCH('{Shop,EndpointName} Errors', 'Sum', 60))", "SEARCH is not supported on Metric Alarms"),
        ("a / requests", "unknown id 'requests'"), ("e + 1", "refers to itself"),
        ("[a, b]", "single time series, not 2"), ("METRICS() * 2", "single time series, not 2"),
    ],
)  # fmt: skip
def test_an_expression_that_could_never_go_off_is_refused(cloudwatch, expression, words):
    with pytest.raises(ClientError, match=words) as refused:
        put_math(cloudwatch, expression)

    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_an_expression_that_has_no_or_several_series_just_now_has_no_data(cloud, cloudwatch):
    put_math(cloudwatch, "REMOVE_EMPTY(METRICS())")
    seen = []
    for names in ("", "a", "b"):
        for name in names:
            at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1.5)
            cloudwatch.put_metric_data(
                Namespace="Shop", MetricData=[{"MetricName": name, "Value": 9, "Timestamp": at}]
            )
        evaluate(cloud)
        seen.append(described(cloudwatch)["StateValue"])

    assert seen == ["INSUFFICIENT_DATA", "ALARM", "INSUFFICIENT_DATA"]


def test_a_composite_follows_its_children(cloud, cloudwatch, queue):
    put_alarm(cloudwatch, "a")
    put_alarm(cloudwatch, "b")
    cloudwatch.put_composite_alarm(
        AlarmName="both", AlarmRule="ALARM(a) AND NOT OK(b)", AlarmActions=[queue.topic_arn]
    )
    for name, state in (("a", "ALARM"), ("b", "OK")):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="trial")
    evaluate(cloud, "both")
    first = described(cloudwatch, "both")["StateValue"]
    cloudwatch.set_alarm_state(AlarmName="b", StateValue="ALARM", StateReason="trial")
    evaluate(cloud, "both")

    assert (first, described(cloudwatch, "both")["StateValue"]) == ("OK", "ALARM")
    assert [m["AlarmRule"] for _, m in queue.told()] == ["ALARM(a) AND NOT OK(b)"]
    with pytest.raises(ClientError, match="depending on it: both"):
        cloudwatch.delete_alarms(AlarmNames=["a"])
    cloudwatch.delete_alarms(AlarmNames=["a", "both"])


def test_a_composite_may_not_depend_on_itself(cloudwatch):
    cloudwatch.put_composite_alarm(AlarmName="y", AlarmRule="TRUE")
    cloudwatch.put_composite_alarm(AlarmName="x", AlarmRule="ALARM(y)")

    for name, rule in (("y", "OK(x)"), ("new", "OK(new)")):
        with pytest.raises(ClientError, match="depend on itself"):
            cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule)


def test_data_of_a_state_that_is_set_is_kept_and_told(cloudwatch):
    put_alarm(cloudwatch)
    state = {"AlarmName": "fails", "StateValue": "ALARM", "StateReason": "trial"}

    cloudwatch.set_alarm_state(**state, StateReasonData='{"build": 7}')
    kept = json.loads(described(cloudwatch)["StateReasonData"])
    history = cloudwatch.describe_alarm_history(AlarmName="fails", HistoryItemType="StateUpdate")
    for text in ("{", "[]", "[" * 3000):
        with pytest.raises(cloudwatch.exceptions.InvalidFormatFault):
            cloudwatch.set_alarm_state(**state, StateReasonData=text)

    assert kept == {"build": 7}
    told = json.loads(history["AlarmHistoryItems"][0]["HistoryData"])
    assert told["newState"]["stateReasonData"] == {"build": 7}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Period": 61}, "multiple of 60"),
        ({"EvaluationPeriods": 2000}, "across more than a day"),
        ({"DatapointsToAlarm": 2}, "between 1 and EvaluationPeriods"),
        ({"Statistic": None}, "Exactly one of Statistic"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic"),
        ({"TreatMissingData": "sometimes"}, "not a supported value"),
        ({"Threshold": None}, "Threshold is required"),
        ({"MetricName": None}, "Exactly one of MetricName and Metrics"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "ThresholdMetricId must be"),
        ({"ThresholdMetricId": "ad1"}, "ThresholdMetricId must be"),
        (
            {
                "ComparisonOperator": "GreaterThanUpperThreshold",
                "ThresholdMetricId": "ad1",
                "Threshold": None,
            },
            "the id of an ANOMALY_DETECTION_BAND",
        ),
    ],
)
def test_what_cannot_be_an_alarm_is_refused(cloudwatch, changes, words):
    with pytest.raises(ClientError, match=words):
        put_alarm(cloudwatch, **changes)

    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_alarms_are_found_by_page_prefix_state_and_metric(cloudwatch):
    for number in range(5):
        put_alarm(cloudwatch, f"n{number}")
    put_alarm(cloudwatch, "other", MetricName="Other")
    cloudwatch.set_alarm_state(AlarmName="n3", StateValue="ALARM", StateReason="trial")

    pages = list(
        cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 4})
    )
    by_prefix = cloudwatch.describe_alarms(AlarmNamePrefix="n")["MetricAlarms"]
    by_state = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    by_metric = cloudwatch.describe_alarms_for_metric(
        Namespace="Shop", MetricName="Other", Dimensions=DIMENSIONS
    )["MetricAlarms"]

    assert [len(page["MetricAlarms"]) for page in pages] == [4, 2]
    assert len(by_prefix) == 5
    assert [a["AlarmName"] for a in by_state] == ["n3"]
    assert [a["AlarmName"] for a in by_metric] == ["other"]
    with pytest.raises(ClientError, match="does not exist"):
        cloudwatch.delete_alarms(AlarmNames=["n1", "none"])
    with pytest.raises(ClientError, match="does not exist"):
        cloudwatch.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="trial")
    assert len(cloudwatch.describe_alarms()["MetricAlarms"]) == 6


def test_an_alarm_asks_for_its_next_turn(cloud, cloudwatch):
    put_alarm(cloudwatch)
    before = cloud.app.clock.now()
    cloud.run()
    after = cloud.app.clock.now()

    cloudwatch.delete_alarms(AlarmNames=["fails"])

    with cloud.app.store.read() as db:
        from farero.store import work

        [item] = [one for one in work.list_all(db) if one.kind == TURN]
    assert before < item.due
    assert (item.due - after).total_seconds() <= 64


def test_dashboards_are_kept_as_they_are(cloudwatch):
    body = json.dumps(
        {
            "widgets": [
                {
                    "type": "text",
                    "x": 0,
                    "y": 0,
                    "width": 6,
                    "height": 3,
                    "properties": {"markdown": "# hi"},
                }
            ]
        }
    )
    kept = cloudwatch.put_dashboard(DashboardName="one", DashboardBody=body)
    odd = cloudwatch.put_dashboard(
        DashboardName="odd", DashboardBody='{"widgets": [{"type": "nope"}]}'
    )

    assert kept["DashboardValidationMessages"] == []
    assert odd["DashboardValidationMessages"][0]["DataPath"] == "/widgets/0/type"
    assert cloudwatch.get_dashboard(DashboardName="one")["DashboardBody"] == body
    entries = cloudwatch.list_dashboards()["DashboardEntries"]
    assert [(e["DashboardName"], e["Size"]) for e in entries] == [("odd", 31), ("one", len(body))]
    with pytest.raises(ClientError, match="must be a valid JSON object"):
        cloudwatch.put_dashboard(DashboardName="bad", DashboardBody="{")
    with pytest.raises(ClientError, match="Dashboard none does not exist"):
        cloudwatch.delete_dashboards(DashboardNames=["one", "none"])
    cloudwatch.delete_dashboards(DashboardNames=["one"])
    assert len(cloudwatch.list_dashboards()["DashboardEntries"]) == 1
