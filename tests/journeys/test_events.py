"""EventBridge on a real platform: an endpoint's life and an alarm, told to queues while gateway and worker run apart."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "us-east-1:123456789012"


def inbox(platform, name):
    """Make a queue; return a function that collects what has come so far."""
    sqs, found = platform.client("sqs"), []
    url = sqs.create_queue(QueueName=name)["QueueUrl"]

    def collect():
        page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get(
            "Messages", []
        )
        found.extend(json.loads(one["Body"]) for one in page)
        return found

    return collect


def listen(platform, name, pattern, arn):
    events = platform.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "inbox", "Arn": arn}])


@pytest.mark.journey
def test_the_life_of_an_endpoint_reaches_a_queue_in_aws_json(shared_platform, xgboost_archive):
    arrived = inbox(shared_platform, "lives")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Endpoint State Change"],
        "detail": {"EndpointName": ["told-of"]},
    }
    listen(shared_platform, "lives", pattern, f"arn:aws:sqs:{ACCOUNT}:lives")

    shared_platform.farero("deploy", str(xgboost_archive.path), "--name", "told-of")
    shared_platform.farero("rm", "told-of", "--yes")
    shared_platform.wait(lambda: len(arrived()) >= 4)

    heard = arrived()
    states = [event["detail"]["EndpointStatus"] for event in heard]
    assert states == ["CREATING", "IN_SERVICE", "DELETING", "DELETED"]
    arn = f"arn:aws:sagemaker:{ACCOUNT}:endpoint/told-of"
    in_service = heard[1]
    assert in_service["resources"] == [arn]
    assert list(in_service) == [
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
    ]  # fmt: skip
    detail = in_service["detail"]
    assert (detail["EndpointName"], detail["EndpointArn"]) == ("told-of", arn)
    assert detail["FailureReason"] is None
    assert detail["CreationTime"] <= detail["LastModifiedTime"]
    [variant] = detail["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)


@pytest.mark.journey
def test_an_alarm_reaches_a_topic_through_a_rule(shared_platform):
    arrived = inbox(shared_platform, "alarms")
    sns, cloudwatch = shared_platform.client("sns"), shared_platform.client("cloudwatch")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{ACCOUNT}:alarms")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail": {"alarmName": [{"prefix": "watched-"}], "state": {"value": ["ALARM"]}},
    }
    listen(shared_platform, "alarms", pattern, topic)
    cloudwatch.put_metric_alarm(
        AlarmName="watched-shop", Namespace="shop", MetricName="lost", Statistic="Sum", Period=10,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip

    cloudwatch.set_alarm_state(AlarmName="watched-shop", StateValue="ALARM", StateReason="a test")
    shared_platform.wait(arrived)

    event = json.loads(arrived()[0]["Message"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == [f"arn:aws:cloudwatch:{ACCOUNT}:alarm:watched-shop"]
    assert event["detail"]["state"]["value"] == "ALARM"


@pytest.mark.journey
@pytest.mark.network
def test_the_commands_of_the_page_run_as_printed(shared_platform, client_python, tmp_path):
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    # The platform is there already.
    code = "".join(blocks).replace('farero up -d\neval "$(farero env)"\n', "")
    folder = Path(client_python("sdk2")).parent
    env = {**shared_platform.client_env, "AWS_PAGER": ""}
    env["PATH"] = os.pathsep.join([str(folder), env["PATH"]])

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"Result": true' in done.stdout
    assert '"FailedEntryCount": 0' in done.stdout
