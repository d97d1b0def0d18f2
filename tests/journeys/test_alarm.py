"""A model begins to fail: a web address, a mailbox and a Slack channel are told within two periods, and once it is well."""

import datetime as dt
import io
import json
import os
import re
import subprocess
import tarfile
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

#: Fails for a negative quantity, is slow for one above 100.
INFERENCE = """
import json, time

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return float(body)

def predict_fn(quantity, model):
    if quantity < 0:
        raise ValueError("quantity is negative")
    if quantity > 100:
        time.sleep(0.3)
    return quantity * 2

def output_fn(value, accept):
    return json.dumps(value), "application/json"
"""
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
PERIOD_S = 60


def deploy(platform, name):
    """Bring the model into service; return a function that asks it and returns the status."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(INFERENCE)
        tar.addfile(info, io.BytesIO(INFERENCE.encode()))
    platform.client("s3").put_object(
        Bucket=platform.bucket, Key=f"{name}.tar.gz", Body=made.getvalue()
    )
    sagemaker, runtime = platform.client("sagemaker"), platform.client("sagemaker-runtime")
    role = platform.client("iam").list_roles()["Roles"][0]["Arn"]
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{platform.bucket}/{name}.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )

    def ask(quantity):
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=name, ContentType="text/csv", Body=str(quantity)
            )
        except runtime.exceptions.ModelError as error:
            return error.response["OriginalStatusCode"]
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    return ask


def put_alarms(platform, endpoint, topic):
    """Watch for failures by boto3, as the courses do, and for slowness by a command."""
    platform.client("cloudwatch").put_metric_alarm(
        AlarmName="fails", Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint},
                    {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Sum", Period=PERIOD_S, EvaluationPeriods=1, Threshold=0,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic], OKActions=[topic],
    )  # fmt: skip
    # No data is no news, or it would tell of OK before the first request.
    platform.farero(
        "alarm", "add", endpoint, "p99", ">", "200ms", "--name", "slow", "--notify", f"sns:{topic}",
        "--missing", "missing",
    )  # fmt: skip


def visit(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status


def subscribe(platform, topic, hook, slack, inbox):
    """Subscribe all three; those that are asked confirm."""
    sns = platform.client("sns")
    for protocol, endpoint in [
        ("http", hook.url), ("email", "ana@example.com"), ("http", slack.slack_url),
    ]:  # fmt: skip
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    platform.wait(lambda: hook.posts and inbox.mails)
    visit(hook.posts[0].json["SubscribeURL"])
    visit(re.search(r"http://\S+", inbox.texts[0][1])[0])


def states_of_hook(hook):
    told = [json.loads(text) for text in hook.messages]
    return Counter((one["AlarmName"], one["NewStateValue"]) for one in told)


def states_of_mail(inbox):
    told = [json.loads(text) for subject, text in inbox.texts[1:]]
    return Counter((one["AlarmName"], one["NewStateValue"]) for one in told)


def states_of_slack(slack):
    titles = [post.json["attachments"][0]["fallback"] for post in slack.posts]
    return Counter(tuple(reversed(title.split(": ", 1))) for title in titles)


def one_of_each(state):
    return {("fails", state), ("slow", state)}


@pytest.mark.journey
def test_a_failing_model_is_told_to_three_and_so_is_its_recovery(
    telling_platform, make_receiver, inbox
):
    """The longest test there is: endpoints are measured in minutes, so two periods are two minutes."""
    hook, slack = make_receiver(), make_receiver()
    ask = deploy(telling_platform, "price")
    topic = telling_platform.client("sns").create_topic(Name="alerts")["TopicArn"]
    subscribe(telling_platform, topic, hook, slack, inbox)
    # The web address hangs, then fails twice; the other two must not wait for it.
    answers = iter([500, 503])
    hook.status = lambda _: next(answers, 200)
    hook.go_on.clear()

    put_alarms(telling_platform, "price", topic)
    # All in one minute, or the first of two would be a good one.
    telling_platform.wait(lambda: dt.datetime.now(dt.UTC).second < 40)
    began = dt.datetime.now(dt.UTC)
    assert [ask(1), ask(-1), ask(101)] == [200, 500, 200]
    alarmed = one_of_each("ALARM")
    telling_platform.wait(
        lambda: alarmed <= states_of_slack(slack).keys() & states_of_mail(inbox).keys(), 2 * PERIOD_S
    )  # fmt: skip
    hook.go_on.set()
    telling_platform.wait(lambda: ask(1) == 200 and alarmed <= states_of_hook(hook).keys(), 20)
    told = dt.datetime.now(dt.UTC)
    well = one_of_each("OK")
    telling_platform.wait(
        lambda: (
            ask(1) == 200
            and well <= states_of_slack(slack).keys()
            and well <= states_of_mail(inbox).keys()
            and well <= states_of_hook(hook).keys()
        ),
        2 * PERIOD_S,
    )

    assert told - began < dt.timedelta(seconds=2 * PERIOD_S)
    # Each once; the web address saw the two messages that it refused again.
    wanted = Counter(alarmed | well)
    assert (states_of_mail(inbox), states_of_slack(slack)) == (wanted, wanted)
    assert states_of_hook(hook).total() >= wanted.total() + 2
    first, *_ = [post for post in hook.posts if "Message" in post.json][1:]
    alarm = json.loads(first.json["Message"])
    assert alarm["NewStateReason"].startswith("Threshold Crossed: 1 ")
    assert first.json["Subject"] == f'ALARM: "{alarm["AlarmName"]}" in US East (N. Virginia)'
    described = telling_platform.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {one["AlarmName"]: one["StateValue"] for one in described} == {"fails": "OK", "slow": "OK"}  # fmt: skip


@pytest.mark.journey
def test_one_line_makes_an_alarm_that_tells_slack_a_mailbox_and_a_web_address(
    telling_platform, make_receiver, inbox
):
    hook, slack = make_receiver(), make_receiver()
    hook.status = lambda post: 200 if post.json["Type"] != "Notification" else 503

    added = telling_platform.farero(
        "alarm", "add", "-", "Shop/Errors", ">", "5", "--for", "3/5", "--name", "orders",
        "--notify", f"slack:{slack.slack_url}", "--notify", "mailto:ana@example.com", "--notify", hook.url,
    )  # fmt: skip
    telling_platform.wait(lambda: hook.posts and inbox.mails)
    visit(hook.posts[0].json["SubscribeURL"])
    visit(re.search(r"http://\S+", inbox.texts[0][1])[0])
    failing = telling_platform.farero("alarm", "test", "orders", "--wait", "10", check=False)
    hook.status = 200
    tested = telling_platform.farero("alarm", "test", "orders", "--json")

    assert added.stdout.startswith("alarm orders: Average Errors > 5, 3/5 of 60 s")
    rows = sorted(line.split(maxsplit=3) for line in failing.stdout.splitlines()[1:4])
    assert rows[:2] == [
        ["delivered", "email", "ana@example.com"],
        ["delivered", "http", slack.slack_url],
    ]
    assert (failing.returncode, rows[2][:3]) == (1, ["waiting", "http", hook.url])
    assert rows[2][3].endswith("the receiver answered 503: no thanks")
    outcomes = {one["endpoint"]: one["outcome"] for one in json.loads(tested.stdout)["deliveries"]}
    assert outcomes == dict.fromkeys(["ana@example.com", slack.slack_url, hook.url], "delivered")
    assert slack.posts[0].json["attachments"][0]["fallback"] == "ALARM: orders"


#: The courses' CloudWatch steps, typed. AWS CLI 1 overlooks AWS_ENDPOINT_URL for SQS. The alarm's metric has no values,
#: by which a turn at the end of the minute would judge it anew.
TYPED = r"""
topic=$(aws sns create-topic --name typed --query TopicArn --output text)
sqs=(--endpoint-url "$AWS_ENDPOINT_URL")
queue=$(aws sqs create-queue "${sqs[@]}" --queue-name typed --query QueueUrl --output text)
arn=$(aws sqs get-queue-attributes "${sqs[@]}" --queue-url "$queue" --attribute-names QueueArn \
  --query Attributes.QueueArn --output text)
aws sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" > subscribed.json
aws cloudwatch put-metric-data --namespace Typed --metric-name Errors --value 3 --unit Count
aws cloudwatch get-metric-statistics --namespace Typed --metric-name Errors --statistics Sum Average --period 60 \
  --start-time "$(date -u -d '5 minutes ago' +%FT%TZ)" --end-time "$(date -u -d '1 minute' +%FT%TZ)" > statistics.json
aws cloudwatch put-metric-alarm --alarm-name typed --namespace Typed --metric-name Losses --statistic Sum --period 300 \
  --evaluation-periods 1 --threshold 100 --comparison-operator GreaterThanThreshold --treat-missing-data ignore \
  --alarm-actions "$topic" --ok-actions "$topic"
aws cloudwatch set-alarm-state --alarm-name typed --state-value ALARM --state-reason "typed by hand"
aws cloudwatch describe-alarms --alarm-names typed > alarm.json
aws cloudwatch describe-alarm-history --alarm-name typed --history-item-type StateUpdate > history.json
aws sqs receive-message "${sqs[@]}" --queue-url "$queue" --wait-time-seconds 20 > message.json
aws cloudwatch put-dashboard --dashboard-name typed --dashboard-body file://dashboard.json > put.json
aws cloudwatch get-dashboard --dashboard-name typed --query DashboardBody --output text > got.json
aws cloudwatch delete-dashboards --dashboard-names typed
aws cloudwatch delete-alarms --alarm-names typed
aws sns delete-topic --topic-arn "$topic"
aws sqs delete-queue "${sqs[@]}" --queue-url "$queue"
"""
DASHBOARD = {
    "widgets": [
        {
            "type": "metric", "x": 0, "y": 0, "width": 12, "height": 6,
            "properties": {"region": "us-east-1", "metrics": [["Typed", "Errors"]], "title": "ñ"},
        }
    ]
}  # fmt: skip


@pytest.mark.journey
@pytest.mark.network
def test_metrics_alarms_dashboards_topics_and_queues_by_the_aws_cli(
    shared_platform, client_python, tmp_path
):
    env = {**shared_platform.client_env, "AWS_PAGER": ""}
    env["PATH"] = os.pathsep.join([str(Path(client_python("awscli")).parent), env["PATH"]])
    (tmp_path / "dashboard.json").write_text(json.dumps(DASHBOARD), encoding="utf-8")

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", TYPED],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert [point["Sum"] for point in found["statistics"]["Datapoints"]] == [3.0]
    [alarm] = found["alarm"]["MetricAlarms"]
    assert (alarm["StateValue"], alarm["StateReason"]) == ("ALARM", "typed by hand")
    changes = [one["HistorySummary"] for one in found["history"]["AlarmHistoryItems"]]
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in changes
    [message] = found["message"]["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateReason"] == "typed by hand"
    assert (found["put"]["DashboardValidationMessages"], found["got"]) == ([], DASHBOARD)
