"""Monitoring through boto3: the four families of job definitions, schedules, executions, alerts, and every refusal."""

import dataclasses
import datetime as dt
import json

import pytest

from farero.records.monitoring import Execution, ExecutionStatus, MonitoringType
from farero.store import monitoring as rows

ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"
KINDS = ("DataQuality", "ModelQuality", "ModelBias", "ModelExplainability")
#: Families in the names of operations and ARNs.
WORDS = {
    "DataQuality": "data_quality", "ModelQuality": "model_quality", "ModelBias": "model_bias",
    "ModelExplainability": "model_explainability",
}  # fmt: skip
EVERY_HOUR = {"ScheduleExpression": "cron(0 * ? * * *)"}


def times_gone(answer):
    gone = {"CreationTime", "LastModifiedTime", "ResponseMetadata"}
    return {name: value for name, value in answer.items() if name not in gone}


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_of_each_family_is_kept_shown_listed_and_forgotten(desk, refusal, kind):
    arn = desk.define(kind, "My-definition", Tags=[{"Key": "team", "Value": "a"}])
    word = WORDS[kind].replace("_", "-")
    assert arn == f"{ARN}{word}-job-definition/my-definition"
    assert desk.client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    shown = desk.call("describe", kind, JobDefinitionName="My-definition")
    assert times_gone(shown) == desk.members(kind) | {
        "JobDefinitionName": "My-definition", "JobDefinitionArn": arn,
    }  # fmt: skip
    (listed,) = desk.call("list", kind, EndpointName="price")["JobDefinitionSummaries"]
    assert times_gone(listed) == {
        "MonitoringJobDefinitionName": "My-definition", "MonitoringJobDefinitionArn": arn,
        "EndpointName": "price",
    }  # fmt: skip
    assert desk.call("list", kind, EndpointName="other")["JobDefinitionSummaries"] == []
    for other in {*KINDS} - {kind}:
        assert desk.call("list", other)["JobDefinitionSummaries"] == []
    create = getattr(desk.client, f"create_{WORDS[kind]}_job_definition")
    again = refusal(create, JobDefinitionName="My-definition", **desk.members(kind))
    assert again == ("ResourceInUse", f"Job definition {arn} already exists.")
    desk.call("delete", kind, JobDefinitionName="My-definition")
    for verb in ("describe", "delete"):
        operation = getattr(desk.client, f"{verb}_{WORDS[kind]}_job_definition")
        assert refusal(operation, JobDefinitionName="My-definition")[0] == "ResourceNotFound"


def test_one_name_may_stand_for_a_definition_of_each_family(desk):
    for kind in KINDS:
        desk.define(kind, "same")
        desk.schedule(f"of-{kind}", "same", kind)
    for kind in KINDS:
        shown = desk.client.describe_monitoring_schedule(MonitoringScheduleName=f"of-{kind}")
        assert (shown["MonitoringType"], shown["EndpointName"]) == (kind, "price")
        found = desk.client.list_monitoring_schedules(MonitoringTypeEquals=kind)
        (one,) = found["MonitoringScheduleSummaries"]
        assert (one["MonitoringScheduleName"], one["MonitoringType"]) == (f"of-{kind}", kind)
        assert one["MonitoringJobDefinitionName"] == "same"


def test_definitions_are_listed_page_by_page(desk):
    for number in range(12):
        desk.define(name=f"d-{number:02}")
    first = desk.call("list", "DataQuality", SortBy="Name", SortOrder="Ascending", MaxResults=7)
    rest = desk.call(
        "list", "DataQuality", SortBy="Name", SortOrder="Ascending", MaxResults=7,
        NextToken=first["NextToken"],
    )  # fmt: skip
    names = [
        one["MonitoringJobDefinitionName"]
        for one in first["JobDefinitionSummaries"] + rest["JobDefinitionSummaries"]
    ]
    assert names == [f"d-{number:02}" for number in range(12)]
    assert "NextToken" not in rest
    found = desk.call("list", "DataQuality", NameContains="-1")["JobDefinitionSummaries"]
    assert {one["MonitoringJobDefinitionName"] for one in found} == {"d-10", "d-11"}


def test_a_batch_transform_and_the_old_form_are_shown_as_they_were_given(desk):
    source = {
        "DataCapturedDestinationS3Uri": f"s3://{desk.bucket}/batches",
        "DatasetFormat": {"Csv": {"Header": True}}, "LocalPath": "/opt/ml/processing/input/batch",
    }  # fmt: skip
    desk.define(DataQualityJobInput={"BatchTransformInput": source})
    desk.schedule()
    shown = desk.client.describe_monitoring_schedule(MonitoringScheduleName="s")
    assert "EndpointName" not in shown
    inline = {
        "MonitoringAppSpecification": {"ImageUri": ANALYZER},
        "MonitoringInputs": [desk.members("DataQuality")["DataQualityJobInput"]],
        "MonitoringOutputConfig": desk.members("DataQuality")["DataQualityJobOutputConfig"],
        "MonitoringResources": desk.members("DataQuality")["JobResources"],
        "RoleArn": ROLE,
        "Environment": {"mine": "1"},
    }
    config = {"ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinition": inline}
    desk.client.create_monitoring_schedule(
        MonitoringScheduleName="old", MonitoringScheduleConfig=config
    )
    shown = desk.client.describe_monitoring_schedule(MonitoringScheduleName="old")
    assert shown["MonitoringScheduleConfig"] == config
    assert (shown["EndpointName"], shown["MonitoringType"]) == ("price", "DataQuality")
    (_, listed) = sorted(
        desk.client.list_monitoring_schedules()["MonitoringScheduleSummaries"],
        key=lambda one: one["MonitoringScheduleName"], reverse=True,
    )  # fmt: skip
    assert "MonitoringJobDefinitionName" not in listed


def names(answer):
    return [one["ProcessingJobArn"].rpartition("/")[2] for one in answer["MonitoringExecutionSummaries"]]  # fmt: skip


def test_executions_are_found_by_what_is_asked_of_them(desk):
    desk.define()
    desk.schedule()
    desk.executions("Completed", "CompletedWithViolations", "Failed", "Completed")
    desk.executions("Completed", schedule="other", kind="ModelQuality")
    asked = desk.client.list_monitoring_executions
    mine = {"MonitoringScheduleName": "s"}
    assert names(asked(**mine)) == ["j3", "j2", "j1", "j0"]
    assert names(asked(**mine, SortBy="ScheduledTime", SortOrder="Ascending")) == ["j0", "j1", "j2", "j3"]  # fmt: skip
    assert names(asked(**mine, StatusEquals="Completed")) == ["j3", "j0"]
    assert len(names(asked(EndpointName="price"))) == 5
    assert names(asked(MonitoringTypeEquals="ModelQuality")) == ["j0"]
    at = dt.datetime(2026, 1, 5, 11, 5, tzinfo=dt.UTC)
    second = dt.timedelta(seconds=1)
    assert names(asked(**mine, LastModifiedTimeAfter=at + second)) == ["j3", "j2"]
    assert names(asked(**mine, LastModifiedTimeBefore=at - second)) == ["j0"]
    assert names(asked(**mine, ScheduledTimeAfter=at)) == ["j3", "j2"]
    (first,) = asked(**mine, MaxResults=1)["MonitoringExecutionSummaries"]
    shown = desk.client.describe_monitoring_schedule(**mine)["LastMonitoringExecutionSummary"]
    assert shown == first
    assert (first["MonitoringType"], first["EndpointName"]) == ("DataQuality", "price")


def test_an_execution_without_data_has_no_job_and_says_why(desk):
    desk.define()
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    desk.schedule(ScheduleConfig=now)
    desk.cloud.run()
    found = desk.client.list_monitoring_executions(MonitoringScheduleName="s")
    (one,) = found["MonitoringExecutionSummaries"]
    assert one["MonitoringExecutionStatus"] == "Failed"
    assert "No record came before it." in one["FailureReason"]
    assert "ProcessingJobArn" not in one


def test_rules_hear_of_executions(desk, wait_for):
    sqs, events = desk.cloud.client("sqs"), desk.cloud.client("events")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    pattern = {"detail-type": ["SageMaker Monitoring Execution State Change"]}
    events.put_rule(Name="runs", EventPattern=json.dumps(pattern))
    target = {"Id": "inbox", "Arn": "arn:aws:sqs:us-east-1:123456789012:heard"}
    events.put_targets(Rule="runs", Targets=[target])
    desk.define()
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    arn = desk.schedule(ScheduleConfig=now)
    heard = []

    def both():
        desk.cloud.run()
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        heard.extend(json.loads(one["Body"]) for one in found)
        return len(heard) == 2

    wait_for(both)
    told = sorted(heard, key=lambda one: one["detail"]["MonitoringExecutionStatus"])
    assert [one["detail"]["MonitoringExecutionStatus"] for one in told] == ["Failed", "Pending"]
    assert told[0]["resources"] == [arn]
    assert told[0]["detail"]["EndpointName"] == "price"
    assert "No S3 objects found" in told[0]["detail"]["FailureReason"]


def test_the_alert_of_a_schedule_is_shown_changed_and_remembered(desk, refusal):
    desk.define()
    arn = desk.schedule()
    mine = {"MonitoringScheduleName": "s"}
    (shown,) = desk.client.list_monitoring_alerts(**mine)["MonitoringAlertSummaries"]
    assert times_gone(shown) == {
        "MonitoringAlertName": "default-alert", "AlertStatus": "OK", "DatapointsToAlert": 1,
        "EvaluationPeriod": 1, "Actions": {"ModelDashboardIndicator": {"Enabled": True}},
    }  # fmt: skip
    with desk.cloud.app.store.begin() as db:
        schedule = rows.get_schedule(db, "s")
        born = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        db.exec_driver_sql("UPDATE monitoring_schedules SET created_at = 0")
    assert schedule.created_at > born
    desk.executions("CompletedWithViolations", "Completed")
    updated = desk.client.update_monitoring_alert(
        **mine, MonitoringAlertName="default-alert", DatapointsToAlert=1, EvaluationPeriod=2
    )
    assert times_gone(updated) == {
        "MonitoringScheduleArn": arn, "MonitoringAlertName": "default-alert",
    }  # fmt: skip
    (shown,) = desk.client.list_monitoring_alerts(**mine)["MonitoringAlertSummaries"]
    assert (shown["AlertStatus"], shown["EvaluationPeriod"]) == ("InAlert", 2)
    (change,) = desk.client.list_monitoring_alert_history(**mine)["MonitoringAlertHistory"]
    assert times_gone(change) == {
        "MonitoringScheduleName": "s", "MonitoringAlertName": "default-alert",
        "AlertStatus": "InAlert",
    }  # fmt: skip
    asked = desk.client.list_monitoring_alert_history
    assert asked(StatusEquals="OK")["MonitoringAlertHistory"] == []
    assert asked(CreationTimeBefore=born)["MonitoringAlertHistory"] == []
    assert len(asked(CreationTimeAfter=born, SortBy="Status")["MonitoringAlertHistory"]) == 1
    for operation in (asked, desk.client.list_monitoring_alerts):
        assert refusal(operation, MonitoringScheduleName="gone")[0] == "ResourceNotFound"
    unknown = refusal(
        desk.client.update_monitoring_alert, **mine, MonitoringAlertName="other",
        DatapointsToAlert=1, EvaluationPeriod=1,
    )  # fmt: skip
    assert unknown[0] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DataQualityJobInput": {"EndpointInput": {"EndpointName": "gone", "LocalPath": "/opt/ml/x"}}}, 'Could not find endpoint "gone".'),
        ({"DataQualityBaselineConfig": {"ConstraintsResource": {"S3Uri": "s3://nowhere/c.json"}}}, "Could not find s3://nowhere/c.json of ConstraintsResource."),
    ],
)  # fmt: skip
def test_a_schedule_that_can_never_run_is_refused(desk, refusal, changes, said):
    desk.define(**changes)
    config = {"ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinitionName": "d"}
    found = refusal(
        desk.client.create_monitoring_schedule,
        MonitoringScheduleName="s", MonitoringScheduleConfig=config,
    )  # fmt: skip
    assert found == ("ValidationException", said)
    assert desk.client.list_monitoring_schedules()["MonitoringScheduleSummaries"] == []


def test_a_definition_that_is_not_there_cannot_be_run(desk, refusal):
    config = {"ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinitionName": "gone"}
    found = refusal(
        desk.client.create_monitoring_schedule,
        MonitoringScheduleName="s", MonitoringScheduleConfig=config,
    )  # fmt: skip
    assert found == ("ResourceNotFound", "Could not find job definition gone.")


def test_a_likely_mistake_is_in_the_schedules_log(desk):
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    halves = {
        "endpointInput": {"data": "1,2,3", "encoding": "CSV"},
        "endpointOutput": {"data": "4", "encoding": "CSV"},
    }
    desk.s3.put_object(
        Bucket=desk.bucket, Key=f"captured/price/AllTraffic/{at:%Y/%m/%d/%H/%M-%S}-000-a.jsonl",
        Body=json.dumps({"captureData": halves, "eventMetadata": {}}).encode() + b"\n",
    )  # fmt: skip
    features = [{"name": name} for name in ("a", "b", "c")]
    desk.s3.put_object(Bucket=desk.bucket, Key="c.json", Body=json.dumps({"features": features}).encode())  # fmt: skip
    uri = {"ConstraintsResource": {"S3Uri": f"s3://{desk.bucket}/c.json"}}
    desk.define(DataQualityBaselineConfig=uri)
    desk.schedule()
    events = desk.cloud.client("logs").get_log_events(
        logGroupName="/farero/MonitoringSchedules", logStreamName="s"
    )["events"]
    assert ["the baseline lacks the model's answer" in one["message"] for one in events] == [True]


def test_records_are_what_they_say(desk):
    made = Execution(
        schedule="s", scheduled_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC), start=dt.datetime(2026, 1, 4, tzinfo=dt.UTC),
        end=dt.datetime(2026, 1, 5, tzinfo=dt.UTC), kind=MonitoringType.MODEL_BIAS, definition="d",
        endpoint="price", given={"a": [1]}, merge_job="m", created_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        modified_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
    )  # fmt: skip
    with desk.cloud.app.store.begin() as db:
        rows.put_execution(db, made)
        assert rows.oldest_open(db, "s") == made
        rows.put_execution(db, dataclasses.replace(made, status=ExecutionStatus.FAILED))
        assert rows.oldest_open(db, "s") is None
