"""`farero alarm` as a person meets it; what it does to a failing model is in the journeys."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
#: A namespace of the tests' own: an alarm on it needs no endpoint.
SHOP = ["-", "Shop/Errors", "gt", "5", "--stat", "Sum"]


@pytest.fixture
def queue(shared_platform):
    """The name of a queue, and what it has got."""
    sqs = shared_platform.client("sqs")
    url = sqs.create_queue(QueueName="told-by-cli")["QueueUrl"]

    def read():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(one["Body"])["Message"]) for one in found]

    yield read
    sqs.delete_queue(QueueUrl=url)


def alarm(platform, *arguments, **options):
    return platform.farero("alarm", *arguments, **options)


def test_an_alarm_is_added_listed_shown_tested_changed_and_removed(shared_platform, queue):
    name = ["--name", "orders fail"]

    added = alarm(
        shared_platform, "add", *SHOP, *name, "--for", "2/3", "--notify", "sqs:told-by-cli"
    )
    again = alarm(shared_platform, "add", *SHOP, *name, check=False)
    tested = alarm(shared_platform, "test", "orders fail")
    messages = shared_platform.wait(queue)
    changed = alarm(shared_platform, "add", "-", "Shop/Errors", "ge", "7", *name, "--update")
    listed = json.loads(alarm(shared_platform, "ls", "--json").stdout)["alarms"]
    shown = alarm(shared_platform, "show", "orders fail").stdout
    removed = alarm(shared_platform, "rm", "orders fail", "--yes").stdout
    topics = shared_platform.client("sns").list_topics()["Topics"]

    assert "alarm orders fail: Sum Errors > 5, 2/3 of 60 s" in added.stdout
    assert "next: farero alarm test 'orders fail'" in added.stdout
    assert (again.returncode, again.stderr.startswith("E-EXISTS  ")) == (1, True)
    assert tested.stdout.splitlines()[1].split() == [
        "delivered", "sqs", "arn:aws:sqs:us-east-1:123456789012:told-by-cli",
    ]  # fmt: skip
    assert messages[0]["NewStateValue"] == "ALARM"
    assert messages[0]["NewStateReason"].startswith("Test by `farero alarm test`")
    assert "Average Errors >= 7, 1/1 of 60 s" in changed.stdout
    [found] = [one for one in listed if one["AlarmName"] == "orders fail"]
    assert (found["Threshold"], found["StateValue"]) == (7.0, "INSUFFICIENT_DATA")
    # A change of the limit keeps whom it tells.
    assert found["AlarmActions"] == found["OKActions"] != []
    assert "tells sqs arn:aws:sqs:us-east-1:123456789012:told-by-cli  confirmed" in shown
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in shown
    assert removed.splitlines()[0] == "deleted alarm orders fail"
    assert removed.splitlines()[1].startswith("deleted topic farero-alarm-orders-fail-")
    assert not any("farero-alarm-orders-fail" in one["TopicArn"] for one in topics)


def test_a_test_says_of_each_listener_what_has_become_of_the_message(shared_platform):
    sns = shared_platform.client("sns")
    topic = sns.create_topic(Name="mixed")["TopicArn"]
    queues = shared_platform.client("sqs")
    queues.create_queue(QueueName="picky")
    prefix = "arn:aws:sqs:us-east-1:123456789012"
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ana@example.com")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{prefix}:gone")
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"{prefix}:picky",
        Attributes={"FilterPolicy": json.dumps({"kind": ["other"]})},
    )  # fmt: skip
    alarm(shared_platform, "add", *SHOP, "--name", "mixed", "--notify", "sns:mixed")

    done = alarm(shared_platform, "test", "mixed", "--json", check=False)
    shown = alarm(shared_platform, "show", "mixed").stdout
    removed = alarm(shared_platform, "rm", "mixed", "--yes").stdout

    assert done.returncode == 1
    report = {one["endpoint"]: one for one in json.loads(done.stdout)["deliveries"]}
    assert report["ana@example.com"]["outcome"] == "unconfirmed"
    assert "could not be sent: there is no mail server" in report["ana@example.com"]["detail"]
    assert report[f"{prefix}:picky"]["outcome"] == "filtered out"
    assert report[f"{prefix}:gone"]["outcome"] == "given up"
    assert report[f"{prefix}:gone"]["detail"]
    assert "tells email ana@example.com  not confirmed" in shown
    assert removed.splitlines() == ["deleted alarm mixed"]
    assert topic in [one["TopicArn"] for one in sns.list_topics()["Topics"]]


def stand_still(platform, worker):
    """Stop the worker at a moment at which it holds no lock of a database, for which all others would wait."""

    def stands():
        os.kill(worker, signal.SIGSTOP)
        try:
            for path in platform.data_dir.glob("*.db"):
                with closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as db:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(worker, signal.SIGCONT)
            return False
        return True

    platform.wait(stands)


def test_what_is_not_on_its_way_yet_waits_and_is_not_taken_for_filtered_out(platform):
    platform.client("sqs").create_queue(QueueName="patient")
    sns = platform.client("sns")
    topic = sns.create_topic(Name="later")["TopicArn"]
    queue = "arn:aws:sqs:us-east-1:123456789012:patient"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    alarm(platform, "add", *SHOP, "--name", "later", "--notify", "sns:later")
    worker = platform.control.info()["worker"]

    stand_still(platform, worker)
    try:
        done = alarm(platform, "test", "later", "--wait", "5", "--json", check=False)
    finally:
        os.kill(worker, signal.SIGCONT)

    [told] = json.loads(done.stdout)["deliveries"]
    assert (done.returncode, told["outcome"], told["endpoint"]) == (1, "waiting", queue)


@pytest.mark.parametrize(
    ("arguments", "code", "status", "fix"),
    [
        (["add", "nope", "p99", ">", "200ms"], "ValidationException", 1, "farero ls"),
        (["add", "nope", "p99", ">", "200"], "E-ALARM", 2, "farero alarm add"),
        (["add", "nope", "p99", "=", "200ms"], "E-ALARM", 2, "farero alarm add"),
        (["add", *SHOP, "--for", "5/3"], "E-ALARM", 2, "farero alarm add"),
        (["add", *SHOP, "--notify", "me"], "E-ALARM", 2, "farero alarm add"),
        (["add", *SHOP, "--dimension", "x"], "E-ALARM", 2, "farero alarm add"),
        (["add", *SHOP, "--notify", "sns:none"], "E-TOPIC", 1, "aws sns create-topic --name none"),
        (
            ["add", *SHOP, "--notify", "http://127.0.0.1:9/x"], "E-NOTIFY", 1,
            "FARERO_NOTIFY_ALLOW_HOSTS=127.0.0.1:9 farero up -d",
        ),
        (["show", "nope"], "E-NO-ALARM", 1, "farero alarm ls"),
        (["rm", "nope", "--yes"], "E-NO-ALARM", 1, "farero alarm ls"),
        (["test", "nope"], "E-NO-ALARM", 1, "farero alarm ls"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_parts(shared_platform, arguments, code, status, fix):
    done = alarm(shared_platform, *arguments, check=False)

    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(f"{code}  ")
    assert "\n  where: " in done.stderr
    assert fix in done.stderr.partition("\n  fix:   ")[2]
    assert "Traceback" not in done.stderr


@pytest.fixture
def split(shared_platform):
    """An endpoint of two variants; it need not have started to be watched."""
    sagemaker = shared_platform.client("sagemaker")
    role = shared_platform.client("iam").list_roles()["Roles"][0]["Arn"]
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    container = {"Image": image, "ModelDataUrl": f"s3://{shared_platform.bucket}/none.tar.gz"}
    shared_platform.client("s3").put_object(
        Bucket=shared_platform.bucket, Key="none.tar.gz", Body=b""
    )
    sagemaker.create_model(ModelName="split", ExecutionRoleArn=role, PrimaryContainer=container)
    variants = [
        {"VariantName": name, "ModelName": "split", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for name in ("blue", "green")
    ]  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="split", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="split", EndpointConfigName="split")
    yield "split"
    shared_platform.farero("rm", "split", "--yes")


def test_of_several_variants_one_must_be_named(shared_platform, split):
    unsaid = alarm(shared_platform, "add", split, "5xx", "gt", "1%", check=False)
    wrong = alarm(shared_platform, "add", split, "5xx", "gt", "1%", "--variant", "red", check=False)
    right = alarm(shared_platform, "add", split, "5xx", "gt", "1%", "--variant", "green", "--json")
    listed = alarm(shared_platform, "ls", split).stdout
    alarm(shared_platform, "rm", "split-5xx", "--yes")

    assert (unsaid.returncode, "2 variants: blue, green" in unsaid.stderr) == (2, True)
    assert "fix:   --variant blue" in unsaid.stderr
    assert (wrong.returncode, "no variant 'red'" in wrong.stderr) == (2, True)
    assert json.loads(right.stdout)["alarm"]["Dimensions"] == [
        {"Name": "EndpointName", "Value": "split"},
        {"Name": "VariantName", "Value": "green"},
    ]
    assert "Average Invocation5XXErrors > 1 %, 1/1 of 60 s" in listed


def test_a_mistake_leaves_nothing_behind(shared_platform):
    alarm(shared_platform, "add", *SHOP, "--name", "left", "--notify", "http://127.0.0.1:9/x", check=False)  # fmt: skip

    alarms = shared_platform.client("cloudwatch").describe_alarms(AlarmNames=["left"])
    topics = shared_platform.client("sns").list_topics()["Topics"]
    assert alarms["MetricAlarms"] == []
    assert not any(one["TopicArn"].endswith(":farero-alarm-left") for one in topics)


def test_aimed_at_aws_the_commands_make_the_same_calls(shared_platform, queue):
    """AWS's variables lead back to the platform here; what only Farero has is not asked for."""
    env = shared_platform.client_env | {"FARERO_DATA_DIR": "/nowhere"}

    def aws(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "farero", "--aws", "alarm", *arguments],
            env=env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    aws("add", *SHOP, "--dimension", "Shop=Lima", "--notify", "sqs:told-by-cli")
    listed = aws("ls")
    tested = aws("test", "errors")
    told = shared_platform.wait(queue)
    removed = aws("rm", "errors", "--yes")

    assert "Sum Errors > 5, 1/1 of 60 s" in listed
    assert "AWS does not say who has got the message" in tested
    assert told[0]["Trigger"]["Dimensions"] == [{"value": "Lima", "name": "Shop"}]
    assert removed == "deleted alarm errors\ndeleted topic farero-alarm-errors\n"


def test_an_alarm_that_tells_nobody_cannot_be_tested(shared_platform):
    alarm(shared_platform, "add", *SHOP, "--name", "silent")

    done = alarm(shared_platform, "test", "silent", check=False)
    alarm(shared_platform, "rm", "silent", "--yes")

    assert done.stderr.startswith("E-NO-ACTIONS  alarm 'silent' tells nobody")


@pytest.mark.journey
def test_the_page_about_these_commands_runs_as_printed(shared_platform, tmp_path):
    rows = np.random.default_rng(3).random((50, 2), dtype=np.float32)
    xgb.train({"max_depth": 2}, xgb.DMatrix(rows, rows[:, 0]), 2).save_model(tmp_path / "m.json")
    shared_platform.farero("deploy", str(tmp_path / "m.json"), "--name", "price")
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(blocks)],
        cwd=tmp_path, env=shared_platform.env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    shared_platform.farero("rm", "price", "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert "tells email ana@example.com  not confirmed" in done.stdout
    assert re.search(r"^unconfirmed +email +ana@example.com", done.stdout, re.MULTILINE)
    assert (tmp_path / "dashboards" / "shop.json").read_bytes() == (tmp_path / "shop.json").read_bytes()  # fmt: skip
