"""Slack webhooks and Apprise's services, delivered for real to receivers on this machine."""

import json
import subprocess
import sys

import pytest

from farero.base.config import Settings
from farero.base.errors import Invalid
from farero.notify import apprise

open_cloud = pytest.mark.parametrize("cloud", [{"notify_allow_hosts": "127.0.0.1"}], indirect=True)
ALARM = json.dumps({"AlarmName": "iris", "NewStateValue": "ALARM", "NewStateReason": "too many"})


def deliveries(cloud, state):
    return cloud.gateway.asgi._admin._pages["GET", "deliveries"]({"state": state})["deliveries"]


def slack_topic(cloud, receiver):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    url = receiver.url.replace("/hook", "/services/T000/B000/XXX")
    made = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
    assert made["SubscriptionArn"].startswith(topic)
    return topic


@open_cloud
def test_a_slack_webhook_needs_no_confirmation_and_gets_slacks_json(cloud, receiver):
    topic = slack_topic(cloud, receiver)

    cloud.client("sns").publish(TopicArn=topic, Subject="ALARM: iris", Message=ALARM)
    cloud.run()

    (post,) = receiver.posts
    assert post.headers["Content-Type"] == "application/json; charset=utf-8"
    assert post.json["text"] == "ALARM: iris"
    assert post.json["attachments"][0]["color"] == "#d1242f"


@open_cloud
def test_slacks_own_limit_is_waited_for(cloud, receiver):
    topic = slack_topic(cloud, receiver)
    receiver.status, receiver.answer_headers = 429, {"Retry-After": "3600"}

    cloud.client("sns").publish(TopicArn=topic, Message=ALARM)
    cloud.run()

    (waiting,) = deliveries(cloud, "pending")
    assert (waiting["due"] - waiting["created_at"]).total_seconds() >= 3600


@open_cloud
def test_apprise_reaches_a_named_host(cloud, receiver):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="application", Endpoint=f"json://127.0.0.1:{receiver.port}/x"
    )

    sns.publish(TopicArn=topic, Subject="Hi", Message="there")
    cloud.run()

    (post,) = receiver.posts
    assert (post.json["title"], post.json["message"]) == ("Hi", "there")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_apprise_reaches_no_inner_host(tmp_path, receiver, host):
    with pytest.raises(Invalid, match="Apprise could not tell"):
        apprise.send(f"json://{host}:{receiver.port}/x", "t", "b", Settings(data_dir=tmp_path))

    assert receiver.posts == []


def test_apprise_never_reaches_our_own_ports(tmp_path, receiver):
    settings = Settings(data_dir=tmp_path, port=receiver.port, notify_allow_hosts="127.0.0.1")

    with pytest.raises(Invalid, match="Apprise could not tell"):
        apprise.send(f"json://127.0.0.1:{receiver.port}/x", "t", "b", settings)

    assert receiver.posts == []


def test_a_service_that_nobody_knows_is_said(tmp_path):
    with pytest.raises(Invalid, match="no URL that Apprise knows"):
        apprise.send("nosuch://x", "t", "b", Settings(data_dir=tmp_path))


def test_without_apprise_the_reason_is_the_command_that_installs_it():
    hidden = "import sys; sys.modules['apprise'] = None; from farero.notify.apprise import main; sys.exit(main())"

    done = subprocess.run(
        [sys.executable, "-c", hidden], input=b"{}", check=False, capture_output=True
    )

    assert done.returncode == apprise._MISSING_CODE
    assert "pip install 'farero[notify]'" in apprise.MISSING
